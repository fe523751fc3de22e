"""What plans are made of, and what is read from a spec to make one."""
