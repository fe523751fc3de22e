"""One project in one environment, opened: what the commands work on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from controllers.reconciler import Observe, Reconciler
from controllers.runtime.leadership import Leadership
from controllers.settings import Settings
from controllers.source import Loaded, Read, SourceController
from framework.api.errors import SpecError
from framework.api.meta import Ref
from framework.planning.changes import Desired, Plan
from framework.planning.kind import Kind
from framework.planning.planner import plan_all
from framework.ports import Ports


class Cluster(Protocol):
    """The Ray that an environment runs on."""

    def start(self) -> None:
        """Make it run, where that is ours to do. Raises ConfigurationError when it does not start."""
        ...

    def stop(self) -> None: ...

    def running(self) -> bool: ...

    def links(self) -> Mapping[str, str]:
        """URLs for people by what they show, e.g. ``Ray dashboard``; empty while nothing runs."""
        ...


@dataclass(frozen=True)
class Project:
    settings: Settings
    ports: Ports
    idle: Ports
    """The same, with a cluster on which nothing runs: what a plan is made against while the embedded Ray is down."""
    cluster: Cluster
    kinds: Mapping[str, Kind]
    observers: Mapping[str, Observe]
    read: Read
    clock: Callable[[], datetime]

    def newest(self) -> Loaded:
        """The newest commit; where that one is wrong, the last accepted one, which is still in force.

        Raises:
            SpecError: the newest commit is wrong and none was accepted.
        """
        try:
            return self.read(self.ports.source.resolve(self.settings.revision))
        except SpecError:
            accepted = next((item for item in self.ports.state.revisions() if item.accepted), None)
            if accepted is None:
                raise
            return self.read(accepted.commit)

    def desired(self) -> Mapping[Ref, Desired[Any]]:
        """What git asks for, in dependency order."""
        return self.newest().desired

    def plan(self) -> Plan:
        """What a pass would do now. Changes nothing.

        Raises:
            SpecError: the newest commit is wrong.
        """
        loaded = self.read(self.ports.source.resolve(self.settings.revision))
        records = {record.ref: record for record in self.ports.state.records()}
        vanished = sorted((ref for ref in records if ref not in loaded.desired), reverse=True)
        ports = self.ports if self.cluster.running() else self.idle
        reconciler = replace(self.reconciler(lambda: 0), ports=ports)
        inputs = [
            reconciler.inputs(ref, loaded.desired.get(ref), records.get(ref)) for ref in (*loaded.desired, *vanished)
        ]
        return plan_all(self.settings.environment, loaded.commit, loaded.digest, inputs, self.clock())

    def leadership(self) -> Leadership:
        return Leadership(self.ports.state, self.settings.holder, self.settings.lease.total_seconds(), self.clock)

    def leader_elsewhere(self) -> bool:
        """Whether another controller holds a lease that has not expired."""
        lease = self.ports.state.lease()
        return lease is not None and lease.holder != self.settings.holder and lease.expires > self.clock()

    def reconciler(self, token: Callable[[], int]) -> Reconciler:
        return Reconciler(self.ports, self.kinds, self.observers, self.clock, token, self.settings.holder)

    def source_controller(self, token: Callable[[], int]) -> SourceController:
        settings = self.settings
        return SourceController(
            self.ports, self.read, settings.revision, self.clock, token, settings.holder, settings.allow_prune
        )
