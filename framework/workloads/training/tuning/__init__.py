"""The search for good parameters, by Ray Tune. Every trial fits on the train part and is judged on the validation part.

Reproducible with one trial at a time and no time budget; with several, the order in which they finish steers the
search.
"""

from framework.workloads.training.tuning.searching import SearchResult, checked_metric, checked_search, search

__all__ = ["SearchResult", "checked_metric", "checked_search", "search"]
