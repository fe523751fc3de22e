"""Repeats the registry of an environment where its Environment says: one leader at a time, the oldest version first.

What is there already is kept with the state, after it was sent: a crash in between sends it again, which changes
nothing there. Nothing is asked of the mirror while nothing has happened.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controllers.commands.models import known_of, listed, told_in_files, verified
from controllers.commands.project import Project
from controllers.runtime.trouble import in_a_line
from framework.api.errors import ConfigurationError, TerminalError, TransientError
from framework.planning.grammar.reasons import MIRROR_CAUGHT_UP, MIRROR_DOWN, MIRROR_REFUSED, Reason
from framework.planning.reports.mirroring import in_doubt, moved_aliases, pending, tracked, with_aliases, with_version
from framework.planning.reports.models import ModelRow
from framework.ports import Event, MirrorMark, Outage, TrackingMirror

log = logging.getLogger(__name__)

EVERY, LONGEST = 5.0, 300.0
"""Seconds between two looks at what happened, and to which they grow while the mirror is down."""
SHARE = 0.1
"""Of a core that looks may take."""
AT_A_TIME = 20
"""Versions that are sent before it is noted that they are there."""


@dataclass
class Mirroring:
    """Called again and again by one thread. ``address`` is what the commit in force says, ``token`` that of the lease;
    ``going`` says whether to go on with what is left."""

    project: Project
    address: Callable[[], str | None]
    token: Callable[[], int]
    going: Callable[[], bool]
    outage: Outage | None = field(default=None, init=False)
    """Why it lags behind; for whoever tells the status."""
    _mark: MirrorMark | None = field(default=None, init=False)
    _mirror: TrackingMirror | None = field(default=None, init=False)
    _seen: int = field(default=-1, init=False)
    """The last event when everything was sent."""
    _failures: int = field(default=0, init=False)

    def __call__(self) -> float:
        """Send what is missing, a few versions at most. Seconds until the next call, 0 where more is left. Raises what
        the state store raises."""
        address = self.address()
        if address is None:
            self._mark = self._mirror = self.outage = None
            return EVERY
        mark = self._at(address)
        newest = max((event.sequence for event in self.project.ports.state.events(limit=1)), default=0)
        if newest == self._seen:
            return EVERY
        started = time.thread_time()
        rows = listed(self.project.ports, None)
        told: list[tuple[Reason, str]] = []
        found, failure = self._put(rows, mark, told)
        if failure is None and not pending(rows, found):
            found, failure = self._name(rows, found)
        left = bool(pending(rows, found) or moved_aliases(rows, found))
        self._keep(*self._outcome(found, told, failure, left=left))
        if failure is not None:
            self._failures += 1
            return min(LONGEST, EVERY * 2.0 ** min(self._failures, 20))
        self._failures = 0
        if left:
            return 0.0 if self.going() else EVERY
        self._seen = newest
        return max(EVERY, (time.thread_time() - started) / SHARE)

    def _at(self, address: str) -> MirrorMark:
        """How far the mirror there is."""
        if self._mark is None or self._mark.address != address:
            kept = self.project.ports.state.mirror_mark()
            self._mark = kept if kept is not None and kept.address == address else MirrorMark(address=address)
            self._mirror, self._seen, self._failures, self.outage = None, -1, 0, self._mark.outage
        return self._mark

    def _put(
        self, rows: list[ModelRow], mark: MirrorMark, told: list[tuple[Reason, str]]
    ) -> tuple[MirrorMark, Exception | None]:
        """How far it is with some more versions there, and what kept others from it."""
        for row in pending(rows, mark)[:AT_A_TIME]:
            if not self.going():
                break
            try:
                version = tracked(row.model, self.project.settings.environment, _files(row))
                self._opened(mark.address).put(version)
            except TerminalError as error:
                told.append((MIRROR_REFUSED, str(error)))
            except Exception as error:  # whatever a vendor's library raises: the mirror alone is to suffer from it
                return mark, error
            mark = with_version(mark, row.model)
        return mark, None

    def _name(self, rows: list[ModelRow], mark: MirrorMark) -> tuple[MirrorMark, Exception | None]:
        """The same with aliases. That they move is noted before: one that was set just before a crash is known to be
        there, should nothing be called so any more."""
        moves = moved_aliases(rows, mark) if self.going() else {}
        mark = in_doubt(mark, moves)
        self._keep(mark, [])
        for training, moved in moves.items():
            try:
                self._opened(mark.address).name(training, moved)
            except Exception as error:
                return mark, error
            mark = with_aliases(mark, training, moved)
        return mark, None

    def _opened(self, address: str) -> TrackingMirror:
        if self._mirror is None:
            self._mirror = self.project.mirror(address)
        return self._mirror

    def _outcome(
        self, mark: MirrorMark, told: list[tuple[Reason, str]], failure: Exception | None, *, left: bool
    ) -> tuple[MirrorMark, list[Event]]:
        now, outage = self.project.clock(), mark.outage
        if failure is not None:
            message = in_a_line(failure)
            if outage is None:
                told.append((MIRROR_DOWN, f"models are not mirrored to {mark.address}: {message}"))
            outage = Outage(since=outage.since if outage else now, message=message)
        elif outage is not None and not left:
            told.append((MIRROR_CAUGHT_UP, f"all models are mirrored to {mark.address} again"))
            outage = None
        events = [self._event(reason, message, now) for reason, message in told]
        return mark.model_copy(update={"outage": outage}), events

    def _event(self, reason: Reason, message: str, now: datetime) -> Event:
        actor = self.project.settings.holder
        return Event(time=now, commit="", ref=None, reason=reason, message=message, actor=actor)

    def _keep(self, mark: MirrorMark, events: list[Event]) -> None:
        if mark != self._mark or events:
            self.project.ports.state.set_mirror_mark(mark, self.token(), events)
        self._mark, self.outage = mark, mark.outage


def _files(row: ModelRow) -> Mapping[str, bytes]:
    """The card, the signature and the model file, which is left out where it is lost or damaged.

    Raises:
        TransientError: it cannot be read now.
    """
    model, files = row.model, told_in_files(known_of(row))
    try:
        return {model.artifact.rpartition("/")[2]: verified(model), **files}
    except ConfigurationError as error:
        if isinstance(error.__cause__, OSError):
            raise TransientError(str(error)) from error
        log.warning("%s is mirrored without its model file: %s", row.label, error)
        return files
