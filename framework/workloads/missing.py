"""What counts as missing: null, and NaN, which is null as numpy, pandas and files write it. One rule for everything."""

from __future__ import annotations

from typing import TypeVar

import polars as pl
import polars.selectors as cs

Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


def nan_as_null(frame: Frame) -> Frame:
    """The same rows, in which what is missing is null and nothing else. Whatever counts, compares, sorts or joins
    values asks for this first, so that NaN and null can nowhere be told apart.

    >>> nan_as_null(pl.DataFrame({"x": [1.0, float("nan")]}))["x"].to_list()
    [1.0, None]
    """
    return frame.with_columns(cs.float().fill_nan(None))
