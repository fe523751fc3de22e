"""The model server and the traffic router on Ray Serve."""
