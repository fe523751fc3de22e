"""What names the values of a table, column by column."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import polars as pl

_LENGTH = 16
_ROWS = 1 << 20
"""So many rows at a time are taken to what is hashed; a multiple of 8, so that parts make the bits of the whole."""


def digests(frame: pl.DataFrame) -> dict[str, str]:
    """16 hex characters of a SHA-256 by column: equal for equal values in equal rows, whatever wrote them. ``-0.0`` and
    ``0.0`` are one value."""
    return {column.name: _digest(column) for column in frame}


def _digest(column: pl.Series) -> str:
    missing, lengths, values = sha256(), sha256(), sha256()
    for part in _parts(column):
        missing.update(_bits(part.is_null()))
        if part.dtype == pl.String:
            filled = part.fill_null("")
            lengths.update(filled.str.len_bytes().to_numpy().tobytes())
            values.update(filled.str.join("").item().encode())
        else:
            values.update(_numbers(part))
    told = "/".join((str(column.dtype), str(column.len()), *(part.hexdigest() for part in (missing, lengths, values))))
    return sha256(told.encode()).hexdigest()[:_LENGTH]


def _parts(column: pl.Series) -> Iterator[pl.Series]:
    return (column.slice(start, _ROWS) for start in range(0, column.len(), _ROWS))


def _numbers(part: pl.Series) -> bytes:
    physical = part.cast(pl.UInt8) if part.dtype == pl.Boolean else part.to_physical()
    values = physical.fill_null(0).to_numpy()
    return bytes((values + 0.0 if part.dtype.is_float() else values).tobytes())  # adding 0.0 makes 0.0 of -0.0


def _bits(flags: pl.Series) -> bytes:
    """Eight rows a byte."""
    import numpy as np

    return np.packbits(flags.to_numpy()).tobytes()
