"""What is looked up about the resources of each kind."""
