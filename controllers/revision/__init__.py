"""Which commit is in force."""
