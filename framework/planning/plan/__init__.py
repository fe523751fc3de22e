"""From what git asks for and what is observed to what is to be done, and what that comes to."""
