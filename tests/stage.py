"""A world with callers, meddling hands and flaky machines, whose controller is killed and whose ports fail."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from framework.api.errors import TransientError
from framework.api.meta import Ref
from framework.backends.memory.faults import Crash, FaultInjector
from framework.planning.admission.ledger import Ledger
from framework.planning.grammar.changes import Status
from framework.ports import FailureKind, ReferenceProfile
from tests.unit.drift.columns import numeric, reference
from tests.world import DEPARTURES, DEPLOYMENT, TRAINING, World

CPUS = 4.0
"""The quota of the environment."""
MONITOR = Ref("ModelMonitor", "watch")

ENVIRONMENT = f"""
apiVersion: mlops/v1alpha1
kind: Environment
metadata: {{name: local}}
spec:
  quotas: {{cpus: {CPUS:g}, runs: 1}}
  deletion: {{maxShare: 1}}
"""
WATCH = """
apiVersion: mlops/v1alpha1
kind: ModelMonitor
metadata: {name: watch}
spec:
  deployment: delay
  window: 5s
  drift: {threshold: 0.2}
  alerts: [{file: .mlops/alerts.jsonl}]
"""
JOB_TEXT = TRAINING + "  retries: {limit: 2, backoff: 1s}\n  resources: {cpusPerWorker: 1}\n"
SERVED = (
    DEPLOYMENT.replace("{route: /delay}", "{route: /delay, replicas: {min: 1, max: 2}, profiling: {flush: 1s}}")
    .replace("{for: 10s}", "{for: 3s}")
    .replace("scaleDownDelay: 5s", "scaleDownDelay: 2s")
)
LARGE = SERVED.replace("max: 2}", "max: 3}")
LATE = SERVED.replace("name: delay}", "name: late}").replace("/delay", "/late").replace("max: 2}", "max: 1}")
TOO_LARGE = LATE.replace("max: 1}", "max: 8}")
OTHER = JOB_TEXT.replace("name: classifier}", "name: other}").replace("rounds: 50", "rounds: 31")

FIRST: dict[str, str | None] = {
    "departures": DEPARTURES, "classifier": JOB_TEXT, "delay": SERVED, "watch": WATCH, "env": ENVIRONMENT,
}  # fmt: skip

Wait = Callable[[], bool]
Edit = Callable[["Stage"], Iterator[Wait]]


@dataclass(frozen=True)
class Fault:
    """Comes at the ``call``-th call after the one before it: a kill at a changing call, or an error at any call; before
    the call has done its work, or when it has."""

    call: int
    kill: bool
    after: bool

    def arm(self, faults: FaultInjector) -> None:
        if self.kill:
            faults.crash_at(self.call, after=self.after)
        else:
            faults.fail_at_any(self.call, TransientError("a fault on purpose"), after=self.after)


def drawn(draw: random.Random) -> Fault:
    kill = draw.random() < 0.6
    return Fault(draw.randint(1, 14 if kill else 160), kill, draw.random() < 0.5)


class AnyProfile(dict[str, ReferenceProfile]):
    """Every model has a training profile."""

    def get(self, key: str, default: Any = None) -> ReferenceProfile:
        return reference(numeric([2_000] * 5, name="distance"))


class Stage:
    """A world with callers, labels, meddling hands and flaky machines, all of them moved by edits alone."""

    def __init__(self, faults: FaultInjector | None = None) -> None:
        self.faults = FaultInjector() if faults is None else faults
        self.world = World({f"mlops_specs/{stem}.yaml": text for stem, text in FIRST.items() if text is not None})
        self.world.plane.seconds = lambda run: 10.0 if run.name.startswith("train-other") else 3.0
        self.world.requests_per_second = 2_000
        self.world.error_rate = lambda app: 0.4 if app in self.bad else 0.0
        self.world.ports.profiles.references = AnyProfile()
        self.bad: set[str] = set()
        self.flaky: set[str] = set()
        """Runs whose first attempt is lost."""
        self.moved = False
        self.whole = False
        """Whether the last look came by everything, and nothing failed: what hands did meanwhile was seen then."""
        self.broken: list[str] = []
        """Everything that must never be so and was, in order."""
        self._restart()

    # ------------------------------------------------------------------- what edits look at and do

    def commit(self, **changes: str | None) -> None:
        self.world.commit(**changes)

    def active(self, prefix: str) -> bool:
        return any(run.name.startswith(prefix) for run in self.world.ports.runs.active())

    def weights(self) -> dict[str, int]:
        return self.world.weights()

    def stable(self) -> str:
        """The app that has all the traffic."""
        (app,) = self.weights()
        return app

    def episodes(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.world.state(MONITOR).get("episodes", {})
        return found

    # ------------------------------------------------------------------- time passes

    def go(self, edit: Edit, pending: Sequence[Fault] = ()) -> None:
        """Make an edit and let everything come to rest. Raises AssertionError where it does not."""
        left = list(pending)
        for wait in chain(edit(self), [self.settled]):
            self._until(wait, left)
        self.faults.revive()

    def rest(self) -> None:
        """Without any further fault, let everything come to rest. Raises AssertionError where it does not."""
        self.faults.revive()
        self._until(self.settled, [])

    def _until(self, wait: Wait, left: list[Fault]) -> None:
        for _ in range(400):
            self.look(left)
            if wait():
                return
            self.advance()
        raise AssertionError(f"never came to rest: {self.world.standing()}")

    def settled(self) -> bool:
        world = self.world
        loaded, refused = world.source.loaded, world.source.problem is not None
        if loaded is None or world.source.newest != world.head or (loaded.commit != world.head and not refused):
            return False
        records = world.ports.state.records()
        retiring = any(Status.model_validate(record.status).state.get("retiring") for record in records)
        doing = any(getattr(record, "doing", ()) for record in records)
        return self.whole and world.standing().settled and not retiring and not doing

    def look(self, left: list[Fault]) -> None:
        if left and not self.faults.pending:
            left.pop(0).arm(self.faults)
        self.whole = False
        try:
            self.whole = self.world.pass_()
        except TransientError:
            pass  # a source that cannot be looked at is looked at again
        except Crash:
            self.faults.revive()
            self._restart()
        self._hold()

    def _restart(self) -> None:
        """Another process. Taking the lease is no call that may fail here: without one, nothing would be tried."""
        self.world.restart(self.faults.around(self.world.ports))

    def advance(self) -> None:
        runs, serving = self.world.ports.runs, self.world.ports.serving
        for run in runs.active():
            if run.attempt == 1 and any(run.name.startswith(name) for name in self.flaky):
                runs.fail(run.name, FailureKind.INFRASTRUCTURE, "RunLost", "the node went away")
        self.world.advance()
        for deployment in serving.routes():
            for app in self.world.ports.serving.apps(deployment):
                shape = [1_000, 50, 50, 50, 50] if self.moved else [200] * 5
                folder = f"memory://store/environments/local/profiles/{deployment}/{app}"
                self._profile(folder, shape)

    def _profile(self, folder: str, shape: list[int]) -> None:
        self.world.ports.profiles.add_profile(folder, self.world.now, [numeric(shape, name="distance")])

    def _hold(self) -> None:
        """What must hold at any time."""
        apps = self.world.ports.serving._apps.values()
        training = [run for run in self.world.ports.runs.active() if run.name.startswith("train-")]
        live = sum(app.spec.max_replicas * app.spec.cpus for app in apps) + len(training)
        counted = Ledger(self.world.ports.state.records()).total
        if live > CPUS:
            self.broken.append(f"{live:g} CPUs run, of {CPUS:g}")
        if counted.cpus > CPUS or counted.runs > 1:
            self.broken.append(f"{counted.cpus:g} CPUs and {counted.runs} runs are counted, of {CPUS:g} and 1")
        if live > counted.cpus + 1e-9:
            self.broken.append(f"{live:g} CPUs run, and {counted.cpus:g} are counted")
