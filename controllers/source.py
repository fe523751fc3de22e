"""New commit -> may it take effect -> which resources to look at."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from controllers import acceptance
from controllers.acceptance import Terms
from controllers.in_force import in_force
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

_UNAVAILABLE, _AVAILABLE = "SourceUnavailable", "SourceAvailable"


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
    """What took effect asks to be looked at, until it was given out: a poll may fail after that."""
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
        self._look()
        if self.loaded is not None:
            if not self._governed:
                self._govern()
            if not self._told:
                self._owe(self._everything())
                self._told = True
        work, self._work = self._work, None
        return None if work is None else tuple(work)

    def _look(self) -> None:
        try:
            self.ports.source.refresh()
            self.newest = self.ports.source.resolve(self.revision)
        except (TransientError, ConfigurationError) as error:
            self._lost(error)
            if self.loaded is None:
                raise
            return
        self._found()
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
        if self.loaded is None and self.problem is not None:
            raise self.problem

    def _restore(self) -> None:
        """What was in force when the last controller ended is in force now."""
        revision, pin = in_force(self.ports.state), self.ports.state.pin()
        if revision is None:
            return
        said = self._said(_UNAVAILABLE, _AVAILABLE)
        try:
            loaded = self._load(revision.commit)
        except (SpecError, ConfigurationError) as error:
            log.error("commit %s was in force and cannot be read any more: %s", revision.commit[:7], error)
            return
        by = revision.pin or (pin if pin is not None and pin.commit == revision.commit else None)
        self.pin, self._over = None if revision.unpinned else by, by.over if by else None
        self.unreachable = said.message if said is not None and said.reason == _UNAVAILABLE else ""
        self.loaded = loaded

    def _consider(self, commit: str, over: str | None) -> None:
        """Take ``commit`` up, if it may take effect now. ``over``: the commit that a pin was set over."""
        followed = self.loaded is not None and commit == self.loaded.commit
        if commit in self.refused or followed:
            self._over = None if followed else self._over
            self._wait(None)
            return
        if self._still_waits(commit):
            return
        base = over or (self.loaded.commit if self.loaded else None)
        problems = self._distrust(commit, base)
        try:
            if problems:
                raise SpecError(problems)
            candidate = self._load(commit)
            if self.loaded is not None and candidate.digest == self.loaded.digest:
                self._take_up(candidate, "RevisionAccepted", candidate.subject)
                return
            self._ensure(
                acceptance.refusals(
                    self.loaded, candidate, self._at_stake(candidate), self.kinds, self.wired, self._terms
                )
            )
        except SpecError as error:
            self._refuse(commit, error)
            self._wait(None)
            return
        until = acceptance.window_end(self.loaded, candidate, self.clock())
        if until is not None:
            self._wait(Waiting(candidate, until))
            return
        self._take_up(candidate, "RevisionAccepted", candidate.subject)

    def _stands(self, pin: Pin) -> bool:
        """Whether git still asks for what it asked for when the pin was set. What cannot be read asks for nothing."""
        if self.newest == pin.over:
            return True
        try:
            return self._load(self.newest).digest == self._load(pin.over).digest
        except (SpecError, ConfigurationError):
            return False

    def _hold(self, pin: Pin) -> None:
        """Put the pinned commit in force. An operator's word passes through windows and policies, not through the
        demand for a signature nor through the guard against removing too much."""
        if pin == self.pin or pin.commit in self.refused:
            return
        try:
            self._ensure(self._distrust(pin.commit, None))
            candidate = self._load(pin.commit)
            self._ensure(acceptance.prune_refusal(self.loaded, candidate, self._at_stake(candidate), self._terms))
        except ConfigurationError as error:
            self._refuse_pin(pin, SpecError([Problem(f"commit {pin.commit[:7]}", 0, 0, "", str(error))]))
            return
        except SpecError as error:
            self._refuse_pin(pin, error)
            return
        self._take_up(candidate, acceptance.PIN_IN_FORCE, acceptance.pin_message(pin), pin)

    def _refuse_pin(self, pin: Pin, error: SpecError) -> None:
        log.error("the pin on commit %s cannot be followed:\n%s", pin.commit[:7], error)
        said = self._said("PinRefused")
        if said is None or said.commit != pin.commit or said.time < pin.time:
            self._tell(self._event(pin.commit, "PinRefused", "; ".join(acceptance.told(error.problems))))
        self.refused[pin.commit] = error

    def _unpin(self, *, by_git: bool) -> None:
        """What is in force stays so, but no longer by the pin. ``by_git``: git asks for that very commit now."""
        assert self.loaded is not None
        assert self.pin is not None
        pin = None if by_git else self.pin
        self._remember(self._revision(self.loaded, pin, unpinned=not by_git), self._pin_ended(self.pin))
        self.pin, self._over = None, pin.over if pin is not None else None
        self._govern()

    def _outlived(self, pin: Pin) -> None:
        """The newest commit is in force, so no pin on another one is any more."""
        if self.pin is not None:
            self._unpin(by_git=True)
        event, said = self._pin_ended(pin), self._said("PinEnded")
        told = said is not None and said.data == event.data
        self.ports.state.end_pin(pin, self.token(), () if told else (event,))

    def _take_up(self, candidate: Loaded, reason: str, message: str, pin: Pin | None = None) -> None:
        before, old_rules, looked_at = self.loaded, self.rules, self._told
        changed = {"before": before.commit if before else None, "after": candidate.commit}
        told = [self._event(candidate.commit, reason, message, **changed)]
        if self.pin is not None and pin is None:
            told.append(self._pin_ended(self.pin))
        self._remember(self._revision(candidate, pin), *told)
        self.loaded, self.waiting, self.pin, self._over = candidate, None, pin, pin.over if pin else None
        self.refused.clear()
        self._told = False
        if before is not None:
            self._owe(acceptance.changed(before, candidate))
        self._govern()
        self._told = looked_at and before is not None and self.rules == old_rules

    def _refuse(self, commit: str, error: SpecError) -> None:
        problems = acceptance.told(error.problems)
        revision = Revision(commit=commit, digest="", accepted=False, time=self.clock(), problems=problems)
        self._remember(revision, self._event(commit, "RevisionRefused", _first_of(problems)))
        self.refused[commit] = error

    def _revision(self, loaded: Loaded, pin: Pin | None, *, unpinned: bool = False) -> Revision:
        return Revision(
            commit=loaded.commit,
            digest=loaded.digest,
            accepted=True,
            time=self.clock(),
            subject=loaded.subject,
            pin=pin,
            unpinned=unpinned,
        )

    def _remember(self, revision: Revision, *told: Event) -> None:
        """Write it down with what it comes to, unless it is what was written last: then a process ended, or an answer
        was lost, before anybody here knew of it."""
        newest = next(iter(self.ports.state.revisions(1)), None)
        if newest is None or newest.model_copy(update={"time": revision.time}) != revision:
            self.ports.state.save_revision(revision, self.token(), told)

    def _wait(self, waiting: Waiting | None) -> None:
        """Remember which commit waits for a window, or that none does."""
        before = self.waiting
        if waiting is not None and (before is None or before.candidate.commit != waiting.candidate.commit):
            commit, message = waiting.candidate.commit, acceptance.window_message(waiting.until)
            log.info("commit %s: %s", commit[:7], message)
            said = self._said(acceptance.WAITS_FOR_WINDOW)
            if said is None or said.commit != commit:
                self._tell(self._event(commit, acceptance.WAITS_FOR_WINDOW, message))
        self.waiting = waiting
        if before != waiting:
            self._govern()

    def _still_waits(self, commit: str) -> bool:
        waiting = self.waiting
        return waiting is not None and waiting.candidate.commit == commit and self.clock() < waiting.until

    def _govern(self) -> None:
        """Work out what may be done now. Under a pin the newest commit's Environment governs, where it can be read."""
        if self.loaded is None:
            return
        self._governed = False
        governing = self.loaded.environment
        if self.pin is not None:
            try:
                governing = self._load(self.newest or self.pin.over).environment
            except (SpecError, ConfigurationError) as error:
                log.warning("the pinned commit's own Environment governs: %s", error)
        self.rules = acceptance.rules(self.loaded, governing, self.waiting.candidate if self.waiting else None)
        self._governed = True

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
        found = self.ports.state.recorded()
        return [*(record.ref for record in found.readable), *found.unreadable]

    def _everything(self) -> tuple[Ref, ...]:
        """All that is asked for, and what is recorded but no longer asked for."""
        return (*self.desired, *sorted(ref for ref in self._recorded() if ref not in self.desired))

    def _owe(self, work: Iterable[Ref]) -> None:
        self._work = {**(self._work or {}), **dict.fromkeys(work)}

    def _lost(self, error: Exception) -> None:
        if self.loaded is not None and not self.unreachable:
            log.warning("the source cannot be read, commit %s stays in force: %s", self.loaded.commit[:7], error)
            said = self._said(_UNAVAILABLE, _AVAILABLE)
            if said is None or said.reason != _UNAVAILABLE:
                message = f"commit {self.loaded.commit[:7]} stays in force: {error}"
                self._tell(self._event(self.loaded.commit, _UNAVAILABLE, message))
        self.unreachable = str(error)

    def _found(self) -> None:
        if self.unreachable and self.loaded is not None:
            said = self._said(_UNAVAILABLE, _AVAILABLE)
            if said is not None and said.reason == _UNAVAILABLE:
                self._tell(self._event(self.loaded.commit, _AVAILABLE, "the source can be read again"))
        self.unreachable = ""

    def _pin_ended(self, pin: Pin) -> Event:
        message = f"the pin on commit {pin.commit[:7]} is over"
        return self._event(self.newest, "PinEnded", message, pin=pin.commit, set=pin.time.isoformat())

    def _said(self, *reasons: str) -> Event | None:
        """What the log has last said of it, by whichever process."""
        found = self.ports.state.events(limit=1, kinds=("",), reasons=reasons)
        return found[0] if found and found[0].reason in reasons else None

    def _tell(self, event: Event) -> None:
        self.ports.state.append_events([event], self.token())

    def _event(self, commit: str, reason: str, message: str, **data: Any) -> Event:
        """``data``: where the commit in force changed, the one before and the one after."""
        return Event(
            time=self.clock(), commit=commit, ref=None, reason=reason, message=message, data=data, actor=self.actor
        )


def _first_of(problems: tuple[str, ...]) -> str:
    """Of one problem all of it, of several the number and the first."""
    return problems[0] if len(problems) == 1 else f"{len(problems)} problems; the first: {problems[0]}"
