"""Which rows count at each row: from where on, and up to where, in rows that are in the order of entities and times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]
"""Numbers of rows, from 0."""


@dataclass(frozen=True)
class Timeline:
    """Rows of entities one after the other, each in the order of time. ``at``: int64 of shape (rows,), in
    microseconds. ``first``: the row with which the entity of a row begins. ``end``: one beyond the last row of the same
    entity and instant, so that rows of one instant see each other, whichever of them is asked."""

    at: Places
    first: Places
    end: Places

    @classmethod
    def of(cls, at: Places, begins: npt.NDArray[np.bool_]) -> Timeline:
        """``begins``: whether a row is the first one of its entity."""
        rows = len(at)
        moves = begins.copy()
        moves[1:] |= at[1:] != at[:-1]
        starts = np.flatnonzero(moves)
        return cls(at, _begun(begins), np.append(starts[1:], rows)[np.cumsum(moves) - 1] if rows else at)

    def window(self, length: int) -> Places:
        """The first row that is less than ``length`` microseconds older, of each row."""
        low, high = self.first.copy(), np.arange(len(self.at))
        oldest = self.at - length
        while (low < high).any():  # all rows search by halves, each among those of its entity
            middle = (low + high) // 2
            late = self.at[middle] > oldest
            low, high = np.where(late, low, middle + 1), np.where(late, middle, high)
        return low

    def session(self, gap: int) -> Places:
        """The first row of the session, of each row: no two that follow each other lie more than ``gap`` apart."""
        begins = self.first == np.arange(len(self.at))
        begins[1:] |= np.diff(self.at) > gap
        return _begun(begins)


def _begun(begins: npt.NDArray[np.bool_]) -> Places:
    starts = np.flatnonzero(begins)
    found: Any = starts[np.cumsum(begins) - 1] if len(begins) else starts
    return found  # type: ignore[no-any-return]
