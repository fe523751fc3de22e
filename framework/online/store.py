"""What every online store can do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from framework.ports import OnlineCatalog, OnlineVersion

TIMEOUT = 5.0
"""Seconds that a call may take, where nobody says otherwise."""
STAMP = 8
"""Bytes at the beginning of a value that compare as the times do from which it holds."""

Batch = Sequence[tuple[bytes, bytes]]
"""Keys with their values, each key once in a write."""


@dataclass(frozen=True)
class FoundRows:
    """What one view's version has of the keys that were asked for, in their order."""

    version: OnlineVersion
    values: Sequence[bytes | None]


class OnlineStore(OnlineCatalog, Protocol):
    """Verbs raise TransientError while the store does not answer within its time. Safe for several threads."""

    def write(
        self, view: str, version: OnlineVersion, batches: Iterable[Batch], onto: OnlineVersion | None = None
    ) -> OnlineVersion:
        """Make ``version`` what readers find, all at once and after the last batch; what was there before goes. With
        ``onto`` the batches are what differs from that version: each takes the place of a value that holds from the
        same time or from an earlier one, and the rest stays. Gives the version as it is described from now on.

        Raises TransientError also where another write came between; whoever reads finds what was there before.
        """
        ...

    def read(self, keys: Mapping[str, Sequence[bytes]]) -> Mapping[str, FoundRows | None]:
        """By view, what is found of its keys, at one moment and in one round trip; None for a view that is not
        there."""
        ...
