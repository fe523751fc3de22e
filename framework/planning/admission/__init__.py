"""What of it may be done, and when."""
