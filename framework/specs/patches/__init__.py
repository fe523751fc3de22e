"""What an Environment changes of other specs."""
