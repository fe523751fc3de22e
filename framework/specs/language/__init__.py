"""What objects in the text mean, and mistakes in plain words."""
