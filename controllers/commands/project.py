"""One project in one environment, opened: what the commands work on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from controllers.commands import plans
from controllers.commands.rehearsal import MakeAside, nothing_aside
from controllers.commands.simulation import MakeDryRun, simulation
from controllers.kinds.observer import Observer
from controllers.loop.reconciler import Reconciler
from controllers.revision import acceptance
from controllers.revision.acceptance import Terms, rules, withheld
from controllers.revision.commits import Commits, UnreadableError
from controllers.revision.consent import Consent
from controllers.revision.in_force import in_force
from controllers.revision.permits import Permits
from controllers.revision.snapshot import Examine, Read, Snapshot, unexamined
from controllers.revision.source import SourceController
from controllers.runtime.clock import uptime
from controllers.runtime.leadership import Leadership
from controllers.runtime.trouble import in_a_line
from controllers.settings import Settings
from framework.api.errors import ConfigurationError, MlopsError, SpecError
from framework.api.meta import Ref
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.admission.admit import admit_all
from framework.planning.admission.rules import Rules
from framework.planning.grammar import remembered
from framework.planning.grammar.changes import Change, Desired, Plan, Refusal
from framework.planning.grammar.kind import Kind, Needs
from framework.planning.grammar.steps import SimulatedPass
from framework.planning.plan.durations import Durations, durations
from framework.planning.plan.estimate import Known
from framework.planning.plan.planner import Compared, Inputs, Looked, build_plan, plan_resource, unread_plan
from framework.planning.reports.asked import Uncommitted
from framework.planning.reports.convergence import Withheld
from framework.ports import Capacity, Lease, Pin, Ports, Record, Recorded, Revision, TrackingMirror
from framework.process import dead

log = logging.getLogger(__name__)

_REMEMBERED = 10_000
"""Events that are read for how long things took."""


class Cluster(Protocol):
    """The Ray that an environment runs on."""

    def start(self) -> None:
        """Make it run, where that is ours to do. Raises ConfigurationError when it does not start."""
        ...

    def stop(self) -> None: ...

    def running(self) -> bool: ...

    def lost(self) -> str:
        """Why it does not run, where it is ours and nobody stopped it; else "". Costs next to nothing."""
        ...

    def trouble(self) -> str:
        """Why it does not answer now; "" where it does. Takes no more than a few seconds."""
        ...

    def links(self) -> Mapping[str, str]:
        """URLs for people by what they show, e.g. ``Ray dashboard``; empty while nothing runs."""
        ...


def _no_mirror(address: str) -> TrackingMirror:
    raise ConfigurationError(f"nothing here could mirror models to {address}")


@dataclass(frozen=True)
class Project:
    settings: Settings
    ports: Ports
    idle: Ports
    """The same, with a cluster on which nothing runs: what a plan is made against while the embedded Ray is down."""
    cluster: Cluster
    kinds: Mapping[str, Kind]
    observers: Mapping[str, Observer]
    read: Read
    clock: Callable[[], datetime]
    dry_runs: Callable[[Ports], MakeDryRun]
    """A copy of a world to try things in."""
    hurry: Callable[[], None] = lambda: None
    """Let the next look at the source ask the remote, however soon it comes."""
    environment: EnvironmentSpec | None = None
    """The Environment that the ports were opened with; None where they follow none."""
    told: str = ""
    """What was said when it was opened of a newest commit that cannot be gone by; it is not said again."""
    steady: Callable[[], float] = uptime
    """Seconds by a clock that nobody sets."""
    accepted: Callable[[Snapshot], None] = lambda loaded: None
    """Told of each commit that takes effect."""
    uncommitted: Callable[[Mapping[Ref, Desired[Any]]], Uncommitted | None] = lambda desired: None
    """What of the specs, and of the code and data that they name, differs in the work tree from the commit that is
    followed; None where that commit is not the checked-out one."""
    examine: Examine = unexamined
    mirror: Callable[[str], TrackingMirror] = _no_mirror
    """What repeats the registry at an address. Raises ConfigurationError where that leads where it may not."""
    aside: MakeAside = nothing_aside
    """Ports for building beside the environment."""

    def newest(self) -> Snapshot:
        """The newest commit; where that one is wrong or cannot be read, the last accepted one, which is still in force.

        Raises:
            SpecError, ConfigurationError, TransientError: what speaks against the newest commit, where no other can be
                read either.
        """
        try:
            return self.read(self.ports.source.resolve(self.settings.revision))
        except MlopsError as error:
            loaded = self._last_accepted()
            if loaded is None:
                raise
            if not self.told.startswith(in_a_line(error)):
                log.warning("%s; going by commit %s, which is in force", in_a_line(error), loaded.commit[:7])
            return loaded

    def _last_accepted(self) -> Snapshot | None:
        accepted = in_force(self.ports.state)
        try:
            return None if accepted is None else self.read(accepted.commit)
        except MlopsError:
            return None

    def ensure_startable(self) -> None:
        """A controller that starts goes on with what was in force, or waits until that can be read again.

        Raises:
            SpecError, ConfigurationError, TransientError: what speaks against the newest commit, where none was in
                force before.
        """
        try:
            self.newest()
        except MlopsError as error:
            if in_force(self.ports.state) is None:
                raise
            log.warning("%s; nothing is done until it can be read again", in_a_line(error))

    def desired(self) -> Mapping[Ref, Desired[Any]]:
        """What git asks for, in dependency order; nothing, where that cannot be read and something is on record."""
        try:
            return self.newest().desired
        except MlopsError as error:
            if not self.ports.state.records():
                raise
            log.warning("%s; going by what is on record", in_a_line(error))
            return {}

    def plan(self, revision: str | None = None) -> Plan:
        """What a pass would do now to ``revision`` (None: what is followed), with what it comes from, what it comes to,
        and why it may not be. Changes nothing.

        Raises:
            SpecError: the commit is wrong.
        """
        commit = self.ports.source.resolve(revision or self.settings.revision)
        terms, accepted = self._consent().terms(commit), in_force(self.ports.state)
        taken_up = accepted is not None and accepted.commit == commit
        before = None if taken_up else self._accepted(accepted)
        doubts = () if taken_up else self._doubts(commit, accepted if before else None, terms)
        loaded = self._readable(commit, doubts)
        if loaded is None:
            base = before.commit if before else None
            return unread_plan(self.settings.environment, commit, base, doubts, self.clock(), live=True)
        before, recorded = loaded if taken_up else before, self.ports.state.recorded()
        git = plans.compared(self.settings.environment, before, loaded, self.kinds)
        refusals = doubts or acceptance.refusals(
            self.settings.environment, before, loaded, git.changes,
            (*(record.ref for record in recorded.readable), *recorded.unreadable),
            self.kinds, self.environment if self.leader_elsewhere() else None, terms,
        )  # fmt: skip
        problems = () if doubts else self.examine(before, loaded)
        if problems:
            raise SpecError((*acceptance.problems(refusals, commit, loaded), *problems))
        return self._observed(git, loaded, recorded, refusals)

    def _consent(self) -> Consent:
        settings = self.settings
        commits = Commits(self.ports.source, self.read)
        return Consent(settings.environment, lambda: self.terms, Permits(self.ports.state), commits, settings.holder)

    def _doubts(self, commit: str, accepted: Revision | None, terms: Terms) -> tuple[Refusal, ...]:
        """What speaks against ``commit`` before it is read. Raises what the repository raises."""
        base = acceptance.ancestor(accepted, self.ports.state.pin())
        try:
            return self._consent().distrust(commit, base, terms)
        except UnreadableError as error:
            raise error.reason from None

    def _readable(self, commit: str, doubts: tuple[Refusal, ...]) -> Snapshot | None:
        """The commit; None where nobody trusted has signed it, and where it is wrong besides what speaks against it."""
        if any(one.reason == acceptance.SIGNATURE_REQUIRED for one in doubts):
            return None
        try:
            return self.read(commit)
        except SpecError:
            if not doubts:
                raise
            return None

    def _observed(self, git: Compared, loaded: Snapshot, recorded: Recorded, refusals: tuple[Refusal, ...]) -> Plan:
        """What a pass would do now."""
        records = {record.ref: record for record in recorded.readable}
        vanished = sorted((ref for ref in records if ref not in loaded.desired), reverse=True)
        asked = [ref for ref in loaded.desired if ref not in recorded.unreadable]
        ports = self.ports if self.cluster.running() else self.idle
        allowed = rules(loaded, loaded.environment, None)
        reconciler = replace(self.reconciler(lambda: 0), ports=ports, rules=lambda: allowed)
        inputs = [reconciler.inputs(ref, loaded.desired.get(ref), records.get(ref)) for ref in (*asked, *vanished)]
        now, capacity = self.clock(), ports.runs.capacity()
        untouched = [
            remembered.untouched(ref, loaded.desired.get(ref), problem, now)
            for ref, problem in recorded.unreadable.items()
        ]
        admitted = _admitted(inputs, records, allowed, now, capacity)
        known = Known(self.durations(), capacity, plans.requests(inputs), plans.same_cluster(git.before, git.after))
        looked = Looked.at(inputs, (*admitted, *untouched))
        return build_plan(self.settings.environment, git, looked, self.kinds, known, now, refusals=refusals)

    def in_force(self, newest: Snapshot) -> Snapshot | None:
        """The revision that was accepted last; None before the first, and where this version cannot read it."""
        accepted = in_force(self.ports.state)
        return newest if accepted is not None and accepted.commit == newest.commit else self._accepted(accepted)

    def _accepted(self, revision: Revision | None) -> Snapshot | None:
        try:
            return None if revision is None else self.read(revision.commit)
        except MlopsError as error:
            assert revision is not None
            log.warning("the revision in force, %s, cannot be read: %s", revision.commit[:7], error)
            return None

    def withheld(self, newest: Snapshot) -> Withheld | None:
        """Why ``newest`` is not what is in force, where nothing is wrong with it: a pin, or a deny window."""
        pin = self.ports.state.pin()
        return withheld(newest, self.in_force(newest), pin, self.clock(), self._pinned_over(pin))

    def _pinned_over(self, pin: Pin | None) -> Snapshot | None:
        """What a pin was set over, where that can be read."""
        try:
            return None if pin is None else self.read(pin.over)
        except MlopsError:
            return None

    def durations(self) -> Durations:
        """How long runs took so far."""
        run = [name for name, kind in self.kinds.items() if kind.runs]
        return durations(self.ports.state.events(limit=_REMEMBERED, kinds=run), self.kinds)

    def simulate(self, start: str | None, end: str | None) -> tuple[SimulatedPass, ...]:
        """From ``start`` (None: what runs now) to ``end`` (None: the newest commit), in a copy of what is live. Where
        the way to ``start`` takes steps of its own, it comes first.

        Raises:
            SpecError: one of the commits is wrong.
            ConfigurationError: one of them is unknown.
        """
        revisions = [*([start] if start else []), end or self.settings.revision]
        commits = [self.read(self.ports.source.resolve(revision)) for revision in revisions]
        ports = self.ports if self.cluster.running() else self.idle
        world = simulation(
            self.dry_runs(ports), self.kinds, self.observers, self.settings.environment, self.clock(), self._seconds()
        )
        return tuple(world.go_to(loaded) for loaded in commits)

    def _seconds(self) -> Callable[[Ref], float | None]:
        """How long a resource's runs took so far."""
        known = self.durations()
        return lambda ref: known.of(ref)[0]

    @property
    def terms(self) -> Terms:
        """What the operator allows every commit, and demands of it."""
        settings = self.settings
        return Terms(settings.allow_prune, settings.allow_force_push, settings.allowed_signers is not None)

    def leadership(self) -> Leadership:
        return Leadership(self.ports.state, self.settings.holder, self.settings.lease.total_seconds(), self.clock)

    def leader(self) -> Lease | None:
        """The lease, unless its holder is known to be dead. Whether one that nothing is known of lives shows only in
        time: whoever waits for it takes it over."""
        lease = self.ports.state.lease()
        return None if lease is None or dead(lease.note) else lease

    def leader_elsewhere(self) -> bool:
        """Whether another controller may be at work."""
        lease = self.leader()
        return lease is not None and lease.holder != self.settings.holder

    def reconciler(self, token: Callable[[], int]) -> Reconciler:
        return Reconciler(self.ports, self.kinds, self.observers, self.clock, token, self.settings.holder)

    def source_controller(self, token: Callable[[], int]) -> SourceController:
        settings = self.settings
        return SourceController(
            self.ports,
            self.read,
            settings.revision,
            self.clock,
            token,
            settings.holder,
            terms=self.terms,
            kinds=self.kinds,
            wired=self.environment,
            environment=settings.environment,
            accepted=self.accepted,
            examine=self.examine,
        )


def _admitted(
    inputs: Iterable[Inputs], records: Mapping[Ref, Record], rules: Rules, now: datetime, capacity: Capacity | None
) -> tuple[Change, ...]:
    """What a pass would be let do: the Environment may be suspended and has quotas, and there must be room."""
    planned = [
        (plan_resource(item, now), item.status, item.kind.needs(item.desired.spec) if item.desired else Needs())
        for item in inputs
    ]
    return admit_all(planned, records, rules, now, capacity)
