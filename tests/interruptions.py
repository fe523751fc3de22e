"""Commits at any moment, and faults at any call: what must hold of the world and the log whatever came of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

from framework.kinds import KINDS
from framework.planning.admission.ledger import Ledger
from framework.planning.reports.history import history
from tests.stage import JOB_TEXT, LARGE, LATE, OTHER, SERVED, WATCH, Stage, drawn
from tests.world import DEPARTURES

COMMITS: tuple[dict[str, str | None], ...] = (
    *({"classifier": JOB_TEXT.replace("rounds: 50", f"rounds: {rounds}")} for rounds in (50, 80, 81, 82)),
    {"delay": LARGE},
    {"delay": SERVED, "watch": WATCH},
    {"delay": None, "watch": None},
    {"watch": None},
    {"late": LATE},
    {"late": None},
    {"other": OTHER},
    {"other": None},
    {"departures": DEPARTURES + "    - {name: origin, dtype: String}\n"},
)


def violations(seed: int) -> list[str]:
    """Make two to six commits with a few looks between them, faults at any call, and let it come to rest; everything
    that does not hold then, or at any time did not."""
    draw, stage = random.Random(seed), Stage()
    faults = []
    for _ in range(draw.randint(2, 6)):
        asked = draw.choice(COMMITS)
        there = {name for name in asked if f"mlops_specs/{name}.yaml" in stage.world.files}
        commit = {name: text for name, text in asked.items() if text is not None or name in there}
        if draw.random() < 0.3:
            stage.flaky = set() if stage.flaky else {"train-"}
        if commit:
            stage.commit(**commit)
        faults += [drawn(draw) for _ in range(draw.randint(0, 4))]
        for _ in range(draw.choice([0, 1, 1, 2, 3, 5, 8, 30])):
            stage.look(faults)
            stage.advance()
    try:
        stage.rest()
    except AssertionError as error:
        return [str(error)]
    return [*stage.broken, *stage.world.ports.serving.harm, *_of_runs(stage), *_of_services(stage), *_of_quotas(stage)]


def _of_runs(stage: Stage) -> Iterator[str]:
    runs = stage.world.ports.runs
    events = stage.world.ports.state.events(limit=1_000_000)
    told = Counter(event.data["run"] for event in events if event.reason == "RunStarted")
    for run in {*told, *runs.runs()}:
        if told[run] != (run in runs.runs()):
            yield f"{run} is there: {run in runs.runs()}, and was told of {told[run]} times"
    yield from (f"{run.name} goes on, and nobody knows of it" for run in runs.active())


def _of_services(stage: Stage) -> Iterator[str]:
    """The log alone tells what serves, and nothing was blamed on hands that nobody laid on it."""
    ports = stage.world.ports
    events = ports.state.events(limit=1_000_000)
    yield from (f"{event.ref}: {event.message}" for event in events if event.reason == "DriftRepaired")
    served = {life.ref: life.services[-1] for life in history(events, KINDS).lives if life.services}
    stable = {record.ref: record.status["state"].get("stable") for record in ports.state.records()}
    for ref, last in served.items():
        if ref.kind == "ModelDeployment":
            logged = None if last.until else last.app
            found = stable.get(ref)
            if logged != (found["app"] if found else None):
                yield f"{ref}: the log says {logged}, and {found and found['app']} serves"
    yield from ports.state.verify_events()


def _of_quotas(stage: Stage) -> Iterator[str]:
    ports = stage.world.ports
    apps = ports.serving._apps.values()
    live = sum(app.spec.max_replicas * app.spec.cpus for app in apps)
    counted = Ledger(ports.state.records()).total.cpus
    if abs(live - counted) > 1e-9:
        yield f"{live:g} CPUs run, and {counted:g} are counted"
    owned = {item for record in ports.state.records() for item in record.inventory if item.startswith("app:")}
    if owned != {f"app:{app.spec.name}" for app in apps}:
        yield f"{sorted(owned)} are owned, and there are {sorted(app.spec.name for app in apps)}"
