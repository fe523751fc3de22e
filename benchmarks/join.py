"""The join of a training set beside Polars' own, in a process of its own: ``python -m benchmarks.join RUNS``."""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings

SPINE, FEATURES, ENTITIES = 1_000_000, 5_000_000, 100_000
_DAYS = 90 * 86_400 * 1_000_000


def main(runs: int) -> None:
    import numpy as np
    import polars as pl

    from framework.workloads.training.as_of import join_as_of

    warnings.simplefilter("ignore")
    generator = np.random.default_rng(1)

    def times(count: int) -> pl.Series:
        return pl.Series(1_704_067_200_000_000 + generator.integers(0, _DAYS, count)).cast(pl.Datetime("us", "UTC"))

    spine = pl.DataFrame({"key": generator.integers(0, ENTITIES, SPINE), "at": times(SPINE)}).sort("at", "key")
    features = pl.DataFrame(
        {
            "key": generator.integers(0, ENTITIES, FEATURES),
            "seen": times(FEATURES),
            **{name: generator.random(FEATURES) for name in ("a", "b", "c")},
        }
    )
    bare, ours = [], []
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for _ in range(runs):
        started = time.perf_counter()
        found = join_as_of(
            spine, features.lazy(), by=["key"], spine_time="at", feature_time="seen", columns=["a", "b", "c"]
        )
        ours.append(time.perf_counter() - started)
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - held
    for _ in range(runs):
        started = time.perf_counter()
        spine.join_asof(
            features.sort("seen"), left_on="at", right_on="seen", by="key", strategy="backward",
            allow_exact_matches=False,
        )  # fmt: skip
        bare.append(time.perf_counter() - started)
    whole = found.estimated_size() + features.estimated_size()
    print(json.dumps({"bare": bare, "ours": ours, "memory": more / whole}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
