"""What mlopsctl does: observe, execute and record, and the command line in front of it."""
