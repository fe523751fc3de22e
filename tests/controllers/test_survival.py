"""No failure ends the controller: whatever any call of any port raises, it is told, tried again, and got over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controllers.commands.project import Project
from controllers.host.passes import serve
from controllers.revision.permits import Permit, say
from controllers.revision.snapshot import Snapshot
from framework.api.errors import ConfigurationError, ConflictError, TerminalError, TransientError
from framework.backends.memory.faults import VERBS, FaultInjector
from framework.kinds import KINDS
from framework.ports import Pin, Signature
from framework.sources.trees import CommittedData
from framework.specs.read import read_snapshot
from tests.controllers.test_passes import hurry, project
from tests.stage import WATCH, AnyProfile
from tests.unit.drift.columns import numeric
from tests.world import DEPARTURES, DEPLOYMENT, ENDPOINT, JOB, PROJECT, TRAINING, VIEW, World

BETTER = TRAINING.replace("rounds: 50", "rounds: 80") + "  deletion: delete\n"
ERRORS = [
    TransientError("not ready"),
    ConfigurationError("does not work"),
    ConflictError("was changed meanwhile"),
    TerminalError("Broken", "is broken"),
    OSError(5, "Input/output error"),
    ValueError("not a number"),
    KeyError("lease"),
    RecursionError("too deep"),
    type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})("a library written in Rust"),
]


BY_COMMANDS = frozenset(
    {
        "state.damage", "state.forget", "state.log", "state.naming", "state.owner", "state.recorded", "state.say",
        "state.mirror_mark", "state.set_mirror_mark",
        "state.set_pin", "state.verify_events", "registry.adopt", "registry.naming", "registry.versions",
        "runs.logs", "runs.runs", "serving.logs", "tables.checked",
    }
)  # fmt: skip
"""Verbs that people's commands call, or a mirror that nobody asked for, and no controller at work."""
BY_BACKENDS = frozenset({"source.archive", "source.copy", "source.large_file"})
"""Verbs that only other ports call."""
WHEN_THE_CLOCK_IS_SET = frozenset({"state.records"})
"""Which a busy machine may do without anybody's help."""
CODED = (
    DEPARTURES.replace("  columns:\n", "  transform: {function: p.features:rows}\n  columns:\n", 1).replace(
        "flights: {format: csv", "carriers: {format: csv, path: data/carriers.csv}, flights: {format: csv"
    )
    + "  materialization: {every: 5s}\n"
    + "  online: {}\n"
)
FILES = {
    **PROJECT,
    "mlops_specs/departures.yaml": CODED,
    "mlops_specs/watch.yaml": WATCH + "  performance: {labels: {view: departures, key: flight, column: delayed}}\n",
    "mlops_specs/delay.yaml": DEPLOYMENT.replace(
        "{route: /delay}", "{route: /delay, profiling: {flush: 1s, key: flight}}"
    ),
    "mlops_specs/classifier.yaml": TRAINING + "  deletion: delete\n",
    "p/features.py": "def rows(flights, carriers): ...\n",
    "data/carriers.csv": "UA\n",
}


class Running:
    """A controller at work on a world in memory, through ports that may fail."""

    def __init__(self, faults: FaultInjector) -> None:
        self.world, self.faults = World(FILES), faults
        self.world.requests_per_second = 2_000
        self.world.plane.seconds = lambda run: 10.0
        self.moved = False
        """Whether what callers send has drifted."""
        self.world.ports.source.signature = lambda commit: Signature(True, "ana")  # type: ignore[method-assign]
        self.world.ports.profiles.references = AnyProfile()
        self.world.resign()
        self.ports = faults.around(self.world.ports)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.plane = threading.Thread(target=self._plane, daemon=True)

    def project(self) -> Project:
        made = project(self.world)
        settings = replace(made.settings, resync=timedelta(seconds=0.05), allowed_signers=Path("/etc/signers"))
        return replace(
            made, settings=settings, ports=self.ports, idle=self.ports, read=self.read, clock=self.world.clock
        )

    def read(self, commit: str) -> Snapshot:
        snapshot = read_snapshot(
            self.ports.source, commit, "mlops_specs", "local", KINDS, root="/project", storage="memory://store",
            tree=CommittedData(self.ports.source),
        )  # fmt: skip
        return replace(snapshot, subject=self.ports.source.info(commit).subject)

    def _serve(self) -> None:
        serve(self.project(), self.stop, lambda result: None)

    def _plane(self) -> None:
        while not self.stop.wait(0.01):
            self.world.advance(0.5)
            for deployment in self.world.ports.serving.routes():
                for app in self.world.ports.serving.apps(deployment):
                    folder = f"memory://store/environments/local/profiles/{deployment}/{app}"
                    shape = [1_000, 50, 50, 50, 50] if self.moved else [200] * 5
                    self.world.ports.profiles.add_profile(folder, self.world.now, [numeric(shape, name="distance")])

    def until(self, holds: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert self.thread.is_alive(), f"the controller has ended before {what}"
            assert time.monotonic() < deadline, f"{what} did not come about in time: {self.world.message(ENDPOINT)}"
            time.sleep(0.01)

    def serves(self, commit: str) -> Callable[[], bool]:
        """Whether the model of that commit has all the traffic."""

        def holds() -> bool:
            stable = self.world.state(ENDPOINT).get("stable") or {}
            return stable.get("version") == self.world.built(commit) and self.world.weights() == {stable["app"]: 100}

        return holds


@contextmanager
def running(monkeypatch: pytest.MonkeyPatch, prepare: Callable[[FaultInjector], None]) -> Iterator[Running]:
    hurry(monkeypatch)
    faults = FaultInjector()
    prepare(faults)
    made = Running(faults)
    made.thread.start()
    made.plane.start()
    try:
        yield made
    finally:
        made.stop.set()
        made.thread.join(10)
        made.plane.join(10)
    assert not made.thread.is_alive()


@pytest.mark.parametrize(("turn", "after"), [(0, False), (1, True)])
def test_whatever_any_verb_raises_the_controller_lives_and_gets_there(
    turn: int, after: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every verb fails twice at the start, and again in the middle of each change, in a different way each time."""
    phase = iter(range(turn, turn + 10, 2))

    def fail(faults: FaultInjector) -> None:
        number = next(phase)
        for place, verb in enumerate(VERBS):
            for error in (ERRORS[(place + number) % len(ERRORS)], ERRORS[(place + number + 1) % len(ERRORS)]):
                faults.fail_on(verb, error, after=after)

    with running(monkeypatch, fail) as made:
        made.until(made.serves(made.world.head), "the first deployment")
        fail(made.faults)
        made.until(made.serves(made.world.commit(classifier=BETTER)), "the better model")
        made.world.ports.sources.files["data/flights.csv"] = "v2"
        made.until(lambda: made.world.state(VIEW)["published"]["version"] == 1, "the new data")
        first, better, state = made.world.ports.source.parent(made.world.head), made.world.head, made.world.ports.state
        assert first is not None
        fail(made.faults)
        state.set_pin(Pin(commit=first, over=better, actor="ana", time=made.world.now))
        made.until(made.serves(first), "the pinned commit")
        made.moved = True
        made.until(lambda: bool(made.world.ports.notifier.sent), "the alert")
        fail(made.faults)
        made.world.commit(classifier=BETTER.replace("80", "81"))
        made.until(lambda: any(run.name.startswith("train-") for run in made.world.ports.runs.active()), "a run")
        made.until(made.serves(made.world.commit(classifier=BETTER.replace("80", "82"))), "what superseded it")
        assert state.pin() is None
        source = made.world.ports.source
        made.world.commit(classifier=BETTER.replace("80", "82") + "  retrain: {onNewData: true, mode: direct}\n")
        made.world.ports.sources.files["data/flights.csv"] = "v3"
        made.until(lambda: source.resolve("main") != made.world.head, "the commit of a trigger")
        made.until(made.serves(source.resolve("main")), "what it asks for")
        fail(made.faults)
        offline = CODED.replace("  online: {}\n", "")
        gone = made.world.commit(delay=None, watch=None, classifier=None, departures=offline)
        say(state, {Permit.PRUNE}, gone, "ana", made.world.now)
        made.until(lambda: state.load(JOB) is None and state.load(ENDPOINT) is None, "the removal")
        made.until(lambda: state.words() == (), "the end of the word")
        made.until(lambda: made.world.ports.online.describe("departures") is None, "the end of its rows online")
        assert state.verify_events() == ()
        missed = set(VERBS) - made.faults.reached - WHEN_THE_CLOCK_IS_SET
        assert missed == BY_COMMANDS | BY_BACKENDS
    told = "\n".join(record.getMessage() for record in caplog.records)
    assert [error for error in ERRORS if str(error) not in told] == []
