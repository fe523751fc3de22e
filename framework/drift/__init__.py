"""Drift on neutral column summaries: statistics, what movement is natural, and the verdict. Pure."""
