"""The grammar every kind shares. Imports nothing of ours."""
