"""Pages that are drawn from sentences, tables and plots: of a model version, of a feature view."""
