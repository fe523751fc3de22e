"""What the source controller writes down: revisions, with what they come to in one transaction, and events of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controllers.revision import acceptance
from controllers.revision.snapshot import Snapshot
from framework.api.errors import Problem
from framework.planning.grammar.reasons import PIN_ENDED, REVISION_REFUSED, Reason
from framework.ports import Event, Pin, Revision, StateStore


@dataclass(frozen=True)
class Chronicle:
    """Nothing is told twice: a process may end, or an answer be lost, before anybody here knows what was written."""

    state: StateStore
    clock: Callable[[], datetime]
    token: Callable[[], int]
    actor: str

    def accept(self, loaded: Snapshot, pin: Pin | None, told: Sequence[Event], *, unpinned: bool = False) -> None:
        self._save(
            Revision(
                commit=loaded.commit,
                digest=loaded.digest,
                accepted=True,
                time=self.clock(),
                subject=loaded.subject,
                pin=pin,
                unpinned=unpinned,
            ),
            told,
        )

    def refuse(self, commit: str, problems: Sequence[Problem]) -> None:
        words = acceptance.told(problems)
        revision = Revision(commit=commit, digest="", accepted=False, time=self.clock(), problems=words)
        self._save(revision, [self.event(commit, REVISION_REFUSED, acceptance.first_of(problems))])

    def _save(self, revision: Revision, told: Sequence[Event]) -> None:
        newest = next(iter(self.state.revisions(1)), None)
        if newest is None or newest.model_copy(update={"time": revision.time}) != revision:
            self.state.save_revision(revision, self.token(), told)

    def end_pin(self, pin: Pin, newest: str) -> None:
        event, said = self.pin_ended(pin, newest), self.said(PIN_ENDED)
        told = said is not None and said.data == event.data
        self.state.end_pin(pin, self.token(), () if told else (event,))

    def pin_ended(self, pin: Pin, newest: str) -> Event:
        message = f"the pin on commit {pin.commit[:7]} is over"
        return self.event(newest, PIN_ENDED, message, pin=pin.commit, set=pin.time.isoformat())

    def said(self, *reasons: Reason) -> Event | None:
        """What the log has last said of it, by whichever process."""
        found = self.state.events(limit=1, kinds=("",), reasons=reasons)
        return found[0] if found and found[0].reason in reasons else None

    def tell(self, event: Event) -> None:
        self.state.append_events([event], self.token())

    def event(self, commit: str, reason: Reason, message: str, **data: Any) -> Event:
        """``data``: where the commit in force changed, the one before and the one after."""
        return Event(
            time=self.clock(), commit=commit, ref=None, reason=reason, message=message, data=data, actor=self.actor
        )
