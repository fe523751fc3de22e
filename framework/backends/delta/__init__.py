"""Feature tables and what they are made from."""
