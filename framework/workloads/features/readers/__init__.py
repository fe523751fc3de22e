"""How each kind of source is read: one file each, which the table in ``features/sources.py`` names."""
