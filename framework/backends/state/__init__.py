"""The durable memory of an environment on SQL."""
