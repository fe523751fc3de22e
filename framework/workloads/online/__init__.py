"""The rows of FeatureViews for serving: how they are written, kept, found and compared with their tables."""
