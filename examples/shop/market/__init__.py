"""Code that travels with the specs of this example."""
