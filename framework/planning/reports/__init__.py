"""How things stand and stood, put together for people."""
