"""New commit -> may it take effect -> which resources to look at."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controllers.revision import acceptance
from controllers.revision.acceptance import Terms
from controllers.revision.chronicle import Chronicle
from controllers.revision.commits import Commits, UnreadableError
from controllers.revision.consent import Consent
from controllers.revision.in_force import in_force
from controllers.revision.permits import Permits
from controllers.revision.snapshot import Examine, Read, Snapshot, unexamined
from controllers.runtime.trouble import Trouble, cause
from framework.api.errors import ConfigurationError, Problem, SpecError
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.admission.rules import Rules
from framework.planning.grammar import reasons
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.kind import Kind
from framework.planning.plan.compare import compare
from framework.ports import Pin, Ports

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Waiting:
    """A valid commit that a deny window keeps from taking effect."""

    candidate: Snapshot
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
    loaded: Snapshot | None = None
    refused: dict[str, SpecError] = field(default_factory=dict)
    terms: Terms = field(default_factory=Terms)
    kinds: Mapping[str, Kind] = field(default_factory=lambda: KINDS)
    wired: EnvironmentSpec | None = None
    environment: str = "local"
    accepted: Callable[[Snapshot], None] = lambda loaded: None
    """Told of what is in force, once it is."""
    examine: Examine = unexamined
    rules: Rules = field(default_factory=Rules)
    newest: str = ""
    waiting: Waiting | None = None
    pin: Pin | None = None
    """The pin in force."""
    unreachable: str = ""
    """Why the source cannot be read now."""
    _over: str | None = field(default=None, init=False)
    """The commit that what is in force was pinned over; None where git put it in force."""
    _governed: bool = field(default=False, init=False)
    """Whether the rules are those of what is in force now."""
    _told: bool = field(default=False, init=False)
    """Whether everything in force was given out to be looked at."""
    _work: dict[Ref, None] | None = field(default=None, init=False)
    """What took effect asks to be looked at, until it was given out: a look may fail after that."""
    _decided: bool = field(default=True, init=False)
    """Whether operators' words may have been acted upon since they were last taken back."""
    _noted: Snapshot | None = field(default=None, init=False, repr=False)
    _commits: Commits = field(init=False, repr=False)
    _consent: Consent = field(init=False, repr=False)
    _chronicle: Chronicle = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._lost_sight = Trouble(log, "the source cannot be read")
        self._unnoted = Trouble(log, "what is in force cannot be noted")
        self._past = Trouble(log, "what was in force cannot be read any more")
        self._self_governed = Trouble(log, "the pinned commit's own Environment governs")
        self._commits = Commits(self.ports.source, self.read, self.examine)
        self._consent = Consent(
            self.environment, lambda: self.terms, Permits(self.ports.state), self._commits, self.actor
        )
        self._chronicle = Chronicle(self.ports.state, self.clock, self.token, self.actor)

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
        if not self._governed:
            self._govern()
        if not self._told:
            self._owe(self._everything())
            self._told = True
        work, self._work = self._work, None
        return None if work is None else tuple(work)

    def tell(self, reason: reasons.Reason, message: str) -> None:
        """An event about all that is in force."""
        commit = self.loaded.commit if self.loaded else self.newest
        self._chronicle.tell(self._chronicle.event(commit, reason, message))

    def _note_in_force(self, loaded: Snapshot) -> None:
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
        if pin is None and self.pin is not None:
            self._unpin(by_git=False)  # somebody took it back
        if pin is None or not self._stands(pin):
            self._consider(self.newest, pin.over if pin else self._over)
            if pin is not None and self.loaded is not None and self.loaded.commit == self.newest:
                self._outlived(pin)
                pin = None
        if pin is not None:
            self._hold(pin)
        if self._decided:
            in_force = self.loaded.commit if self.loaded else ""
            self._consent.settle(self.token(), refused=self.refused, in_force=in_force)
            self._decided = False

    def _restore(self) -> None:
        """What was in force when the last controller ended is in force now."""
        revision, pin = in_force(self.ports.state), self.ports.state.pin()
        if revision is None:
            return
        said = self._chronicle.said(reasons.SOURCE_UNAVAILABLE, reasons.SOURCE_AVAILABLE)
        try:
            loaded = self._load(revision.commit)
        except (SpecError, UnreadableError) as error:
            if isinstance(error, UnreadableError) and not isinstance(error.reason, ConfigurationError):
                raise
            self._past.came_up(error if isinstance(error, SpecError) else error.reason)
            return
        by = acceptance.put_by(revision, pin)
        self.pin, self._over = None if revision.unpinned else by, by.over if by else None
        self.unreachable = said.message if said is not None and said.reason == reasons.SOURCE_UNAVAILABLE else ""
        self.loaded = loaded

    def _consider(self, commit: str, over: str | None) -> None:
        """Take ``commit`` up, if it may take effect now. ``over``: the commit that a pin was set over."""
        followed = self.loaded is not None and commit == self.loaded.commit
        base = over or (self.loaded.commit if self.loaded else None)
        if followed or (commit in self.refused and not self._consent.changed(commit, base)):
            self._over = None if followed else self._over
            self._wait(None)
            return
        if self._still_waits(commit):
            return
        terms = self._consent.terms(commit)
        doubts = self._consent.distrust(commit, base, terms)
        try:
            self._ensure(acceptance.problems(doubts, commit))
            candidate = self._load(commit)
            if self.loaded is not None and candidate.digest == self.loaded.digest:
                self._take_up(candidate, reasons.REVISION_ACCEPTED, candidate.subject, ())
                return
            stake = self._at_stake(candidate)
            compared = compare(self.desired, candidate.desired, self.kinds)
            refusals = acceptance.refusals(
                self.environment, self.loaded, candidate, compared, stake, self.kinds, self.wired, terms
            )
            found = acceptance.problems(refusals, commit, candidate)
            self._ensure((*found, *self._commits.examined(self.loaded, candidate)))
        except SpecError as error:
            self._refuse(commit, error)
            self._wait(None)
            return
        until = acceptance.window_end(self.loaded, candidate, self.clock())
        if until is not None:
            self._wait(Waiting(candidate, until))
            return
        self._take_up(candidate, reasons.REVISION_ACCEPTED, candidate.subject, stake)

    def _stands(self, pin: Pin) -> bool:
        """Whether git still asks for what it asked for when the pin was set. What is wrong asks for nothing."""
        if self.newest == pin.over:
            return True
        try:
            return acceptance.stands(pin, self._load(self.newest), self._load(pin.over))
        except SpecError:
            return False

    def _hold(self, pin: Pin) -> None:
        """Put the pinned commit in force. An operator's word passes through windows and policies, not through the
        demand for a signature nor through the guard against removing too much."""
        if pin == self.pin or (pin.commit in self.refused and not self._consent.changed(pin.commit, None)):
            return
        try:
            terms = self._consent.terms(pin.commit)
            self._ensure(acceptance.problems(self._consent.distrust(pin.commit, None, terms), pin.commit))
            candidate = self._load(pin.commit)
            stake = self._at_stake(candidate)
            refused = acceptance.prune_refusal(self.loaded, candidate, stake, terms, acceptance.ROLL_BACK)
            self._ensure(acceptance.problems(refused, pin.commit, candidate))
        except UnreadableError as error:
            if not isinstance(error.reason, ConfigurationError):
                raise
            # It is looked for again: a repository that is gone may come back.
            self._tell_unfollowed(pin, SpecError([Problem(f"commit {pin.commit[:7]}", 0, 0, "", str(error))]))
            return
        except SpecError as error:
            self._tell_unfollowed(pin, error)
            self.refused[pin.commit], self._decided = error, True
            return
        self._take_up(candidate, reasons.PIN_IN_FORCE, acceptance.pin_message(pin), stake, pin)

    def _tell_unfollowed(self, pin: Pin, error: SpecError) -> None:
        said = self._chronicle.said(reasons.PIN_REFUSED)
        if said is None or said.commit != pin.commit or said.time < pin.time:
            log.error("the pin on commit %s cannot be followed:\n%s", pin.commit[:7], error)
            told = "; ".join(acceptance.told(error.problems))
            self._chronicle.tell(self._chronicle.event(pin.commit, reasons.PIN_REFUSED, told))

    def _unpin(self, *, by_git: bool) -> None:
        """What is in force stays so, but no longer by the pin. ``by_git``: git asks for that very commit now."""
        assert self.loaded is not None
        assert self.pin is not None
        pin = None if by_git else self.pin
        told = [self._chronicle.pin_ended(self.pin, self.newest)]
        self._chronicle.accept(self.loaded, pin, told, unpinned=not by_git)
        self.pin, self._over = None, pin.over if pin is not None else None
        self._govern()

    def _outlived(self, pin: Pin) -> None:
        """The newest commit is in force, so no pin on another one is any more."""
        if self.pin is not None:
            self._unpin(by_git=True)
        self._chronicle.end_pin(pin, self.newest)

    def _take_up(
        self, candidate: Snapshot, reason: reasons.Reason, message: str, stake: Sequence[Ref], pin: Pin | None = None
    ) -> None:
        """Put ``candidate`` in force. ``stake``: what is on record, where it removes something of it."""
        before, event = self.loaded, self._chronicle.event
        changed = {"before": before.commit if before else None, "after": candidate.commit}
        told = [event(candidate.commit, reason, message, **changed)]
        given = self._consent.given(before, candidate, stake)
        told += [event(candidate.commit, reasons.COMMIT_ALLOWED, word) for word in given]
        if self.pin is not None and pin is None:
            told.append(self._chronicle.pin_ended(self.pin, self.newest))
        self._chronicle.accept(candidate, pin, told)
        self.loaded, self.waiting, self.pin, self._over = candidate, None, pin, pin.over if pin else None
        self._decided = True
        self.refused.clear()
        if before is None:
            self._told = False
        else:
            self._owe(acceptance.changed(before, candidate))
        self._govern()

    def _refuse(self, commit: str, error: SpecError) -> None:
        self._chronicle.refuse(commit, error.problems)
        self.refused[commit], self._decided = error, True

    def _wait(self, waiting: Waiting | None) -> None:
        """Remember which commit waits for a window, or that none does."""
        before = self.waiting
        if waiting is not None and (before is None or before.candidate.commit != waiting.candidate.commit):
            commit, message = waiting.candidate.commit, acceptance.window_message(waiting.until)
            log.info("commit %s: %s", commit[:7], message)
            said = self._chronicle.said(reasons.WAITS_FOR_WINDOW)
            if said is None or said.commit != commit:
                self._chronicle.tell(self._chronicle.event(commit, reasons.WAITS_FOR_WINDOW, message))
        self.waiting = waiting
        if before != waiting:
            self._govern()

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
        """Work out what may be done now; under other rules everything is looked at again. Under a pin the newest
        commit's Environment governs, where it can be read."""
        if self.loaded is None:
            return
        governing, self._governed = self.loaded.environment, True
        if self.pin is not None:
            try:
                governing = self._load(self.newest or self.pin.over).environment
                self._self_governed.over()
            except (SpecError, UnreadableError) as error:
                self._governed = isinstance(error, SpecError)
                self._self_governed.came_up(error)
        rules = acceptance.rules(self.loaded, governing, self.waiting.candidate if self.waiting else None)
        self._told = self._told and rules == self.rules
        self.rules = rules

    def _ensure(self, problems: tuple[Problem, ...]) -> None:
        if problems:
            raise SpecError(problems)

    def _load(self, commit: str) -> Snapshot:
        """Read a commit; the few that matter at a time are kept."""
        return self._commits.load(commit, (self.newest, self.loaded.commit if self.loaded else ""))

    def _at_stake(self, candidate: Snapshot) -> list[Ref]:
        """What is on record, where ``candidate`` removes something of it. Else nobody has to read all records."""
        before = self.loaded
        if (
            before is not None
            and before.environment.deletion.prune
            and before.desired.keys() <= candidate.desired.keys()
        ):
            return []
        return list(self.ports.state.refs())

    def _everything(self) -> tuple[Ref, ...]:
        """All that is asked for, and what is recorded but no longer asked for."""
        return (*self.desired, *(ref for ref in self.ports.state.refs() if ref not in self.desired))

    def _owe(self, work: Iterable[Ref]) -> None:
        self._work = {**(self._work or {}), **dict.fromkeys(work)}

    def _lost(self, reason: Exception) -> None:
        self._lost_sight.came_up(reason)
        if self.loaded is not None and not self.unreachable:
            said = self._chronicle.said(reasons.SOURCE_UNAVAILABLE, reasons.SOURCE_AVAILABLE)
            if said is None or said.reason != reasons.SOURCE_UNAVAILABLE:
                commit = self.loaded.commit
                message = f"commit {commit[:7]} stays in force: {cause(reason)}"
                self._chronicle.tell(self._chronicle.event(commit, reasons.SOURCE_UNAVAILABLE, message))
        self.unreachable = cause(reason)

    def _found(self) -> None:
        if self.unreachable and self.loaded is not None:
            said = self._chronicle.said(reasons.SOURCE_UNAVAILABLE, reasons.SOURCE_AVAILABLE)
            if said is not None and said.reason == reasons.SOURCE_UNAVAILABLE:
                commit, message = self.loaded.commit, "the source can be read again"
                self._chronicle.tell(self._chronicle.event(commit, reasons.SOURCE_AVAILABLE, message))
        self.unreachable = ""
        self._lost_sight.over()
