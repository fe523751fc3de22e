"""What names the values of a table, column by column."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import numpy as np
import polars as pl

_LENGTH = 16
_ROWS = 1 << 20
"""So many rows at a time are taken to what is hashed."""
_A_BYTE = 8


def digests(frame: pl.DataFrame) -> dict[str, str]:
    """16 hex characters of a SHA-256 by column: equal for equal values in equal rows, whatever wrote them. ``-0.0`` and
    ``0.0`` are one value."""
    found = Digests()
    found.update(frame)
    return found.values()


class Digests:
    """The same of rows that come in batches, in their order; however they are cut, equal rows have equal digests."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}

    def update(self, frame: pl.DataFrame) -> None:
        for column in frame:
            self._columns.setdefault(column.name, _Column(column.dtype)).update(column)

    def values(self) -> dict[str, str]:
        """By column, of all rows so far."""
        return {name: column.digest() for name, column in self._columns.items()}


class _Column:
    def __init__(self, dtype: pl.DataType) -> None:
        self._dtype, self._rows = dtype, 0
        self._missing, self._lengths, self._values = sha256(), sha256(), sha256()
        self._flags = np.zeros(0, dtype=bool)
        """Of rows that do not fill a byte yet."""

    def update(self, column: pl.Series) -> None:
        self._rows += column.len()
        for part in _parts(column):
            flags = np.concatenate([self._flags, part.is_null().to_numpy()])
            whole = len(flags) - len(flags) % _A_BYTE
            self._missing.update(np.packbits(flags[:whole]).tobytes())
            self._flags = flags[whole:]
            if part.dtype == pl.String:
                filled = part.fill_null("")
                self._lengths.update(filled.str.len_bytes().to_numpy().tobytes())
                self._values.update(filled.str.join("").item().encode())
            else:
                self._values.update(_numbers(part))

    def digest(self) -> str:
        missing = self._missing.copy()
        missing.update(np.packbits(self._flags).tobytes())
        parts = (part.hexdigest() for part in (missing, self._lengths, self._values))
        told = "/".join((str(self._dtype), str(self._rows), *parts))
        return sha256(told.encode()).hexdigest()[:_LENGTH]


def _parts(column: pl.Series) -> Iterator[pl.Series]:
    return (column.slice(start, _ROWS) for start in range(0, column.len(), _ROWS))


def _numbers(part: pl.Series) -> bytes:
    physical = part.cast(pl.UInt8) if part.dtype == pl.Boolean else part.to_physical()
    values = physical.fill_null(0).to_numpy()
    return bytes((values + 0.0 if part.dtype.is_float() else values).tobytes())  # adding 0.0 makes 0.0 of -0.0
