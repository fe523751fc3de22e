"""When the clock is set, everything that is remembered moves with it: no rollout, wait or deadline gets longer or
shorter, and nothing stands still until a date that never was.

The times that people read, deny windows and schedules go by the clock as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from controllers.runtime.clock import TOLERANCE, WatchedClock, boot
from framework.api.errors import ConflictError
from framework.planning.grammar.instants import moved
from framework.planning.grammar.kind import Kind
from framework.planning.grammar.reasons import CLOCK_SET
from framework.ports import ClockMark, Event, Record, StateStore
from framework.render.wording import span

log = logging.getLogger(__name__)

_TRIES = 5
"""To move all records together while others still write some."""


@dataclass
class Timekeeper:
    """Of one leader. Until ``era`` is a number, nothing that is remembered may be held against the clock; a look that
    began in one era and ended in another counts for nothing.

    By how much the clock was set is told from what the store says of it, and kept there together with what has moved:
    so it moves once, whatever fails in between, and also where nobody was there to see it.
    """

    state: StateStore
    kinds: Mapping[str, Kind]
    clock: WatchedClock
    token: Callable[[], int]
    actor: str
    boot: Callable[[], str] = boot
    _seen: int | None = field(default=None, init=False)

    @property
    def era(self) -> int | None:
        """None while the clock was set and not everything has moved with it yet."""
        return self.clock.jumps if self._seen == self.clock.jumps else None

    def look(self) -> None:
        """See to it that everything has moved. Raises what the state store raises, and is called again then."""
        self.clock()
        jumps = self.clock.jumps
        if self._seen != jumps:
            self._catch_up()
            self._seen = jumps

    def _catch_up(self) -> None:
        for attempt in range(_TRIES):
            now, uptime = self.clock.reading()
            mark, boot = self.state.clock(), self.boot()
            jump = self._jump(mark, ClockMark(boot=boot, wall=now, uptime=uptime))
            if abs(jump) <= TOLERANCE and mark is not None and mark.boot == boot:
                return
            try:
                self._keep(ClockMark(boot=boot, wall=now, uptime=uptime), jump)
                return
            except ConflictError:
                if attempt == _TRIES - 1:
                    raise

    def _jump(self, before: ClockMark | None, now: ClockMark) -> timedelta:
        """By how much the clock was set in between. After another start of the machine, or on another machine, nobody
        knows how long ago ``before`` was; but what happened lies behind."""
        if before is not None and before.boot == now.boot:
            return now.wall - before.wall - timedelta(seconds=now.uptime - before.uptime)
        last = self.state.seal().last
        return timedelta(0) if last is None else min(timedelta(0), now.wall - last)

    def _keep(self, mark: ClockMark, jump: timedelta) -> None:
        if abs(jump) <= TOLERANCE:
            self.state.set_clock(mark, self.token())
            return
        direction = "ahead" if jump > timedelta(0) else "back"
        much = span(timedelta(seconds=round(abs(jump).total_seconds())))
        message = f"the clock went {direction} by {much}; what is remembered moves with it"
        event = Event(time=mark.wall, commit="", ref=None, reason=CLOCK_SET, message=message, actor=self.actor)
        self.state.set_clock(mark, self.token(), self._moved(jump), [event])
        log.warning("%s", message)

    def _moved(self, by: timedelta) -> list[Record]:
        found = []
        for record in self.state.scan():
            kind = self.kinds.get(record.ref.kind)
            status = None if kind is None else moved(record.status, kind.state, by)
            if status is not None:
                found.append(record.model_copy(update={"status": status}))
        return found
