"""Files of an environment and of this machine."""
