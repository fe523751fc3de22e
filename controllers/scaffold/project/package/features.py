"""Transforms that are easier to say in Polars than in SQL."""

from __future__ import annotations

import polars as pl


def courier_delays(deliveries: pl.LazyFrame) -> pl.LazyFrame:
    """How late each courier has been, for every full hour.

    A delay is known when the parcel has arrived, ``minutes_late`` after the promised time (half an hour after
    ``accepted``); a row at 14:00 therefore holds deliveries that had arrived before 14:00, and nothing else.

    Returns:
        One row per courier and hour: the mean delay in minutes over the last 24 hours, null where there was none.
    """
    arrived = pl.col("accepted") + pl.duration(minutes=30 + pl.col("minutes_late"))
    hourly = deliveries.group_by("courier", (arrived.dt.truncate("1h") + pl.duration(hours=1)).alias("hour_start")).agg(
        pl.col("minutes_late").sum().alias("minutes"), pl.len().cast(pl.Int64).alias("count")
    )
    hours = pl.datetime_range(pl.col("hour_start").min(), pl.col("hour_start").max(), "1h").alias("hour_start")
    couriers = hourly.select("courier").unique()
    grid = (
        couriers.join(hourly.select(hours), how="cross")
        .join(hourly, on=["courier", "hour_start"], how="left")
        .with_columns(pl.col("minutes", "count").fill_null(0))
        .sort("courier", "hour_start")
    )
    minutes, count = (pl.col(name).rolling_sum(24, min_samples=1).over("courier") for name in ("minutes", "count"))
    return grid.select("courier", "hour_start", pl.when(count > 0).then(minutes / count).alias("mean_delay_24h"))
