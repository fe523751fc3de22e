"""The process and its surroundings: which backends, which cluster, once or for as long as wanted."""
