"""New commit -> may it take effect -> which resources to look at."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from controllers import acceptance
from controllers.acceptance import Terms
from controllers.loaded import Loaded, Read
from framework.api.errors import ConfigurationError, Problem, SpecError, TransientError
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.admission import Rules
from framework.planning.changes import Desired
from framework.planning.kind import Kind
from framework.ports import Event, Pin, Ports, Revision

__all__ = ["Loaded", "Read", "SourceController"]

log = logging.getLogger(__name__)

_ALL_REVISIONS = 1_000_000

Examine = Callable[[Loaded | None, Loaded], tuple[Problem, ...]]
"""What speaks against a commit that is valid as it reads, compared with what is in force."""


def unexamined(before: Loaded | None, after: Loaded) -> tuple[Problem, ...]:
    return ()


@dataclass(frozen=True)
class Waiting:
    """A valid commit that a deny window keeps from taking effect."""

    candidate: Loaded
    until: datetime


@dataclass
class SourceController:
    """Keeps the last good snapshot in force. A bad commit changes nothing, and newer commits are still looked at.

    ``revision`` is what is followed. ``wired`` is the Environment that the ports were opened with; None where that does
    not matter. ``loaded`` is what is in force, ``refused`` why commits that are not may not be.
    """

    ports: Ports
    read: Read
    revision: str
    clock: Callable[[], datetime]
    token: Callable[[], int]
    actor: str
    allow_prune: bool = False
    loaded: Loaded | None = None
    refused: dict[str, SpecError] = field(default_factory=dict)
    terms: Terms = field(default_factory=Terms)
    kinds: Mapping[str, Kind] = field(default_factory=lambda: KINDS)
    wired: EnvironmentSpec | None = None
    examine: Examine = unexamined
    rules: Rules = field(default_factory=Rules)
    newest: str = ""
    waiting: Waiting | None = None
    pin: Pin | None = None
    """The pin in force."""
    unreachable: str = ""
    """Why the source cannot be read now."""
    _told: bool = field(default=False, init=False)
    """Whether everything in force was given out to be looked at."""
    _kept: dict[str, Loaded] = field(default_factory=dict, init=False, repr=False)

    @property
    def desired(self) -> Mapping[Ref, Desired[Any]]:
        return self.loaded.desired if self.loaded else {}

    @property
    def problem(self) -> SpecError | None:
        """What is wrong with the newest commit."""
        return self.refused.get(self.newest)

    @property
    def note(self) -> str:
        """One sentence why what is in force is not what the newest commit asks for, though nothing is wrong with it."""
        if self.unreachable:
            return f"the source cannot be read: {self.unreachable}"
        if self.waiting is not None:
            return acceptance.window_message(self.waiting.until)
        return acceptance.pin_message(self.pin) if self.pin is not None else ""

    def poll(self) -> tuple[Ref, ...] | None:
        """Look at the newest commit. The refs to look at: the first time all of them, later what a commit that takes
        effect asks for differently or no longer; None where nothing new takes effect.

        Raises:
            SpecError: the newest commit may not take effect, and nothing earlier is in force.
            TransientError, ConfigurationError: the source cannot be read, and nothing is in force.
        """
        if self.loaded is None:
            self._restore()
        work = self._look()
        if self._told or self.loaded is None:
            return work
        self._told = True
        return self._everything()

    def _look(self) -> tuple[Ref, ...] | None:
        try:
            self.ports.source.refresh()
            self.newest = self.ports.source.resolve(self.revision)
        except (TransientError, ConfigurationError) as error:
            self._lost(error)
            if self.loaded is None:
                raise
            return None
        self._found()
        pin = self.ports.state.pin()
        ended = self.pin if pin is None else None
        if ended is not None:
            self._end_pin(ended)  # somebody took it back
        work = None
        if pin is None or not self._stands(pin):
            over = pin or ended
            work = self._consider(self.newest, over.over if over else None)
            if pin is not None and self.loaded is not None and self.loaded.commit == self.newest:
                self.ports.state.set_pin(None)
                self._end_pin(pin)
                pin = None
        if pin is not None:
            held = self._hold(pin)
            work = work if held is None else held
        if self.loaded is None and self.problem is not None:
            raise self.problem
        return work

    def _restore(self) -> None:
        """What was in force when the last controller ended is in force now."""
        for revision in self.ports.state.revisions(_ALL_REVISIONS):
            if revision.accepted:
                try:
                    self.loaded = self._load(revision.commit)
                except (SpecError, ConfigurationError) as error:
                    log.error("commit %s was in force and cannot be read any more: %s", revision.commit[:7], error)
                    return
                pin = self.ports.state.pin()
                self.pin = pin if pin is not None and pin.commit == revision.commit else None
                self._govern()
                return

    def _consider(self, commit: str, over: str | None) -> tuple[Ref, ...] | None:
        """Take ``commit`` up, if it may take effect now. ``over``: the commit that a pin was set over."""
        if commit in self.refused or (self.loaded is not None and commit == self.loaded.commit):
            self._wait(None)
            return None
        if self._still_waits(commit):
            return None
        base = over or (self.loaded.commit if self.loaded else None)
        problems = self._distrust(commit, base)
        try:
            if problems:
                raise SpecError(problems)
            candidate = self._load(commit)
            if self.loaded is not None and candidate.digest == self.loaded.digest:
                return self._take_up(candidate, "RevisionAccepted", candidate.subject)
            at_stake = self._at_stake(candidate)
            refusals = acceptance.refusals(self.loaded, candidate, at_stake, self.kinds, self.wired, self._terms)
            self._ensure((*refusals, *self.examine(self.loaded, candidate)))
        except SpecError as error:
            self._refuse(commit, error)
            self._wait(None)
            return None
        until = acceptance.window_end(self.loaded, candidate, self.clock())
        if until is not None:
            self._wait(Waiting(candidate, until))
            return None
        return self._take_up(candidate, "RevisionAccepted", candidate.subject)

    def _stands(self, pin: Pin) -> bool:
        """Whether git still asks for what it asked for when the pin was set. What cannot be read asks for nothing."""
        if self.newest == pin.over:
            return True
        try:
            return self._load(self.newest).digest == self._load(pin.over).digest
        except (SpecError, ConfigurationError):
            return False

    def _hold(self, pin: Pin) -> tuple[Ref, ...] | None:
        """Put the pinned commit in force. An operator's word passes through windows and policies, not through the
        demand for a signature nor through the guard against removing too much."""
        if pin == self.pin or pin.commit in self.refused:
            return None
        try:
            self._ensure(self._distrust(pin.commit, None))
            candidate = self._load(pin.commit)
            self._ensure(acceptance.prune_refusal(self.loaded, candidate, self._at_stake(candidate), self._terms))
        except ConfigurationError as error:
            self._refuse_pin(pin, SpecError([Problem(f"commit {pin.commit[:7]}", 0, 0, "", str(error))]))
            return None
        except SpecError as error:
            self._refuse_pin(pin, error)
            return None
        self.pin = pin
        return self._take_up(candidate, acceptance.PIN_IN_FORCE, acceptance.pin_message(pin))

    def _refuse_pin(self, pin: Pin, error: SpecError) -> None:
        self.refused[pin.commit] = error
        log.error("the pin on commit %s cannot be followed:\n%s", pin.commit[:7], error)
        self._event(pin.commit, "PinRefused", "; ".join(acceptance.told(error.problems)))

    def _end_pin(self, pin: Pin) -> None:
        self.pin = None
        self._govern()
        self._event(self.newest, "PinEnded", f"the pin on commit {pin.commit[:7]} is over")

    def _take_up(self, candidate: Loaded, reason: str, message: str) -> tuple[Ref, ...]:
        before, old_rules = self.loaded, self.rules
        revision = Revision(
            commit=candidate.commit,
            digest=candidate.digest,
            accepted=True,
            time=self.clock(),
            subject=candidate.subject,
        )
        self.ports.state.save_revision(revision, self.token())
        self._event(candidate.commit, reason, message, before=before.commit if before else None, after=candidate.commit)
        self.loaded, self.waiting = candidate, None
        self.refused.clear()
        self._govern()
        if before is None or self.rules != old_rules:
            self._told = True
            return self._everything()
        return acceptance.changed(before, candidate)

    def _refuse(self, commit: str, error: SpecError) -> None:
        self.refused[commit] = error
        problems = acceptance.told(error.problems)
        newest = next(iter(self.ports.state.revisions(1)), None)
        if newest is not None and (newest.commit, newest.accepted, newest.problems) == (commit, False, problems):
            return  # after a restart: nothing new to write down
        revision = Revision(commit=commit, digest="", accepted=False, time=self.clock(), problems=problems)
        self.ports.state.save_revision(revision, self.token())
        self._event(commit, "RevisionRefused", _first_of(problems))

    def _wait(self, waiting: Waiting | None) -> None:
        """Remember which commit waits for a window, or that none does."""
        before, self.waiting = self.waiting, waiting
        if before != waiting:
            self._govern()
        if waiting is None or (before is not None and before.candidate.commit == waiting.candidate.commit):
            return
        commit, message = waiting.candidate.commit, acceptance.window_message(waiting.until)
        log.info("commit %s: %s", commit[:7], message)
        told = self.ports.state.events(limit=50)
        if not any((event.commit, event.reason) == (commit, acceptance.WAITS_FOR_WINDOW) for event in told):
            self._event(commit, acceptance.WAITS_FOR_WINDOW, message)

    def _still_waits(self, commit: str) -> bool:
        waiting = self.waiting
        return waiting is not None and waiting.candidate.commit == commit and self.clock() < waiting.until

    def _govern(self) -> None:
        """Work out what may be done now. Under a pin the newest commit's Environment governs, where it can be read."""
        if self.loaded is None:
            return
        governing = self.loaded.environment
        if self.pin is not None:
            try:
                governing = self._load(self.newest or self.pin.over).environment
            except (SpecError, ConfigurationError) as error:
                log.warning("the pinned commit's own Environment governs: %s", error)
        self.rules = acceptance.rules(self.loaded, governing, self.waiting.candidate if self.waiting else None)

    def _distrust(self, commit: str, base: str | None) -> tuple[Problem, ...]:
        source, terms = self.ports.source, self._terms
        descends = base is None or terms.allow_force_push or source.descends(commit, base)
        return acceptance.distrust(commit, base, descends, source.signature(commit) if terms.signed else None, terms)

    @property
    def _terms(self) -> Terms:
        return replace(self.terms, allow_prune=self.terms.allow_prune or self.allow_prune)

    def _ensure(self, problems: tuple[Problem, ...]) -> None:
        if problems:
            raise SpecError(problems)

    def _load(self, commit: str) -> Loaded:
        """Read a commit; the few that matter at a time are kept."""
        found = self._kept.get(commit)
        if found is None:
            found = self.read(commit)
            matter = {self.newest, self.loaded.commit if self.loaded else ""}
            self._kept = {key: item for key, item in self._kept.items() if key in matter} | {commit: found}
        return found

    def _at_stake(self, candidate: Loaded) -> list[Ref]:
        """What is on record, where ``candidate`` removes something of it. Else nobody has to read all records."""
        before = self.loaded
        if (
            before is not None
            and before.environment.deletion.prune
            and before.desired.keys() <= candidate.desired.keys()
        ):
            return []
        return self._recorded()

    def _recorded(self) -> list[Ref]:
        return [record.ref for record in self.ports.state.records()]

    def _everything(self) -> tuple[Ref, ...]:
        """All that is asked for, and what is recorded but no longer asked for."""
        return (*self.desired, *sorted(ref for ref in self._recorded() if ref not in self.desired))

    def _lost(self, error: Exception) -> None:
        if self.loaded is not None and not self.unreachable:
            log.warning("the source cannot be read, commit %s stays in force: %s", self.loaded.commit[:7], error)
            self._event(
                self.loaded.commit, "SourceUnavailable", f"commit {self.loaded.commit[:7]} stays in force: {error}"
            )
        self.unreachable = str(error)

    def _found(self) -> None:
        if self.unreachable and self.loaded is not None:
            self._event(self.loaded.commit, "SourceAvailable", "the source can be read again")
        self.unreachable = ""

    def _event(self, commit: str, reason: str, message: str, **data: Any) -> None:
        """``data``: where the commit in force changed, the one before and the one after."""
        event = Event(
            time=self.clock(), commit=commit, ref=None, reason=reason, message=message, data=data, actor=self.actor
        )
        self.ports.state.append_events([event], self.token())


def _first_of(problems: tuple[str, ...]) -> str:
    """Of one problem all of it, of several the number and the first."""
    return problems[0] if len(problems) == 1 else f"{len(problems)} problems; the first: {problems[0]}"
