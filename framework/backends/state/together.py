"""Writes of several threads to one SQLite file, committed together: a commit waits for the disk, and one wait is enough
for all who wait at the same time.

Whoever writes has the file for itself meanwhile, and its write stands or falls by itself: each has a savepoint. Nobody
is told that it has written before the disk has it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from framework.api.errors import TransientError

MOST = 32
"""Writes that are committed together: nobody waits for more."""

_PATIENCE = 0.5
"""Seconds after which somebody sees to a commit that was left to another one."""

Begin = Callable[[], AbstractContextManager[Connection]]
"""A transaction: committed at the end of its block, rolled back if that raises."""


class Together:
    """``begin`` begins a transaction. Threads take turns in the order in which the lock lets them; the one after whom
    nobody waits commits for all since the last commit."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._turn, self._counting = threading.Lock(), threading.Lock()
        self._waiting = 0
        self._open: _Batch | None = None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Raises what ``begin`` raises; TransientError, when what another one did broke the transaction of both."""
        with self._next():
            batch = self._open = self._open or _Batch(self._begin)
            try:
                with batch.part() as connection:
                    yield connection
            finally:
                if batch.broken or batch.parts >= MOST or not self._waiting:
                    self._end(batch)
        while not batch.over(_PATIENCE):
            with self._turn:  # whoever it was left to has been interrupted
                self._end(batch)

    def _end(self, batch: _Batch) -> None:
        if self._open is batch:
            self._open = None
            batch.end()

    @contextmanager
    def _next(self) -> Iterator[None]:
        """Wait for the turn. Whoever is counted as waiting will have it, so a commit may be left to it."""
        self._count(1)
        try:
            self._turn.acquire()
        finally:
            self._count(-1)
        try:
            yield
        finally:
            self._turn.release()

    def _count(self, more: int) -> None:
        with self._counting:
            self._waiting += more


class _Batch:
    """One transaction of several writes."""

    def __init__(self, begin: Begin) -> None:
        self._stack = ExitStack()
        self._connection = self._stack.enter_context(begin())
        self._over = threading.Event()
        self._error: Exception | None = None
        self.parts = 0
        self.broken = False

    @contextmanager
    def part(self) -> Iterator[Connection]:
        """What raises leaves nothing behind; all others stay."""
        self.parts += 1
        self._connection.exec_driver_sql("SAVEPOINT part")
        try:
            yield self._connection
            self._connection.exec_driver_sql("RELEASE part")
        except BaseException:
            try:
                self._connection.exec_driver_sql("ROLLBACK TO part")
                self._connection.exec_driver_sql("RELEASE part")
            except DBAPIError:  # SQLite has rolled everything back: a full disk, or one that cannot be read
                self.broken = True
            raise

    def end(self) -> None:
        """Commit for all. What goes wrong is told to each of them."""
        try:
            if self.broken:
                broken = TransientError("the transaction was rolled back, because another write in it failed")
                self._stack.__exit__(TransientError, broken, None)
                raise broken
            self._stack.close()
        except Exception as error:
            self._error = error
        finally:
            self._over.set()

    def over(self, seconds: float) -> bool:
        """Whether all of it is on disk, within so many ``seconds``. Raises why it never will be."""
        ended = self._over.wait(seconds)
        if self._error is not None:
            raise self._error
        return ended
