"""The dtypes of columns, as a user writes them."""

from __future__ import annotations

from typing import Literal

Dtype = Literal[
    "Boolean",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Float32",
    "Float64",
    "String",
    "Date",
    "Datetime",
]
"""Polars dtypes that Delta stores. ``Datetime`` is microseconds in UTC."""
