"""How many random examples there are of what is marked ``fuzz``."""

from __future__ import annotations

import os

FUZZING = "MLOPS_FUZZ" in os.environ


def rounds(suite: int) -> int:
    """As many as MLOPS_FUZZ says; in the suite ``suite``."""
    return int(os.environ.get("MLOPS_FUZZ", suite))
