"""The files that a SQLite database consists of, which others may move, replace or put back while it is open.

A connection goes on with the files that it opened, whatever their names stand for meanwhile. And one that opens a
database whose log is still on its way begins a log of its own, and removes by name the one that came later.
"""

from __future__ import annotations

import os
from pathlib import Path

REST = 1.0
"""Seconds for which nothing may have changed before files that others put there are opened: it takes a while to move
or to copy them, and the database itself comes first."""

LONGEST = 10.0
"""Seconds after which they are opened though they do change: somebody else is at work on them."""

_SUFFIXES = "", "-wal", "-shm"


class Files:
    """Those at ``file``, its log and the log's index. At first none of them is open."""

    def __init__(self, file: Path) -> None:
        self._paths = tuple(f"{file}{suffix}" for suffix in _SUFFIXES)
        self._open: tuple[tuple[int, ...], ...] | None = None
        self._replaced: tuple[tuple[int, ...], ...] | None = None
        self._since = self._first = 0.0

    def opened(self) -> None:
        """What is there now is open."""
        self._open, self._replaced = self._names(), None

    def closed(self) -> None:
        """None of them is open any more."""
        self._open = None

    def same(self) -> bool:
        """Whether what is there is what is open."""
        return self._open is not None and self._names() == self._open

    def there(self) -> bool:
        return os.path.exists(self._paths[0])

    def at_rest(self, steady: float) -> bool:
        """Whether they may be opened: nobody replaced what was open, or all that did has been there for a while.

        Args:
            steady: seconds of a clock that nobody sets.
        """
        if self._open is None and self._replaced is None:
            return True
        found = tuple(_looked(path) for path in self._paths)
        if found != self._replaced:
            self._first = steady if self._replaced is None else self._first
            self._open, self._replaced, self._since = None, found, steady
        return steady - self._since >= REST or steady - self._first >= LONGEST

    def _names(self) -> tuple[tuple[int, ...], ...]:
        return tuple(_looked(path)[:2] for path in self._paths)


def _looked(path: str) -> tuple[int, ...]:
    """Device, inode, size and when it was written; nothing where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
