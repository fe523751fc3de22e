"""What was read before, in memory and on disk."""
