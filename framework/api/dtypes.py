"""What a column of a FeatureView can be used for, by its declared dtype. Pure."""

from __future__ import annotations

INTEGERS = frozenset({"Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"})
FLOATS = frozenset({"Float32", "Float64"})
NUMBERS = INTEGERS | FLOATS
TIMES = frozenset({"Date", "Datetime"})
KEYS = INTEGERS | {"String"}
"""Dtypes of what names a row for certain: two floats that look alike need not be equal."""
