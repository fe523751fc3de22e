"""The life of one request in the router: choose, call, shield, count. Knows asyncio, not Ray."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from framework.workloads.serving.counters import Counters
from framework.workloads.serving.routing import TrafficTable, call_budget, choose

RETRY_AFTER_SECONDS = 1


class OverloadedError(Exception):
    """A version's queue is full. It ran nothing, so this is not its error and any other version may be asked."""


@dataclass(frozen=True)
class Reply:
    """What goes back to the caller. ``app`` answered (or failed last); None where no version was asked.

    ``overloaded``: nothing ran, so the same request may be sent again.
    """

    status: int
    body: bytes
    app: str | None = None
    overloaded: bool = False

    @property
    def retry_after(self) -> int | None:
        """Seconds for the Retry-After header."""
        return RETRY_AFTER_SECONDS if self.overloaded else None


def refusal(status: int, kind: str, message: str, app: str | None = None) -> Reply:
    """An error as the protocol has it: ``{"error": {"type", "message"}}``."""
    return Reply(status, json.dumps({"error": {"type": kind, "message": message}}).encode(), app)


def overload(app: str | None = None) -> Reply:
    """503: ``app``, or the router itself, has no room for another request."""
    return replace(refusal(503, "overloaded", "too many requests are waiting; try again", app), overloaded=True)


Call = Callable[[str, bytes, str], Awaitable[Mapping[str, Any]]]
"""(app, body, request id) -> {status, body}, and ``failure`` where the version failed or refused (see
``ModelReplica.predict``). Raises OverloadedError, or anything else for a version that was lost."""


@dataclass(frozen=True)
class _Asked:
    """What came of one call. ``seconds`` is how long it took, ``failure`` what to remember of one that went wrong;
    ``ran``: the version itself says that it failed on this request."""

    app: str
    answer: Reply
    seconds: float = 0.0
    failure: Mapping[str, str] | None = None
    ran: bool = False

    @property
    def refuses(self) -> bool:
        return 400 <= self.answer.status < 500

    def fails_like(self, other: _Asked) -> bool:
        if self.failure is None or other.failure is None:
            return False
        return self.ran and other.ran and self.failure["type"] == other.failure["type"]


class Dispatcher:
    """Answers requests by the newest table, on one event loop, and knows which apps are still being waited for."""

    def __init__(self, call: Call, counters: Counters, clock: Callable[[], float] = time.monotonic) -> None:
        self._call = call
        self._counters = counters
        self._clock = clock
        self._using: Counter[str] = Counter()
        self._in_flight = 0
        self.table: TrafficTable | None = None
        self.acknowledged = 0
        """The newest generation for which nothing is sent to, or waited for from, an app outside its table."""

    def apply(self, table: TrafficTable) -> None:
        """Use ``table`` from the next request on; those in flight end by the table they began with."""
        self.table = table
        self._acknowledge()

    @contextmanager
    def admit(self) -> Iterator[TrafficTable]:
        """Hold a place among the requests in flight, from before the body is read.

        Raises:
            OverloadedError: ``max_queued`` requests are in flight already, or there is no table yet.
        """
        table = self.table
        if table is None or self._in_flight >= table.max_queued:
            raise OverloadedError
        self._in_flight += 1
        try:
            yield table
        finally:
            self._in_flight -= 1

    async def answer(
        self, body: bytes, headers: Mapping[str, str], request_id: str, deadline: float, draw: float
    ) -> Reply:
        """Ask the version that the table chooses, and stable where that one fails or refuses and may be shielded.

        ``deadline`` is in the clock's time. Must run inside ``admit``.
        """
        table = self.table
        assert table is not None, "admit refuses requests until there is a table"
        app = choose(table, headers, draw)
        with self._waiting_for(app, table.stable):
            first = await self._ask(table, app, body, request_id, deadline)
            if app == table.stable or first.answer.status < 400 or not (first.answer.overloaded or table.shield):
                self._count(first)
                return first.answer
            try:
                rescue = await self._ask(table, table.stable, body, request_id, deadline)
            except asyncio.CancelledError:
                self._count(first)
                raise
            self._count(rescue)
            self._compare(first, rescue)
            return rescue.answer

    async def _ask(self, table: TrafficTable, app: str, body: bytes, request_id: str, deadline: float) -> _Asked:
        started = self._clock()
        budget = call_budget(table, app, deadline - started)
        try:
            async with asyncio.timeout(max(0.0, budget)):
                reply = await self._call(app, body, request_id)
            status, content = int(reply["status"]), bytes(reply["body"])
        except OverloadedError:
            return _Asked(app, overload(app))
        except TimeoutError:
            message = f"no answer within {table.timeout_seconds:g} s"
            told = {"type": "Timeout", "message": message, "where": ""}
            # How long it would have taken nobody knows: longer than the caller waits.
            return _Asked(app, refusal(504, "timeout", message, app), table.timeout_seconds, told)
        except Exception as error:
            seconds = self._clock() - started
            told = {"type": type(error).__name__, "message": str(error).strip().partition("\n")[0][:200], "where": ""}
            return _Asked(app, refusal(500, "failed", f"the model failed ({told['type']})", app), seconds, told)
        seconds, failure = self._clock() - started, reply.get("failure")
        if status >= 500 and failure is not None:
            failed = refusal(status, "failed", f"the model failed ({failure['type']})", app)
            answer = failed if status == 500 else Reply(status, content, app)  # what it lacks, it says itself
            return _Asked(app, answer, seconds, failure, ran=True)
        return _Asked(app, Reply(status, content, app), seconds, failure)

    def _count(self, asked: _Asked) -> None:
        if asked.answer.overloaded:
            return
        if asked.answer.status >= 500:
            self._counters.failed(asked.app, asked.seconds, asked.failure)
        elif asked.answer.status >= 400:
            self._counters.refused(asked.app, asked.failure)
        else:
            self._counters.answered(asked.app, asked.seconds)

    def _compare(self, first: _Asked, rescue: _Asked) -> None:
        """Count what the candidate did, in the light of what stable made of the same request: where that one answered
        the candidate has failed, and where that one refuses it or fails in the same way it is the request."""
        if first.answer.overloaded:
            return
        if rescue.answer.status < 400:
            failure = first.failure
            if first.refuses and failure is not None:
                failure = {**failure, "type": "Refused"}
            self._counters.failed(first.app, first.seconds, failure)
            self._counters.shielded(first.app)
        elif rescue.refuses:
            self._counters.refused(first.app, first.failure)
        elif not first.fails_like(rescue):
            self._count(first)

    @contextmanager
    def _waiting_for(self, *apps: str) -> Iterator[None]:
        """Stable counts as in use even while only the candidate is asked: it may yet have to answer."""
        self._using.update(apps)
        try:
            yield
        finally:
            self._using.subtract(apps)
            self._using += Counter()  # drops the zeros
            self._acknowledge()

    def _acknowledge(self) -> None:
        if self.table is not None and all(app in self.table.weights for app in self._using):
            self.acknowledged = self.table.generation
