"""Edits, faults and what must come of both: the same world, the same log and the same quotas as on a calm day.

A schedule is drawn from a seed. Its edits are made twice, in a world where nothing fails and in one where the
controller is killed and its ports fail; :func:`differences` names everything in which the second ended otherwise.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from framework.api.meta import Ref
from framework.ports import AppPhase, Event
from tests.stage import FIRST, JOB_TEXT, LARGE, LATE, OTHER, SERVED, TOO_LARGE, Edit, Fault, Stage, Wait, drawn
from tests.world import DEPARTURES

TOLD_OF_FAULTS = frozenset({"TransientError", "SourceUnavailable", "SourceAvailable"})
"""Events that say that a port failed, and that it works again. Nothing else is left out of a comparison."""
KEY_DATA = ("run", "version", "app", "identity", "before", "after", "uri", "cause", "returning")
"""What of an event's data must be the same. Times, numbers of a judgement and episodes named by time may differ."""


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
    stage.world.ports.sources.files["data/flights.csv"] = "v2"
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
        planned.append(tuple(drawn(draw) for _ in range(0 if spared else draw.randint(1, 4))))
    return Schedule(edits, tuple(planned))


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
        "models": {
            (item.training, item.version, item.deployable)
            for training in ("classifier", "other")
            for item in ports.registry.versions(training)
        },
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
