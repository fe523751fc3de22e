"""Which trials are stopped early. Adding one: a function here and a line below."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

PBT = "pbt"
"""It stops none: it changes what comes next, see ``population``."""
_THIRD = 3


def _asha(reports: int, seed: int) -> Any:
    from ray.tune.schedulers import ASHAScheduler

    return ASHAScheduler(max_t=reports, grace_period=max(1, reports // 5), reduction_factor=2)


def _hyperband(reports: int, seed: int) -> Any:
    """Brackets of successive halving, each less strict than the one before, without waiting for others (Li et al., A
    System for Massively Parallel Hyperparameter Tuning, 2020). Ray draws the bracket of a trial from numpy's own
    generator, which is given a seed for that."""
    import numpy as np
    from ray.tune.schedulers import AsyncHyperBandScheduler

    class SeededHyperBand(AsyncHyperBandScheduler):  # type: ignore[misc]
        added = 0

        def on_trial_add(self, controller: Any, trial: Any) -> None:
            before = np.random.get_state()
            np.random.seed([seed, self.added])
            self.added += 1
            try:
                super().on_trial_add(controller, trial)
            finally:
                np.random.set_state(before)

        def save(self, checkpoint_path: str) -> None:
            """Another attempt goes on from the trials that are over."""

    brackets = int(math.log(reports, _THIRD)) + 1
    return SeededHyperBand(max_t=reports, grace_period=1, reduction_factor=_THIRD, brackets=brackets)


def _median(reports: int, seed: int) -> Any:
    from ray.tune.schedulers import MedianStoppingRule

    return MedianStoppingRule(grace_period=max(1, reports // 5), min_samples_required=2)


def _none(reports: int, seed: int) -> Any:
    from ray.tune.schedulers import FIFOScheduler

    return FIFOScheduler()


SCHEDULERS: Mapping[str, Callable[[int, int], Any]] = {
    "asha": _asha,
    "hyperband": _hyperband,
    PBT: _none,
    "median": _median,
    "none": _none,
}
"""Made for trials of so many reports, with a seed for what they draw."""
