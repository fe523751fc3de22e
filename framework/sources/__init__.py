"""What the sources of a FeatureView hold, as a name: for who decides whether to compute, and for who does."""
