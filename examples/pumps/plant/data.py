"""Readings of pumps that wear out, made by a documented process, and the checks at which somebody asks: will it fail?

Each pump has a **wear** from 0 to 1. In an hour it grows by an amount of the gamma distribution (van Noortwijk, A
survey of the application of gamma processes in maintenance, Reliability Engineering and System Safety 94, 2009) whose
mean rises with the load; at 1 the pump fails, stands still for 12 hours, and starts again with a wear of 0. What is
measured:

    load        0.6 + 0.2 sin(2 pi hour / 24) + noise        share of what the pump is built for
    vibration   1 + 3 wear^3 + noise                         millimetres per second
    temperature 40 + 15 load + 12 wear^2 + noise             degrees Celsius
    pressure    5 - 0.8 wear + noise                         bar

One pump's readings are alike for weeks, so that rows of one pump say much of each other: whole pumps are learned from
or judged on, never parts of one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

FIRST_HOUR = datetime(2024, 1, 1, tzinfo=UTC)
PUMPS, HOURS = 60, 24 * 75
CHECKED_EVERY, HORIZON, REPAIR = 6, 24, 12
"""Hours: between two checks, that a check looks ahead, that a repair takes."""
SENSORS = ("load", "vibration", "temperature", "pressure")
_SEED = 11


def _process() -> pl.DataFrame:
    """(pumps x hours, 8): pump, make, at, four readings, failed. Readings of a pump that stands still are missing."""
    generator = np.random.default_rng(_SEED)
    parts = []
    for number in range(PUMPS):
        make = ("A", "B", "C")[number % 3]
        pace = generator.uniform(0.7, 1.4) * {"A": 1.0, "B": 1.2, "C": 0.9}[make] / (24 * 28)
        load = 0.6 + 0.2 * np.sin(2 * np.pi * (np.arange(HOURS) % 24) / 24) + generator.normal(0, 0.05, HOURS)
        grown = generator.gamma(shape=0.5, scale=2 * pace * np.clip(load, 0.1, None) / 0.6)
        wear, failed, down = np.zeros(HOURS), np.zeros(HOURS, dtype=bool), np.zeros(HOURS, dtype=bool)
        now, wait = float(generator.uniform(0, 0.8)), 0
        for hour in range(HOURS):
            if wait:
                down[hour], wait, now = True, wait - 1, 0.0
                continue
            now += float(grown[hour])
            wear[hour] = min(now, 1.0)
            if now >= 1.0:
                failed[hour], wait = True, REPAIR
        noise = generator.normal(0, 1, (3, HOURS))
        readings = {
            "load": load,
            "vibration": 1 + 3 * wear**3 + 0.25 * noise[0],
            "temperature": 40 + 15 * load + 12 * wear**2 + 1.5 * noise[1],
            "pressure": 5 - 0.8 * wear + 0.1 * noise[2],
        }
        parts.append(
            pl.DataFrame(
                {
                    "pump": [f"P{number:02d}"] * HOURS,
                    "make": [make] * HOURS,
                    "at": [FIRST_HOUR + timedelta(hours=hour) for hour in range(HOURS)],
                    **{name: np.where(down, np.nan, values) for name, values in readings.items()},
                    "failed": failed,
                    "down": down,
                }
            )
        )
    return pl.concat(parts).with_columns(pl.col(SENSORS).fill_nan(None))


def readings() -> pl.LazyFrame:
    """(108,000, 8): one row per pump and hour: pump, make, at, load, vibration, temperature, pressure, failed."""
    return _process().drop("down").lazy()


def checks() -> pl.LazyFrame:
    """One row per pump that runs and check: check, pump, make, at, fails (within the next 24 hours)."""
    ahead = pl.col("failed").reverse().cast(pl.Int8).rolling_max(HORIZON, min_samples=1).reverse().over("pump")
    number = pl.int_range(pl.len()).over("pump")
    return (
        _process()
        .sort("pump", "at")
        .with_columns(ahead.shift(-1).over("pump").alias("fails"), number.alias("hour"))
        .filter(
            pl.col("hour") % CHECKED_EVERY == 0,
            pl.col("hour") >= HORIZON,
            pl.col("hour") < HOURS - HORIZON,  # of later ones nobody knows yet
            ~pl.col("down") & ~pl.col("failed"),
        )
        .select(
            (pl.col("pump") + pl.lit("/") + pl.col("hour").cast(pl.String)).alias("check"),
            "pump", "make", "at", pl.col("fails").cast(pl.Boolean),
        )
        .lazy()
    )  # fmt: skip
