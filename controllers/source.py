"""New commit -> may it take effect -> which resources to look at."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from controllers import acceptance
from controllers.acceptance import Terms
from controllers.commits import Commits, UnreadableError
from controllers.loaded import Loaded, Read
from controllers.runtime.permits import Permit, Permits
from controllers.runtime.trouble import Trouble, cause
from framework.api.errors import ConfigurationError, Problem, SpecError
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
    accepted: Callable[[Loaded], None] = lambda loaded: None
    """Told of what is in force, once it is."""
    rules: Rules = field(default_factory=Rules)
    newest: str = ""
    waiting: Waiting | None = None
    pin: Pin | None = None
    """The pin in force."""
    unreachable: str = ""
    """Why the source cannot be read now."""
    _told: bool = field(default=False, init=False)
    """Whether everything in force was given out to be looked at."""
    _distrusted: set[str] = field(default_factory=set, init=False)
    """Refused before they were read: for who signed them or what they follow on, which may change."""
    _permits: Permits = field(init=False, repr=False)
    _decided: bool = field(default=True, init=False)
    """Whether operators' words may have been acted upon since they were last taken back."""
    _due: tuple[Ref, ...] | None = field(default=None, init=False)
    """What took effect and has not been given out yet: a look may fail after that."""
    _trouble: Trouble = field(default_factory=lambda: Trouble(log, "the source cannot be read"), init=False, repr=False)
    _noted: Loaded | None = field(default=None, init=False, repr=False)
    _unnoted: Trouble = field(
        default_factory=lambda: Trouble(log, "what is in force cannot be noted"), init=False, repr=False
    )
    _past: Trouble = field(
        default_factory=lambda: Trouble(log, "what was in force cannot be read any more"), init=False, repr=False
    )
    _commits: Commits = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._permits, self._commits = Permits(self.ports.state), Commits(self.ports.source, self.read)

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
            Exception: the source cannot be read, whatever it raises, and nothing is in force; or the store cannot.
        """
        try:
            if self.loaded is None:
                self._restore()
            self._look()
            self._found()
        except UnreadableError as error:
            self._lost(error.reason)
            if self.loaded is None:
                raise error.reason from None
        if self.loaded is None:
            if self.problem is not None:
                raise self.problem
            return None
        self._note_in_force(self.loaded)
        work = self._due if self._told else self._everything()
        self._due, self._told = None, True
        return work

    def _note_in_force(self, loaded: Loaded) -> None:
        if loaded is self._noted:
            return
        try:
            self.accepted(loaded)
        except Exception as error:
            self._unnoted.came_up(error)
            return
        self._noted = loaded
        self._unnoted.over()

    def _look(self) -> None:
        self.newest = self._commits.newest(self.revision)
        pin = self.ports.state.pin()
        ended = self.pin if pin is None else None
        if ended is not None:
            self._end_pin(ended)  # somebody took it back
        if pin is None or not self._stands(pin):
            over = pin or ended
            self._consider(self.newest, over.over if over else None)
            if pin is not None and self.loaded is not None and self.loaded.commit == self.newest:
                self.ports.state.set_pin(None)
                self._end_pin(pin)
                pin = None
        if pin is not None:
            self._hold(pin)
        if self._decided:
            self._permits.settle(self.token(), refused=self.refused, in_force=self.loaded.commit if self.loaded else "")
            self._decided = False

    def _restore(self) -> None:
        """What was in force when the last controller ended is in force now."""
        for revision in self.ports.state.revisions(_ALL_REVISIONS):
            if revision.accepted:
                try:
                    self.loaded = self._load(revision.commit)
                except (SpecError, UnreadableError) as error:
                    if isinstance(error, UnreadableError) and not isinstance(error.reason, ConfigurationError):
                        raise
                    self._past.came_up(error if isinstance(error, SpecError) else error.reason)
                    return
                pin = self.ports.state.pin()
                self.pin = pin if pin is not None and pin.commit == revision.commit else None
                self._govern()
                return

    def _consider(self, commit: str, over: str | None) -> None:
        """Take ``commit`` up, if it may take effect now. ``over``: the commit that a pin was set over."""
        base = over or (self.loaded.commit if self.loaded else None)
        if self._stays_refused(commit, base) or (self.loaded is not None and commit == self.loaded.commit):
            self._wait(None)
            return
        if self._still_waits(commit):
            return
        terms = self._terms(commit)
        problems = self._distrust(commit, base, terms)
        try:
            if problems:
                self._distrusted.add(commit)
                raise SpecError(problems)
            self._distrusted.discard(commit)
            candidate = self._load(commit)
            if self.loaded is not None and candidate.digest == self.loaded.digest:
                self._take_up(candidate, "RevisionAccepted", candidate.subject, self._allowed(candidate, ()))
                return
            stake = self._at_stake(candidate)
            self._ensure(acceptance.refusals(self.loaded, candidate, stake, self.kinds, self.wired, terms))
        except SpecError as error:
            self._refuse(commit, error)
            self._wait(None)
            return
        until = acceptance.window_end(self.loaded, candidate, self.clock())
        if until is not None:
            self._wait(Waiting(candidate, until))
            return
        self._take_up(candidate, "RevisionAccepted", candidate.subject, self._allowed(candidate, stake))

    def _stands(self, pin: Pin) -> bool:
        """Whether git still asks for what it asked for when the pin was set. What is wrong asks for nothing."""
        if self.newest == pin.over:
            return True
        try:
            return self._load(self.newest).digest == self._load(pin.over).digest
        except SpecError:
            return False

    def _hold(self, pin: Pin) -> None:
        """Put the pinned commit in force. An operator's word passes through windows and policies, not through the
        demand for a signature nor through the guard against removing too much."""
        if pin == self.pin or self._stays_refused(pin.commit, None):
            return
        try:
            terms = self._terms(pin.commit)
            self._ensure(self._distrust(pin.commit, None, terms))
            candidate = self._load(pin.commit)
            stake = self._at_stake(candidate)
            self._ensure(acceptance.prune_refusal(self.loaded, candidate, stake, terms, acceptance.ROLL_BACK))
        except UnreadableError as error:
            if not isinstance(error.reason, ConfigurationError):
                raise
            self._refuse_pin(pin, SpecError([Problem(f"commit {pin.commit[:7]}", 0, 0, "", str(error))]))
            return
        except SpecError as error:
            self._refuse_pin(pin, error)
            return
        self.pin = pin
        self._take_up(candidate, acceptance.PIN_IN_FORCE, acceptance.pin_message(pin), self._allowed(candidate, stake))

    def _refuse_pin(self, pin: Pin, error: SpecError) -> None:
        self.refused[pin.commit], self._decided = error, True
        log.error("the pin on commit %s cannot be followed:\n%s", pin.commit[:7], error)
        self._event(pin.commit, "PinRefused", "; ".join(acceptance.told(error.problems)))

    def _end_pin(self, pin: Pin) -> None:
        self.pin = None
        self._govern()
        self._event(self.newest, "PinEnded", f"the pin on commit {pin.commit[:7]} is over")

    def _take_up(self, candidate: Loaded, reason: str, message: str, allowed: tuple[str, ...]) -> None:
        """Put ``candidate`` in force. ``allowed``: what an operator had to allow for that."""
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
        for word in allowed:
            self._event(candidate.commit, "CommitAllowed", word)
        self.loaded, self.waiting, self._decided = candidate, None, True
        self.refused.clear()
        self._distrusted.clear()
        self._govern()
        if before is None or self.rules != old_rules:
            self._told = False
        else:
            self._due = (*(self._due or ()), *acceptance.changed(before, candidate))

    def _refuse(self, commit: str, error: SpecError) -> None:
        self.refused[commit], self._decided = error, True
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
        """By the clock as it is now: it may have been set since the window was found closed."""
        waiting = self.waiting
        if waiting is None or waiting.candidate.commit != commit:
            return False
        until = acceptance.window_end(self.loaded, waiting.candidate, self.clock())
        if until is not None and until != waiting.until:
            self._wait(Waiting(waiting.candidate, until))
        return until is not None

    def _govern(self) -> None:
        """Work out what may be done now. Under a pin the newest commit's Environment governs, where it can be read."""
        if self.loaded is None:
            return
        governing = self.loaded.environment
        if self.pin is not None:
            try:
                governing = self._load(self.newest or self.pin.over).environment
            except (SpecError, UnreadableError) as error:
                log.warning("the pinned commit's own Environment governs: %s", error)
        self.rules = acceptance.rules(self.loaded, governing, self.waiting.candidate if self.waiting else None)

    def _distrust(self, commit: str, base: str | None, terms: Terms) -> tuple[Problem, ...]:
        descends = base is None or terms.allow_force_push or self._commits.descends(commit, base)
        signature = self._commits.signature(commit) if terms.signed else None
        return acceptance.distrust(commit, base, descends, signature, terms)

    def _terms(self, commit: str) -> Terms:
        """What the operator allows: always, or said of this commit."""
        permits, always = self._permits.of(commit), self.terms
        return replace(
            always,
            allow_prune=always.allow_prune or self.allow_prune or Permit.PRUNE in permits,
            allow_force_push=always.allow_force_push or Permit.REWRITE in permits,
        )

    def _allowed(self, candidate: Loaded, stake: Sequence[Ref]) -> tuple[str, ...]:
        """What ``candidate`` could not do without an operator's word, in a sentence each."""
        words, none = self._permits.of(candidate.commit), replace(self.terms, allow_prune=False)
        found = []
        if acceptance.prune_refusal(self.loaded, candidate, stake, none):
            found.append((Permit.PRUNE, "remove as much as it does"))
        if Permit.REWRITE in words and not self.terms.allow_force_push:
            found.append((Permit.REWRITE, "follow on something else than what was in force"))
        return tuple(
            f"{words[permit].actor if permit in words else self.actor} let commit {candidate.commit[:7]} {what}"
            for permit, what in found
        )

    def _stays_refused(self, commit: str, base: str | None) -> bool:
        """Whether nothing has changed that a refusal came from: an operator's word, or who may sign."""
        if commit not in self.refused or self._permits.news(commit):
            return False
        return commit not in self._distrusted or bool(self._distrust(commit, base, self._terms(commit)))

    def _ensure(self, problems: tuple[Problem, ...]) -> None:
        if problems:
            raise SpecError(problems)

    def _load(self, commit: str) -> Loaded:
        """Read a commit; the few that matter at a time are kept."""
        return self._commits.load(commit, (self.newest, self.loaded.commit if self.loaded else ""))

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

    def _lost(self, reason: Exception) -> None:
        self._trouble.came_up(reason)
        if self.loaded is not None and not self.unreachable:
            message = f"commit {self.loaded.commit[:7]} stays in force: {cause(reason)}"
            self._event(self.loaded.commit, "SourceUnavailable", message)
        self.unreachable = cause(reason)

    def _found(self) -> None:
        if self.unreachable and self.loaded is not None:
            self._event(self.loaded.commit, "SourceAvailable", "the source can be read again")
        self.unreachable = ""
        self._trouble.over()

    def _event(self, commit: str, reason: str, message: str, **data: Any) -> None:
        """``data``: where the commit in force changed, the one before and the one after."""
        self.ports.state.append_events([self._happened(commit, reason, message, **data)], self.token())

    def tell(self, reason: str, message: str) -> None:
        """An event about all that is in force."""
        self._event(self.loaded.commit if self.loaded else self.newest, reason, message)

    def _happened(self, commit: str, reason: str, message: str, **data: Any) -> Event:
        return Event(
            time=self.clock(), commit=commit, ref=None, reason=reason, message=message, data=data, actor=self.actor
        )


def _first_of(problems: tuple[str, ...]) -> str:
    """Of one problem all of it, of several the number and the first."""
    return problems[0] if len(problems) == 1 else f"{len(problems)} problems; the first: {problems[0]}"
