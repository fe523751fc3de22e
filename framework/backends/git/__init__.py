"""Git repositories: read, followed, written to."""
