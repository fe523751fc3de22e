"""What is looked at before a resource of a kind is planned: one module a kind."""
