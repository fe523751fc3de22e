"""Materialising FeatureViews with Polars and Delta."""
