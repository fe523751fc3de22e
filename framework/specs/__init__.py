"""YAML text to resources at one commit."""
