"""A controller at work on a real repository and a real database, while one after the other breaks and is mended."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from controllers.commands.project import Project as Opened
from controllers.host.passes import serve
from controllers.revision.snapshot import Snapshot
from framework.backends.git.source import GitSource
from framework.backends.memory import MemoryCode, MemorySource
from framework.backends.state.database import open_database
from framework.backends.state.registry import SqlModelRegistry
from framework.backends.state.store import SqlStateStore
from framework.kinds import KINDS
from framework.specs.read import read_snapshot
from tests.controllers.test_cli import Project
from tests.controllers.test_passes import hurry
from tests.controllers.test_passes import project as project_on
from tests.world import DEPARTURES, TRAINING, World

VIEW = DEPARTURES.replace("  columns:\n", "  transform: {function: p.features:rows}\n  columns:\n", 1)
SECONDS = 20.0


class Live:
    """Specs, code and state on disk; runs and serving in memory."""

    def __init__(self, root: Path) -> None:
        self.repository = Project(root)
        (root / "p").mkdir()
        (root / "p" / "features.py").write_text("def rows(flights):\n    return flights\n")
        self.repository.commit(departures=VIEW)
        self.root, self.database = root, root / ".mlops" / "state.db"
        self.world = World()
        database = open_database("sqlite:///.mlops/state.db", str(root), busy_seconds=0.2)
        self.source = GitSource(root)
        self.ports = replace(
            self.world.ports,
            source=self.source,
            code=MemoryCode(cast(MemorySource, self.source), self.world.ports.calls),
            state=SqlStateStore(database, "local"),
            registry=SqlModelRegistry(database, "local"),
        )
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._serve, self._plane)]
        self.rounds = 50

    def project(self) -> Opened:
        made = project_on(self.world)
        settings = replace(made.settings, root=self.root, resync=timedelta(seconds=0.1), lease=timedelta(seconds=1))
        return replace(
            made, settings=settings, ports=self.ports, idle=self.ports, read=self.read, clock=self.world.clock,
            steady=lambda: self.world.now.timestamp(),
        )  # fmt: skip

    def read(self, commit: str) -> Snapshot:
        snapshot = read_snapshot(
            self.source, commit, "mlops_specs", "local", KINDS, root=str(self.root), storage="memory://store"
        )
        return replace(snapshot, subject=self.source.subject(commit))

    def _serve(self) -> None:
        serve(self.project(), self.stop, lambda result: None)

    def _plane(self) -> None:
        self.world.ports.sources.files[str(self.root / "data/flights.csv")] = "v1"
        while not self.stop.wait(0.01):
            self.world.advance(0.5)

    def git(self, *words: str) -> str:
        return subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words],
            cwd=self.root, check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip

    def submitted(self) -> int:
        return len(self.world.ports.calls.subjects("runs.submit"))

    def until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not holds():
            assert self.threads[0].is_alive(), f"{what}: the controller has ended"
            assert time.monotonic() < deadline, f"{what}: it did not come about in time"
            time.sleep(0.01)

    def goes_on(self, after: str) -> None:
        """A newer commit is acted upon."""
        before, self.rounds = self.submitted(), self.rounds + 1
        self.repository.commit(classifier=TRAINING.replace("rounds: 50", f"rounds: {self.rounds}"))
        self.until(lambda: self.submitted() > before, f"after {after}")

    def object(self, name: str) -> Path:
        sha = self.git("rev-parse", name)
        return self.root / ".git" / "objects" / sha[:2] / sha[2:]


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    hurry(monkeypatch)
    made = Live(tmp_path / "project")
    for thread in made.threads:
        thread.start()
    try:
        made.until(lambda: bool(made.world.weights()), "the first deployment")
        yield made
    finally:
        made.stop.set()
        for thread in made.threads:
            thread.join(10)
    assert not made.threads[0].is_alive()


@contextmanager
def moved_away(path: Path) -> Iterator[None]:
    away = path.with_name(path.name + ".away")
    path.rename(away)
    yield
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    away.rename(path)


@contextmanager
def database_away(live: Live) -> Iterator[None]:
    """With all that belongs to it; it comes back before its log does."""
    away = live.root / "away"
    away.mkdir()
    for file in live.database.parent.glob("state.db*"):
        file.rename(away / file.name)
    yield
    for file in live.database.parent.glob("state.db*"):
        file.unlink()
    for file in sorted(away.iterdir()):
        file.rename(live.database.parent / file.name)
    away.rmdir()


@contextmanager
def text_of(path: Path, text: str) -> Iterator[None]:
    before = path.read_text()
    path.write_text(text)
    yield
    path.write_text(before)


@contextmanager
def without_branch(live: Live) -> Iterator[None]:
    commit = live.git("rev-parse", "main")
    live.git("update-ref", "-d", "refs/heads/main")
    yield
    live.git("update-ref", "refs/heads/main", commit)


@contextmanager
def newest_lacks(live: Live, name: str, damage: bytes | None = None) -> Iterator[None]:
    """A newer commit comes, of which an object is missing, or damaged."""
    live.git("checkout", "--quiet", "-b", f"other-{live.rounds}")
    (live.root / "p" / "features.py").write_text(f"def rows(flights):\n    return flights  # {live.rounds}\n")
    (live.root / "p" / "more.py").write_text(f"x = {live.rounds}\n")
    live.repository.commit(local=live.repository.specs.joinpath("local.yaml").read_text() + "# x\n")
    lost = live.object(name)
    kept = lost.read_bytes()
    lost.unlink()
    if damage is not None:
        lost.write_bytes(damage)
    (live.root / ".git" / "refs" / "heads" / "main").write_text(
        (live.root / ".git" / "refs" / "heads" / f"other-{live.rounds}").read_text()
    )
    yield
    lost.unlink(missing_ok=True)
    lost.write_bytes(kept)
    live.git("symbolic-ref", "HEAD", "refs/heads/main")


@contextmanager
def committed(live: Live, change: Callable[[], object]) -> Iterator[None]:
    change()
    yield
    live.git("revert", "--no-edit", "HEAD")


def without_specs(live: Live) -> None:
    live.git("rm", "-r", "--quiet", "mlops_specs")
    live.git("commit", "--quiet", "--message", "gone")


def test_whatever_becomes_of_the_repository_the_controller_waits_for_it_and_goes_on(
    live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    git, head = live.root / ".git", live.root / ".git" / "HEAD"
    branch = git / "refs" / "heads" / "main"
    misspelt = live.repository.specs.joinpath("local.yaml").read_text().replace("spec: {", "spec: {storag: x, ")
    broken = {
        "the repository was gone": lambda: moved_away(git),
        "objects were gone": lambda: moved_away(git / "objects"),
        "HEAD was garbage": lambda: text_of(head, "x\n"),
        "the branch was garbage": lambda: text_of(branch, "x\n"),
        "the branch was deleted": lambda: without_branch(live),
        "the branch was at a file": lambda: text_of(branch, live.git("rev-parse", "HEAD:p/features.py") + "\n"),
        "the newest commit was missing": lambda: newest_lacks(live, "HEAD"),
        "the newest commit was damaged": lambda: newest_lacks(live, "HEAD", b"garbage"),
        "a spec was missing": lambda: newest_lacks(live, "HEAD:mlops_specs/local.yaml"),
        "a spec was damaged": lambda: newest_lacks(live, "HEAD:mlops_specs/local.yaml", b""),
        "the specs were missing": lambda: newest_lacks(live, "HEAD:mlops_specs"),
        "the code was missing": lambda: newest_lacks(live, "HEAD:p"),
        "a module was missing": lambda: newest_lacks(live, "HEAD:p/features.py"),
        "the Environment was misspelt": lambda: committed(live, lambda: live.repository.commit(local=misspelt)),
        "the specs were removed": lambda: committed(live, lambda: without_specs(live)),
    }
    for name, breaking in broken.items():
        told = len(caplog.records)
        with breaking():
            live.until(lambda told=told: len(caplog.records) > told, name)
            for _ in range(10):
                time.sleep(0.01)
                assert live.threads[0].is_alive(), name
            assert sum(live.world.weights().values()) == 100, name
        live.goes_on(name)
    reasons = [event.reason for event in live.ports.state.events(limit=10_000)]
    assert reasons.count("SourceUnavailable") == reasons.count("SourceAvailable") >= 10


def test_whatever_becomes_of_the_database_the_controller_waits_for_it_and_goes_on(
    live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    for name, damage in {"it was gone": None, "it was empty": b"", "it was garbage": b"garbage" * 2000}.items():
        told = len(caplog.records)
        with database_away(live):
            if damage is not None:
                live.database.write_bytes(damage)
            live.until(lambda told=told: len(caplog.records) > told, name)
            time.sleep(1.3)  # longer than the lease lasts
            assert live.threads[0].is_alive(), name
            assert sum(live.world.weights().values()) == 100, name
        live.goes_on(name)
    assert live.ports.state.verify_events() == ()
