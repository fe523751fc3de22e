"""Transforms that are easier to say in Polars than in SQL."""

from __future__ import annotations

import polars as pl

LATE_MINUTES = 15


def departures(flights: pl.LazyFrame) -> pl.LazyFrame:
    """Flights whose outcome is known, as they looked at their scheduled departure, with the label ``delayed``.

    The hour and the weekday are those of New York: delays build up over the local day, whatever UTC says.
    """
    local = pl.col("scheduled").dt.convert_time_zone("America/New_York")
    return flights.filter(pl.col("arr_delay").is_not_null()).select(
        "flight_id",
        "scheduled",
        "carrier",
        "origin",
        "dest",
        pl.col("distance").cast(pl.Float64),
        local.dt.hour().cast(pl.Int32).alias("local_hour"),
        local.dt.weekday().cast(pl.Int32).alias("weekday"),
        (pl.col("arr_delay") > LATE_MINUTES).alias("delayed"),
    )


def carrier_delays(flights: pl.LazyFrame) -> pl.LazyFrame:
    """How late each carrier has been leaving, for every full hour.

    A delay is known when the plane has left, which is ``dep_delay`` minutes after the schedule; a row at 14:00
    therefore holds the flights that left before 14:00, and nothing of what was scheduled before but still waits at
    the gate.

    Returns:
        One row per carrier and hour: mean departure delay in minutes over the last 3 and 24 hours, and the share of
        flights of the last 24 hours that left more than 15 minutes late. Null where the carrier had no flight.
    """
    left = pl.col("scheduled") + pl.duration(minutes="dep_delay")
    hourly = (
        flights.filter(pl.col("dep_delay").is_not_null())
        .group_by("carrier", (left.dt.truncate("1h") + pl.duration(hours=1)).alias("hour"))
        .agg(
            pl.col("dep_delay").sum().alias("minutes"),
            pl.len().cast(pl.Int64).alias("departures"),
            (pl.col("dep_delay") > LATE_MINUTES).sum().cast(pl.Int64).alias("late"),
        )
    )
    counts = ["minutes", "departures", "late"]
    grid = (
        hourly.select("carrier")
        .unique()
        .join(
            hourly.select(pl.datetime_range(pl.col("hour").min(), pl.col("hour").max(), "1h").alias("hour")),
            how="cross",
        )
        .join(hourly, on=["carrier", "hour"], how="left")
        .with_columns(pl.col(counts).fill_null(0))
        .sort("carrier", "hour")
    )

    def recent(column: str, hours: int) -> pl.Expr:
        return pl.col(column).rolling_sum(hours, min_samples=1).over("carrier")

    return grid.with_columns(
        _ratio(recent("minutes", 3), recent("departures", 3)).alias("mean_delay_3h"),
        _ratio(recent("minutes", 24), recent("departures", 24)).alias("mean_delay_24h"),
        _ratio(recent("late", 24), recent("departures", 24)).alias("late_share_24h"),
    ).drop(counts)


def _ratio(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole)
