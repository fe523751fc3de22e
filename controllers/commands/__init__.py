"""What commands do with an opened project."""
