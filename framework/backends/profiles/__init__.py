"""What was recorded of data, predictions and labels."""
