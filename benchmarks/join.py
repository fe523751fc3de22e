"""A training set of published tables beside Polars' own join of them: each run in a process of its own.

python -m benchmarks.join write FOLDER
python -m benchmarks.join ours|bare FOLDER
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

SPINE, FEATURES, ENTITIES = 1_000_000, 5_000_000, 100_000
_DAYS = 90 * 86_400 * 1_000_000
_TAKEN = ["a", "b", "c"]
_COLUMNS = {
    "spine": [("key", "Int64"), ("at", "Datetime"), ("late", "Int8"), ("x", "Float64")],
    "features": [("key", "Int64"), ("seen", "Datetime"), *((name, "Float64") for name in _TAKEN)],
}


def write(folder: Path) -> None:
    """Both tables, as a FeatureView publishes them: in the order of time and entity."""
    import numpy as np
    import polars as pl

    from framework.workloads.features.delta import publish

    generator = np.random.default_rng(1)

    def table(rows: int, moment: str, **more: Any) -> pl.DataFrame:
        times = pl.Series(1_704_067_200_000_000 + generator.integers(0, _DAYS, rows)).cast(pl.Datetime("us", "UTC"))
        found = pl.DataFrame({"key": generator.integers(0, ENTITIES, rows), moment: times, **more})
        return found.sort(moment, "key")

    late = generator.integers(0, 2, SPINE).astype(np.int8)
    tables = {
        "spine": table(SPINE, "at", late=late, x=generator.random(SPINE)),
        "features": table(FEATURES, "seen", **{name: generator.random(FEATURES) for name in _TAKEN}),
    }
    for name, frame in tables.items():
        publish(str(folder / name), [frame], _COLUMNS[name], {})


def ours(folder: Path) -> Any:
    from framework.workloads.training.dataset import build

    views = {
        name: {
            "uri": str(folder / name), "version": 0, "entities": ["key"], "timestamp": columns[1][0],
            "columns": columns,
        }
        for name, columns in _COLUMNS.items()
    }  # fmt: skip
    window = {"from": "2024-01-01", "to": "2025-01-01"}
    asked = {"spine": "spine", "columns": ["x"], "features": [{"view": "features"}], "label": "late", "window": window}
    return build(asked, views).frame


def bare(folder: Path) -> Any:
    import polars as pl

    spine = pl.scan_delta(str(folder / "spine")).sort("at").collect()
    features = pl.scan_delta(str(folder / "features")).sort("seen").collect()
    return spine.join_asof(features, left_on="at", right_on="seen", by="key", allow_exact_matches=False)


def main(kind: str, folder: Path) -> None:
    """Prints seconds, seconds of CPU, and bytes: the most that was held beside what is held before, files that are
    mapped included; what is read, as columns; and the result."""
    warnings.simplefilter("ignore")
    if kind == "write":
        write(folder)
        return
    import polars as pl

    import framework.workloads.training.dataset  # noqa: F401  what is loaded is not what is measured

    pl.scan_delta(str(folder / "spine")).head(1).collect()
    Path("/proc/self/clear_refs").write_text("5")
    held = _memory("VmRSS")
    started, used = time.perf_counter(), time.process_time()
    found = {"ours": ours, "bare": bare}[kind](folder)
    seconds, cpu = time.perf_counter() - started, time.process_time() - used
    more, result = _memory("VmHWM") - held, found.estimated_size()
    read = sum(
        pl.scan_delta(str(folder / name)).select(column for column, _ in columns).collect().estimated_size()
        for name, columns in _COLUMNS.items()
    )
    print(json.dumps({"seconds": seconds, "cpu": cpu, "more": more, "read": read, "result": result}))


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
