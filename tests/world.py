"""A small world in memory around the real loop: git, a data plane that obeys, and time that passes when told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from controllers.commands import plans
from controllers.host.wiring import OBSERVERS
from controllers.kinds.observer import Observer
from controllers.loop.reconciler import Reconciler
from controllers.loop.timekeeping import Timekeeper
from controllers.revision.snapshot import Snapshot
from controllers.revision.source import SourceController
from controllers.runtime.clock import WatchedClock
from framework.api.conditions import violations
from framework.api.meta import Ref
from framework.backends.memory import memory_ports
from framework.backends.memory.plane import DataPlane
from framework.kinds import KINDS
from framework.planning.grammar.changes import Plan, Status
from framework.planning.grammar.kind import Kind
from framework.planning.grammar.remembered import sound
from framework.planning.plan.estimate import Known
from framework.planning.plan.planner import Looked, build_plan, plan_resource
from framework.planning.reports.convergence import EnvironmentHealth, environment_health
from framework.ports import Ports
from framework.sources.trees import CommittedData
from framework.specs.read import read_snapshot
from tests.builders import NOW

DEPARTURES = """
apiVersion: mlops/v1alpha1
kind: FeatureView
metadata: {name: departures}
spec:
  entities: [flight]
  timestamp: at
  sources: {flights: {format: csv, path: data/flights.csv}}
  columns:
    - {name: flight, dtype: Int64}
    - {name: at, dtype: Datetime}
    - {name: distance, dtype: Float64}
    - {name: delayed, dtype: Boolean}
"""

TRAINING = """
apiVersion: mlops/v1alpha1
kind: TrainingJob
metadata: {name: classifier}
spec:
  dataset:
    spine: departures
    columns: [distance]
    label: delayed
    window: {from: 2013-01-01, to: 2013-04-01}
    split: {fractions: {train: 0.6, validation: 0.2, test: 0.2}}
  trainer: {lightgbm: {rounds: 50}}
  evaluation: {gates: [{metric: auc, min: 0.6}]}
"""

DEPLOYMENT = """
apiVersion: mlops/v1alpha1
kind: ModelDeployment
metadata: {name: delay}
spec:
  model: {training: classifier}
  serving: {route: /delay}
  strategy:
    canary:
      steps: [{setWeight: 10}, {analyze: {for: 10s}}, {setWeight: 50}, {analyze: {for: 10s}}, {setWeight: 100}]
      analysis: [{metric: error_rate, maxIncrease: 0.02}]
      minRequests: 100
      abort: {scaleDownDelay: 2s}
      scaleDownDelay: 5s
"""

BETTER = TRAINING.replace("rounds: 50", "rounds: 80")
ANOTHER = TRAINING.replace("rounds: 50", "rounds: 99")

PROJECT = {
    "mlops_specs/departures.yaml": DEPARTURES,
    "mlops_specs/classifier.yaml": TRAINING,
    "mlops_specs/delay.yaml": DEPLOYMENT,
}

VIEW, JOB = Ref("FeatureView", "departures"), Ref("TrainingJob", "classifier")
ENDPOINT = Ref("ModelDeployment", "delay")


def environment(spec: str) -> str:
    return f"apiVersion: mlops/v1alpha1\nkind: Environment\nmetadata: {{name: local}}\nspec: {{{spec}}}\n"


class World:
    """``error_rate`` says by app how it behaves, ``auc`` by training identity how good the model is."""

    def __init__(
        self,
        files: Mapping[str, str] = PROJECT,
        kinds: Mapping[str, Kind] = KINDS,
        observers: Mapping[str, Observer] = OBSERVERS,
    ) -> None:
        self.kinds, self.observers = kinds, observers
        self.now = NOW
        self.jumped = timedelta(0)
        self.ports = memory_ports(lambda: self.now, storage="memory://store", observations=None, check=sound(kinds))
        self.error_rate: Callable[[str], float] = lambda app: 0.0
        self.auc: Callable[[str], float] = lambda identity: 0.7
        self.requests_per_second = 100
        self.plane = DataPlane(
            self.ports.runs,
            self.ports.serving,
            self.ports.tables,
            self.ports.online,
            self.clock,
            metrics=lambda payload: {"auc": self.auc(payload["identity"])},
            error_rate=lambda app: self.error_rate(app),
        )
        self.ports.sources.files["data/flights.csv"] = "v1"
        self.files = dict(files)
        self.head = self.ports.source.commit(self.files)
        self.process = 0
        self.restart(self.ports)

    def restart(self, ports: Ports) -> None:
        """A fresh controller process on ``ports``: nothing is remembered but what is in the store."""
        self.process += 1
        lease = self.ports.state.acquire(f"controller-{self.process}", 30.0, self.now, over=self.ports.state.lease())
        assert lease is not None
        self.token = lease.token
        watched = WatchedClock(self.clock, lambda: (self.now - NOW - self.jumped).total_seconds())
        self.keeper = Timekeeper(ports.state, self.kinds, watched, lambda: self.token, "test", lambda: "boot")
        self.source = SourceController(ports, self.read, "main", watched, lambda: self.token, "test", kinds=self.kinds)
        self.reconciler = Reconciler(
            ports, self.kinds, self.observers, watched, lambda: self.token, "test", lambda: self.source.rules,
            lambda: self.keeper.era,
        )  # fmt: skip

    def resign(self) -> None:
        """Nobody leads until somebody takes the lease."""
        lease = self.ports.state.lease()
        assert lease is not None
        self.ports.state.release(lease)

    def clock(self) -> datetime:
        return self.now

    def jump(self, by: timedelta) -> None:
        """Somebody sets the clock; no time passes."""
        self.now += by
        self.jumped += by

    def read(self, commit: str) -> Snapshot:
        snapshot = read_snapshot(
            self.ports.source, commit, "mlops_specs", "local", self.kinds, root="/project", storage="memory://store",
            tree=CommittedData(self.ports.source),
        )  # fmt: skip
        return replace(snapshot, subject="a commit")

    def commit(self, **changes: str | None) -> str:
        """Replace (or with None remove) files of ``mlops_specs`` by their stem; the new commit."""
        for stem, text in changes.items():
            path = f"mlops_specs/{stem}.yaml"
            if text is None:
                del self.files[path]
            else:
                self.files[path] = text
        self.head = self.ports.source.commit(self.files)
        return self.head

    def pass_(self) -> bool:
        """Look at every resource once. Whether nothing failed meanwhile."""
        self.keeper.look()
        self.source.poll()
        recorded = self.ports.state.recorded()
        refs = [*(record.ref for record in recorded.readable), *recorded.unreadable]
        vanished = [ref for ref in refs if ref not in self.source.desired]
        whole = True
        for ref in (*self.source.desired, *sorted(vanished)):
            whole &= not self.reconciler.reconcile(ref, self.source.desired.get(ref)).retry
        for record in self.ports.state.records():
            assert not violations(Status.model_validate(record.status).conditions), record
        return whole

    def advance(self, seconds: float = 1.0) -> None:
        """The data plane works and callers call."""
        self.now += timedelta(seconds=seconds)
        self.plane.requests_per_second = self.requests_per_second
        self.plane.advance(timedelta(seconds=seconds))

    def steps(self, number: int, seconds: float = 1.0) -> None:
        for _ in range(number):
            self.pass_()
            self.advance(seconds)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The data plane works in the background."""
        ended = threading.Event()

        def work() -> None:
            while not ended.wait(0.02):
                self.advance(0)

        plane = threading.Thread(target=work)
        plane.start()
        try:
            yield
        finally:
            ended.set()
            plane.join()

    def run(self, rounds: int = 200) -> int:
        """Pass after pass until nothing moves; how many it took."""
        for number in range(rounds):
            self.pass_()
            if self.standing().settled and not self.draining():
                return number
            self.advance()
        raise AssertionError(f"not settled: {self.standing()}, {self.message(ENDPOINT)}")

    def draining(self) -> bool:
        """Apps out of service still stand."""
        return bool(self.state(ENDPOINT).get("retiring"))

    def standing(self) -> EnvironmentHealth:
        return environment_health(self.source.desired, self.ports.state.records())

    def status(self, ref: Ref) -> Status:
        record = self.ports.state.load(ref)
        assert record is not None, f"{ref} has no record"
        return Status.model_validate(record.status)

    def state(self, ref: Ref) -> dict[str, Any]:
        record = self.ports.state.load(ref)
        return Status.model_validate(record.status).state if record else {}

    def served(self) -> str:
        """The version of the model that answers."""
        version: str = self.state(ENDPOINT)["stable"]["version"]
        return version

    def reasons(self, ref: Ref | None = None) -> list[str]:
        """The reasons of all that was told, of one resource or of all."""
        return [event.reason for event in self.ports.state.events(ref, 10_000)]

    def changed(self) -> list[str]:
        """What was asked of the cluster and the storage since the calls were cleared."""
        return [call.verb for call in self.ports.calls.made if not call.verb.startswith("state.")]

    def built(self, commit: str, ref: Ref = JOB) -> str:
        """The model version that is the build of what ``commit`` asks for; empty where there is none."""
        builds = self.ports.registry.builds(ref.name, self.read(commit).desired[ref].identity)
        return builds[0].version if builds else ""

    def message(self, ref: Ref) -> str:
        record = self.ports.state.load(ref)
        return Status.model_validate(record.status).conditions.ready.message if record else "no record"

    def plan(self) -> Plan:
        loaded = self.read(self.head)
        records = {record.ref: record for record in self.ports.state.records()}
        vanished = sorted(ref for ref in records if ref not in loaded.desired)
        refs = (*loaded.desired, *vanished)
        inputs = [self.reconciler.inputs(ref, loaded.desired.get(ref), records.get(ref)) for ref in refs]
        looked = Looked.at(inputs, [plan_resource(item, NOW) for item in inputs])
        git = plans.compared("local", self.source.loaded, loaded, self.kinds)
        return build_plan("local", git, looked, self.kinds, Known(), NOW)

    def weights(self) -> dict[str, int]:
        """Live traffic by app."""
        route = self.ports.serving.route("delay", "")
        return dict(route.spec.weights) if route else {}


def reconciled(**files: str) -> World:
    """A world with ``files`` beside those of the project, by their stem, in which everything has come to rest."""
    world = World({**PROJECT, **{f"mlops_specs/{stem}.yaml": text for stem, text in files.items()}})
    world.run()
    assert world.standing().converged, world.message(ENDPOINT)
    return world
