"""Edits, faults and what must come of both: the same world, the same log and the same quotas as on a calm day.

A schedule is drawn from a seed. Its edits are made twice, in a world where nothing fails and in one where the
controller is killed and its ports fail; :func:`differences` names everything in which the second ended otherwise.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import Any

from framework.api.errors import TransientError
from framework.api.meta import Ref
from framework.backends.faults import Crash, FaultInjector
from framework.planning.admission import Ledger
from framework.planning.changes import Status
from framework.ports import AppPhase, Event, FailureKind, Reference
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
TOLD_OF_FAULTS = frozenset({"TransientError", "SourceUnavailable", "SourceAvailable"})
"""Events that say that a port failed, and that it works again. Nothing else is left out of a comparison."""
KEY_DATA = ("run", "version", "app", "identity", "before", "after", "uri", "cause", "returning")
"""What of an event's data must be the same. Times, numbers of a judgement and episodes named by time may differ."""

Wait = Callable[[], bool]
Edit = Callable[["Stage"], Iterator[Wait]]


class _AnyProfile(dict[str, Reference]):
    """Every model has a training profile."""

    def get(self, key: str, default: Any = None) -> Reference:
        return reference(numeric([2_000] * 5, name="distance"))


class Stage:
    """A world with callers, labels, meddling hands and flaky machines, all of them moved by edits alone."""

    def __init__(self, faults: FaultInjector | None = None) -> None:
        self.faults = FaultInjector() if faults is None else faults
        self.world = World({f"mlops_specs/{stem}.yaml": text for stem, text in FIRST.items() if text is not None})
        self.world.plane.seconds = lambda run: 10.0 if run.name.startswith("train-other") else 3.0
        self.world.requests_per_second = 2_000
        self.world.error_rate = lambda app: 0.4 if app in self.bad else 0.0
        self.world.ports.profiles.references = _AnyProfile()
        self.bad: set[str] = set()
        self.flaky: set[str] = set()
        """Runs whose first attempt is lost."""
        self.moved = False
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
            for _ in range(150):
                self._pass(left)
                if wait():
                    break
                self._advance()
            else:
                raise AssertionError(f"never came to rest: {self.world.standing()}")
        self.faults.revive()

    def settled(self) -> bool:
        world = self.world
        if world.source.loaded is None or world.source.loaded.commit != world.head:
            return False
        records = world.ports.state.records()
        retiring = any(Status.model_validate(record.status).state.get("retiring") for record in records)
        doing = any(getattr(record, "doing", ()) for record in records)
        return world.standing().settled and not retiring and not doing

    def _pass(self, left: list[Fault]) -> None:
        if left and not self.faults.pending:
            left.pop(0).arm(self.faults)
        try:
            self.world.pass_()
        except TransientError:
            pass  # a source that cannot be looked at is looked at again
        except Crash:
            self.faults.revive()
            self._restart()
        self._hold()

    def _restart(self) -> None:
        """Another process. Taking the lease is no call that may fail here: without one, nothing would be tried."""
        self.world.restart(self.world.ports)
        faulty = self.faults.around(self.world.ports)
        self.world.source.ports = faulty
        object.__setattr__(self.world.reconciler, "ports", faulty)

    def _advance(self) -> None:
        runs, serving = self.world.ports.runs, self.world.ports.serving
        for run in runs.active():
            if run.attempt == 1 and any(run.name.startswith(name) for name in self.flaky):
                runs.fail(run.name, FailureKind.INFRASTRUCTURE, "RunLost", "the node went away")
        self.world.advance()
        for deployment in serving.routes():
            for app in self.world.ports.serving.apps(deployment):
                shape = [1_000, 50, 50, 50, 50] if self.moved else [200] * 5
                folder = f"memory://store/profiles/{deployment}/{app}"
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


# ------------------------------------------------------------------- faults


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


# ------------------------------------------------------------------- edits


def _better(stage: Stage) -> Iterator[Wait]:
    stage.commit(classifier=JOB_TEXT.replace("rounds: 50", "rounds: 80"))
    yield from ()


def _rejected(stage: Stage) -> Iterator[Wait]:
    """The next candidate errs, and the one after it does not."""
    good = stage.stable()
    stage.world.error_rate = lambda app: 0.0 if app == good else 0.4
    stage.commit(classifier=JOB_TEXT.replace("rounds: 50", "rounds: 66"))
    yield stage.settled
    stage.world.error_rate = lambda app: 0.0
    stage.commit(classifier=JOB_TEXT.replace("rounds: 50", "rounds: 67"))


def _revert(stage: Stage) -> Iterator[Wait]:
    stage.commit(classifier=JOB_TEXT, delay=SERVED)
    yield from ()


def _resize(stage: Stage) -> Iterator[Wait]:
    stage.commit(delay=LARGE)
    yield stage.settled
    stage.commit(delay=SERVED)


def _bounded(stage: Stage) -> Iterator[Wait]:
    """What is too large is let in once it asks for less; a run waits while another one goes on."""
    stage.commit(late=TOO_LARGE)
    yield stage.settled
    stage.commit(late=LATE)
    yield stage.settled
    stage.commit(other=OTHER)
    yield lambda: stage.active("train-other")
    stage.commit(classifier=JOB_TEXT.replace("rounds: 50", "rounds: 90"))
    yield stage.settled
    stage.commit(late=None, other=None)


def _flaky(stage: Stage) -> Iterator[Wait]:
    """Every run has to be started twice."""
    stage.flaky = {"features-", "train-"}
    stage.world.ports.tables.files["data/flights.csv"] = "v2"
    stage.commit(departures=DEPARTURES + "    - {name: origin, dtype: String}\n")
    yield stage.settled
    stage.flaky = set()


def _gives_up(stage: Stage) -> Iterator[Wait]:
    """A model that fails its gate, then one that does not."""
    stage.world.auc = lambda identity: 0.5
    stage.commit(classifier=JOB_TEXT.replace("rounds: 50", "rounds: 51"))
    yield stage.settled
    stage.world.auc = lambda identity: 0.7
    stage.commit(classifier=JOB_TEXT.replace("rounds: 50", "rounds: 52"))


def _changed_mind(stage: Stage) -> Iterator[Wait]:
    """Superseded while it trains, and while it is rolled out."""
    stage.commit(classifier=JOB_TEXT.replace("rounds: 50", "rounds: 71"))
    yield lambda: stage.active("train-classifier")
    stage.commit(classifier=JOB_TEXT.replace("rounds: 50", "rounds: 72"))
    yield lambda: 10 in stage.weights().values()
    stage.commit(classifier=JOB_TEXT.replace("rounds: 50", "rounds: 73"))


def _drifts(stage: Stage) -> Iterator[Wait]:
    stage.moved = True
    yield lambda: "drift" in stage.episodes()
    stage.moved = False
    yield lambda: "drift" not in stage.episodes()


def _meddles(stage: Stage) -> Iterator[Wait]:
    """Hands change what serves."""
    app, serving = stage.stable(), stage.world.ports.serving
    serving.change_route_by_hand("delay", weights={app: 40})
    yield stage.settled
    serving.change_by_hand(app)
    yield stage.settled
    serving.remove_by_hand(app)
    yield stage.settled
    serving.remove_route_by_hand("delay")


def _wrong(stage: Stage) -> Iterator[Wait]:
    """A commit that is refused, and one that puts it right."""
    stage.commit(classifier=JOB_TEXT.replace("spine: departures", "spine: nowhere"))
    yield lambda: stage.world.source.problem is not None and stage.world.source.newest == stage.world.head
    stage.commit(classifier=JOB_TEXT.replace("rounds: 50", "rounds: 61"))


def _everything_goes(stage: Stage) -> Iterator[Wait]:
    stage.commit(departures=None, classifier=None, delay=None, watch=None)
    yield stage.settled
    stage.commit(**FIRST)


def _first(stage: Stage) -> Iterator[Wait]:
    yield from ()


EDITS: Mapping[str, Edit] = {
    "better": _better,
    "rejected": _rejected,
    "revert": _revert,
    "resize": _resize,
    "bounded": _bounded,
    "flaky": _flaky,
    "gives-up": _gives_up,
    "changed-mind": _changed_mind,
    "drifts": _drifts,
    "meddles": _meddles,
    "wrong": _wrong,
    "everything-goes": _everything_goes,
}

SCENARIOS: Sequence[tuple[str, ...]] = (
    ("first",),
    ("first", "better", "revert"),
    ("first", "rejected"),
    ("first", "resize", "meddles"),
    ("first", "bounded"),
    ("first", "flaky"),
    ("first", "gives-up", "wrong"),
    ("first", "changed-mind"),
    ("first", "drifts"),
    ("first", "everything-goes"),
    ("first", "better", "meddles", "revert"),
    ("first", "wrong", "resize", "everything-goes"),
)


@dataclass(frozen=True)
class Schedule:
    """``faults`` of each edit, in the order of the edits."""

    edits: tuple[str, ...]
    faults: tuple[tuple[Fault, ...], ...]


def schedule(seed: int) -> Schedule:
    """The same seed gives the same schedule. The first edit is spared half the time, others have up to four faults."""
    draw = random.Random(seed)
    edits = SCENARIOS[seed % len(SCENARIOS)]
    planned = []
    for number, _ in enumerate(edits):
        spared = number == 0 and len(edits) > 1 and draw.random() < 0.5
        planned.append(tuple(_fault(draw) for _ in range(0 if spared else draw.randint(1, 4))))
    return Schedule(edits, tuple(planned))


def _fault(draw: random.Random) -> Fault:
    kill = draw.random() < 0.6
    return Fault(draw.randint(1, 14 if kill else 160), kill, draw.random() < 0.5)


# ------------------------------------------------------------------- what came of it


@dataclass(frozen=True)
class Outcome:
    """``told`` is the log by resource (None: the environment), without what tells of the faults themselves."""

    world: Mapping[str, Any]
    told: Mapping[Ref | None, Sequence[Any]]
    removed: Sequence[Ref] = ()
    broken: Sequence[str] = field(default=())


def play(plan: Schedule) -> Outcome:
    stage = Stage()
    for name, faults in zip(plan.edits, plan.faults, strict=True):
        stage.go(_first if name == "first" else EDITS[name], faults)
    return _outcome(stage)


@cache
def calm(edits: tuple[str, ...]) -> Outcome:
    """The same edits while nothing fails."""
    return play(Schedule(edits, tuple(() for _ in edits)))


def differences(plan: Schedule) -> list[str]:
    """In what the schedule ended otherwise than a calm day with the same edits; empty where it did not."""
    expected = calm(plan.edits)
    try:
        found = play(plan)
    except AssertionError as error:
        return [str(error)]
    told = [*found.broken]
    for name, value in expected.world.items():
        if found.world[name] != value:
            told.append(f"{name}: {found.world[name]} instead of {value}")
    for ref in sorted({*expected.told, *found.told}, key=str):
        told += _compared(ref, list(expected.told.get(ref, ())), list(found.told.get(ref, ())))
    order = [ref.kind for ref in found.removed]
    if order != [ref.kind for ref in expected.removed]:
        told.append(f"removed in the order {', '.join(map(str, found.removed))}")
    return told


def _compared(ref: Ref | None, expected: list[Any], found: list[Any]) -> list[str]:
    lost, more = Counter(map(repr, expected)), Counter(map(repr, found))
    about = str(ref or "the environment")
    told = [f"{about}: {count} x lost: {text}" for text, count in (lost - more).items()]
    told += [f"{about}: {count} x too many: {text}" for text, count in (more - lost).items()]
    if not told and expected != found:
        told.append(f"{about}: in the order {[item[0] for item in found]} instead of {[item[0] for item in expected]}")
    return told


def _outcome(stage: Stage) -> Outcome:
    ports = stage.world.ports
    events = ports.state.events(limit=1_000_000)
    told: dict[Ref | None, list[Any]] = {}
    for event in events:
        if event.reason not in TOLD_OF_FAULTS:
            told.setdefault(event.ref, []).append(_key(event))
    records = {str(record.ref): record for record in ports.state.records()}
    world = {
        "weights": {name: dict(route.spec.weights) for name, route in _routes(stage)},
        "apps": {name: app.spec.digest for name, app in sorted(ports.serving._apps.items())},
        "phases": {app.phase for app in ports.serving._apps.values()} <= {AppPhase.RUNNING},
        "harm": ports.serving.harm,
        "runs": sorted(ports.runs.runs()),
        "active runs": [run.name for run in ports.runs.active()],
        "models": sorted((item.training, item.version, item.deployable) for item in ports.registry._versions.values()),
        "statuses": {
            name: [record.status[key] for key in ("digest", "identity", "commit")]
            + [record.status["conditions"][key]["status"] for key in ("ready", "reconciling", "stalled")]
            for name, record in records.items()
        },
        "inventory": {name: record.inventory for name, record in records.items()},
        "takes": {name: record.takes for name, record in records.items()},
        "alerts": Counter((alert.monitor, alert.state) for alert, _ in ports.notifier.sent),
        "revisions": [(item.commit, item.accepted, item.problems) for item in ports.state.revisions()],
        "the log verifies": ports.state.verify_events(),
    }
    removed = [event.ref for event in events if event.reason == "Deleted" and event.ref is not None]
    return Outcome(world, told, removed, tuple(dict.fromkeys(stage.broken)))


def _routes(stage: Stage) -> Iterator[tuple[str, Any]]:
    for name in stage.world.ports.serving.routes():
        yield name, stage.world.ports.serving.route(name, "")


def _key(event: Event) -> Any:
    data = {key: event.data[key] for key in KEY_DATA if key in event.data}
    flips = {name: flip["after"] for name, flip in event.data.get("conditions", {}).items()}
    return event.reason, event.commit[:7], data, flips
