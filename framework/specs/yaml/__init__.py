"""YAML text: where everything in it stands, and edits of it."""
