"""Statistics that judge a candidate against stable. Pure."""
