"""What the last hours of a pump looked like."""

from __future__ import annotations

import polars as pl

WINDOWS = {"6h": 6, "24h": 24}


def recent(raw: pl.LazyFrame) -> pl.LazyFrame:
    """Of each pump and hour: mean and deviation of vibration, temperature and pressure over the last 6 and 24 hours,
    the mean load, and how much the mean of 6 hours differs from that of 24. A window ends with the hour that it stands
    at."""
    rows = raw.sort("pump", "at")

    def over(column: pl.Expr, name: str) -> pl.Expr:
        return column.over("pump").alias(name)

    found = [over(pl.col("load").rolling_mean(24, min_samples=6), "load_24h")]
    for name in ("vibration", "temperature", "pressure"):
        for window, hours in WINDOWS.items():
            found.append(over(pl.col(name).rolling_mean(hours, min_samples=hours // 2), f"{name}_{window}"))
        found.append(over(pl.col(name).rolling_std(24, min_samples=12), f"{name}_spread"))
    changes = [
        (pl.col(f"{name}_6h") - pl.col(f"{name}_24h")).alias(f"{name}_change")
        for name in ("vibration", "temperature", "pressure")
    ]
    return rows.select("pump", "at", *found).with_columns(changes)
