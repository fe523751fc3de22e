"""A view made by its run beside a bare scan and write of the same file, each in a process of its own.

python -m benchmarks.views write ROWS FOLDER
python -m benchmarks.views ours|bare|more ROWS FOLDER
python -m benchmarks.views whylogs|ours-profile|describe ROWS FOLDER
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import Any

NUMBERS = [f"x{number}" for number in range(8)]
COLUMNS = [("id", "Int64"), ("at", "Datetime"), ("kind", "String"), *((name, "Float64") for name in NUMBERS)]
PROFILED, TEXTS = 20, 5
"""Columns of what is profiled: numbers, and strings of which one is another in each row."""
_SECOND = 1_000_000


def source(folder: Path, rows: int) -> Path:
    return folder / f"source-{rows}.parquet"


def write(folder: Path, rows: int) -> dict[str, float]:
    """The source, in the order of time."""
    import numpy as np
    import polars as pl

    generator = np.random.default_rng(3)
    at = pl.Series(1_704_067_200_000_000 + np.arange(rows) * _SECOND).cast(pl.Datetime("us", "UTC"))
    kinds = np.array(["new", "known", "lost"])[generator.integers(0, 3, rows)]
    numbers = {name: generator.normal(size=rows) for name in NUMBERS}
    frame = pl.DataFrame({"id": range(rows), "at": at, "kind": kinds, **numbers})
    frame.write_parquet(source(folder, rows))
    one_in_100 = max(1, rows // 100)
    later = frame.head(one_in_100).with_columns(pl.col("id") + rows, pl.col("at") + pl.duration(seconds=rows))
    pl.concat([frame, later]).write_parquet(folder / f"more-{rows}.parquet")
    return {}


def _spec(path: Path, incremental: bool) -> dict[str, Any]:
    checks: list[dict[str, Any]] = [
        {"unique": ["id", "at"]}, {"rows": {"min": 1}}, {"column": "kind", "oneOf": ["new", "known", "lost"]},
        {"column": "kind", "notNull": True}, {"column": "kind", "matches": "[a-z]+"},
        {"column": "x0", "between": [-50, 50]}, {"column": "x1", "notNull": True},
        {"column": "x2", "mean": {"min": -1, "max": 1}}, {"column": "x3", "std": {"min": 0.5, "max": 2}},
        {"sql": "x4 < 60"},
    ]  # fmt: skip
    return {
        "entities": ["id"], "timestamp": "at", "sources": {"raw": {"format": "parquet", "path": path.name}},
        "columns": [{"name": name, "dtype": dtype} for name, dtype in COLUMNS], "expectations": checks,
        "materialization": {"mode": "incremental" if incremental else "full"},
    }  # fmt: skip


def _run(folder: Path, path: Path, name: str, incremental: bool = False) -> None:
    from framework.workloads.context import RunContext
    from framework.workloads.features import materialize

    payload = {
        "view": "v", "identity": "i", "build": name, "table": str(folder / f"table-{path.stem}-{incremental}"),
        "root": str(path.parent), "spec": _spec(path, incremental), "source_digest": "", "commit": "c0ffee0000",
    }  # fmt: skip
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    materialize.run(RunContext(name, 1, payload, str(scratch), str(folder / name), {}, lambda done, told: None))


def ours(folder: Path, rows: int) -> None:
    """All of it: checked, profiled, named, published."""
    _run(folder, source(folder, rows), f"full-{os.getpid()}")


def bare(folder: Path, rows: int) -> None:
    """Read and written as a Delta table."""
    import polars as pl
    from deltalake import write_deltalake

    frame = pl.scan_parquet(source(folder, rows)).sort("at", "id").collect(engine="streaming")
    write_deltalake(str(folder / "bare"), frame, mode="overwrite")


def begin(folder: Path, rows: int) -> None:
    """The first version of a view that is made in increments; its source grows after."""
    path = folder / "grows.parquet"
    path.unlink(missing_ok=True)
    shutil.rmtree(folder / "table-grows-True", ignore_errors=True)
    os.link(source(folder, rows), path)
    _run(folder, path, "begin", incremental=True)


def more(folder: Path, rows: int) -> None:
    """A hundredth of the rows is new."""
    path = folder / "grows.parquet"
    path.unlink()
    os.link(folder / f"more-{rows}.parquet", path)
    _run(folder, path, f"more-{os.getpid()}", incremental=True)


def _wide(rows: int) -> Any:
    import numpy as np
    import polars as pl

    generator = np.random.default_rng(9)
    numbers = {f"n{number}": generator.normal(size=rows) for number in range(PROFILED)}
    few = {f"s{number}": generator.integers(0, 10 ** (number + 1), rows).astype(str) for number in range(TEXTS - 1)}
    return pl.DataFrame({**numbers, **few, "name": [f"row-{number}" for number in range(rows)]})


def _profile(rows: int) -> Any:
    from datetime import UTC, datetime

    from framework.workloads import profiling

    frame = _wide(rows)
    profiling.profile_bytes(frame.head(100), datetime.now(UTC))
    return lambda: profiling.profile_bytes(frame, datetime.now(UTC))


def _describe(rows: int) -> Any:
    frame = _wide(rows)
    return frame.describe


def _whylogs(rows: int) -> Any:
    import numpy as np

    setattr(np, "unicode_", np.str_)  # noqa: B010  its newest release knows numpy 1 alone
    import whylogs

    frame = _wide(rows).to_pandas()
    whylogs.log(frame.head(100))
    return lambda: whylogs.log(frame)


def main(kind: str, rows: int, folder: Path) -> None:
    """Prints seconds, seconds of CPU, and the most bytes that were held beside what is held before."""
    warnings.simplefilter("ignore")
    os.environ["WHYLOGS_NO_ANALYTICS"] = "1"
    import polars as pl

    import framework.workloads.features.materialize  # noqa: F401  what is loaded is not what is measured

    made = {"ours-profile": _profile, "describe": _describe, "whylogs": _whylogs}
    calls = {"write": write, "ours": ours, "bare": bare, "begin": begin, "more": more}
    call = made[kind](rows) if kind in made else lambda: calls[kind](folder, rows)
    if kind in ("ours", "more"):
        small = folder / "small"
        small.mkdir(exist_ok=True)
        write(small, 1_000)
        ours(small, 1_000)  # libraries that load themselves on first use
    pl.DataFrame({"a": [1]}).lazy().collect(engine="streaming")
    Path("/proc/self/clear_refs").write_text("5")
    held = _memory("VmRSS")
    started, used = time.perf_counter(), _cpu()
    call()
    found = {"seconds": time.perf_counter() - started, "cpu": _cpu() - used, "more": _memory("VmHWM") - held}
    print(json.dumps(found))


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
