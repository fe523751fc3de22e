"""Which files the sources of a FeatureView are at a commit, and where they can be read: for who decides whether to
compute, and for who does."""
