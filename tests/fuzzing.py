"""How many random examples there are of what is marked ``fuzz``, and which."""

from __future__ import annotations

import os

FUZZING = "MLOPS_FUZZ" in os.environ


def seeds(suite: int) -> range:
    """As many as MLOPS_FUZZ says, from MLOPS_FUZZ_FROM on; in the suite always the first ``suite``."""
    first, count = int(os.environ.get("MLOPS_FUZZ_FROM", 0)), int(os.environ.get("MLOPS_FUZZ", suite))
    return range(first, first + count)
