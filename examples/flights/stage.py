"""The demo's hands: git, mlopsctl, traffic and late labels, and eyes on the recorded state."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from math import gcd
from pathlib import Path
from typing import Any

from controllers.commands.project import Project
from controllers.host.wiring import open_project
from controllers.settings import Settings
from examples.flights.prepare import prepare
from examples.flights.replay import Tally, land_labels, replay, requests_for
from examples.flights.story import Commit
from framework.api import layout
from framework.api.meta import Ref
from framework.kinds.model_monitor.observed import MonitorState
from framework.planning.grammar.changes import Status
from framework.planning.reports.convergence import environment_health
from framework.ports import ModelVersion

MARK = ".flights-demo"
"""A file that says: this folder was made by the demo and may be removed by it."""

WAITING = {"UpstreamNotReady", "WaitingForModel", "WaitingForDeployment"}
"""Reasons of resources for which something else is at work."""

LOOK = 0.25
"""Seconds between two looks at the state."""


def spread(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows in another order, so that every stretch of it covers the whole period evenly (golden-ratio steps)."""
    step = next(n for n in range(max(1, int(0.618 * len(rows))), 2 * len(rows) + 2) if gcd(n, len(rows)) == 1)
    return [rows[number * step % len(rows)] for number in range(len(rows))]


class DemoError(Exception):
    """Something that the demo promises did not come about."""


class Stage:
    """A project in ``folder``, made from the checkout at ``origin``. ``local`` goes on with the spec of its
    Environment."""

    def __init__(
        self,
        folder: Path,
        origin: Path,
        rate: float = 60.0,
        *,
        every: int = 1,
        free_ports: bool = False,
        local: str = "",
    ) -> None:
        self.folder, self._origin, self._rate = folder, origin, rate
        self._every, self._free_ports, self._local = every, free_ports, local
        self.tally, self.rows = Tally(), 0
        self._stop = threading.Event()
        self._traffic: threading.Thread | None = None
        self._opened: Project | None = None

    # ------------------------------------------------------------------ git

    def prepare(self) -> str:
        """A repository with the specs, the code and the data; the first commit.

        Raises:
            DemoError: the folder holds something that no demo made; it is left alone.
        """
        self._clear()
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(self._origin / "mlops_specs", self.folder / "mlops_specs", ignore=ignored)
        shutil.copytree(self._origin / "examples" / "flights", self.folder / "examples" / "flights", ignore=ignored)
        (self.folder / ".gitignore").write_text(f".mlops/\ndata/\nalerts.jsonl\n{MARK}\n")
        (self.folder / MARK).touch()
        local = self.folder / "mlops_specs" / "environments" / "local.yaml"
        fixed = "address: embedded\n"
        free = f"{fixed}    dashboardPort: 0\n    servePort: 0\n" if self._free_ports else fixed
        local.write_text(local.read_text().replace(fixed, free) + self._local)
        self.rows = prepare(self.folder, self._every)["flights.parquet"]
        self._git("init", "--quiet", "--initial-branch=main")
        return self._commit_all("Flight delays: features, a first model, an endpoint and a monitor")

    def _clear(self) -> None:
        """Make room. Only a folder that a demo made is ever removed."""
        if not self.folder.exists() or not any(self.folder.iterdir()):
            return
        if not (self.folder / MARK).is_file():
            raise DemoError(f"{self.folder} is not empty and not a demo's: choose another --folder")
        self.mlopsctl("down")
        shutil.rmtree(self.folder)

    def commit(self, change: Commit) -> str:
        change.apply(self.folder / "mlops_specs")
        return self._commit_all(change.message)

    def revert(self, *commits: str) -> str:
        """Newest first, as git wants it."""
        self._git("revert", "--no-edit", *commits)
        return self._git("rev-parse", "HEAD")

    def _commit_all(self, message: str) -> str:
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", message)
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        identity = [
            "-c",
            "user.name=Flights team",
            "-c",
            "user.email=flights@example.com",
            "-c",
            "commit.gpgsign=false",
        ]
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    # ------------------------------------------------------------------ mlopsctl

    def mlopsctl(self, *arguments: str) -> str:
        """Its standard output. Raises DemoError with what it said when it ends with an error."""
        done = subprocess.run(
            [sys.executable, "-m", "controllers.cli.main", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "MLOPS_ENV": "local"},
        )
        if done.returncode != 0 and arguments[0] != "reconcile":
            raise DemoError(f"mlopsctl {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}{done.stdout}")
        return done.stdout.rstrip("\n")

    def kill_controller(self) -> None:
        """As hard as can be: what it was at is left as it is."""
        known = json.loads((self.folder / ".mlops" / "controller.json").read_text())
        os.kill(known["pid"], signal.SIGKILL)

    # ------------------------------------------------------------------ what is recorded

    @property
    def _project(self) -> Project:
        if self._opened is None:
            self._opened = open_project(Settings(self.folder), lambda: datetime.now(UTC))
        return self._opened

    def _status(self, ref: Ref) -> Status | None:
        record = self._project.ports.state.load(ref)
        return Status.model_validate(record.status) if record else None

    def summary(self, ref: Ref) -> str:
        status = self._status(ref)
        return status.summary if status else ""

    def message(self, ref: Ref) -> str:
        status = self._status(ref)
        return status.conditions.ready.message if status else ""

    def activity(self) -> str:
        """What is under way at this moment, in one line, and how the traffic does."""
        doing = []
        for record in self._project.ports.state.records():
            status = Status.model_validate(record.status)
            now = status.conditions.reconciling
            if now.status and now.reason not in WAITING:
                doing.append(f"{record.ref}: {', '.join(filter(None, [status.summary, now.message]))}")
        if self.tally.sent:
            doing.append(f"{self.tally.sent:,} requests, {self.tally.failures} failed")
        return "; ".join(doing)

    def until_settled(self, commit: str, seconds: float) -> None:
        """Wait until nothing moves any more towards ``commit``."""
        loaded = self._project.read(commit)
        state = self._project.ports.state

        def settled() -> bool:
            newest = next(iter(state.revisions(1)), None)
            if newest is not None and newest.commit == commit and not newest.accepted:
                raise DemoError("\n".join(newest.problems))
            return (
                newest is not None
                and newest.commit == commit
                and environment_health(loaded.desired, state.records()).settled
            )

        self._wait(settled, seconds, f"commit {commit[:7]} did not settle; it waits for: {self.activity()}")

    def until_drained(self, ref: Ref, seconds: float) -> None:
        """Wait until no app is left that went out of service."""

        def drained() -> bool:
            status = self._status(ref)
            return status is not None and not status.state.get("retiring")

        self._wait(drained, seconds, f"{ref} still has apps that are out of service")

    def live_version(self) -> ModelVersion:
        status = self._status(Ref("ModelDeployment", "delay"))
        stable = (status.state if status else {}).get("stable")
        version = self._project.ports.registry.get(stable["training"], stable["version"]) if stable else None
        if version is None:
            raise DemoError(f"nothing serves; ModelDeployment/delay: {self.message(Ref('ModelDeployment', 'delay'))}")
        return version

    def until_reason(self, ref: Ref, reasons: set[str], seconds: float) -> None:
        """Wait until the resource stands as one of ``reasons`` says."""

        def stands() -> bool:
            status = self._status(ref)
            return status is not None and status.conditions.ready.reason in reasons

        self._wait(stands, seconds, f"{ref} never was {' or '.join(sorted(reasons))}: {self.message(ref)}")

    def until_weight(self, weight: int, seconds: float) -> None:
        """Wait until the live traffic table gives some app this weight."""
        folder = layout.traffic_folder(self._project.ports.storage, "delay")

        def given() -> bool:
            route = self._project.ports.serving.route("delay", folder)
            return route is not None and weight in route.spec.weights.values()

        self._wait(given, seconds, f"no app ever had {weight} %")

    def reasons(self) -> list[str]:
        """Everything that happened, by reason, oldest first."""
        return [event.reason for event in self._project.ports.state.events(limit=1000)]

    def weights_seen(self, ref: Ref) -> str:
        """The candidate's weights in the order they were set, from the events."""
        events = self._project.ports.state.events(ref, 200)
        steps = [str(event.data["after"]) for event in events if event.reason == "WeightChanged"]
        return " -> ".join([*steps, "100"])

    # ------------------------------------------------------------------ traffic

    @property
    def url(self) -> str:
        return f"{self._project.cluster.links()['Endpoints']}/delay"

    def start_traffic(self, start: date, end: date, batch: int = 1) -> None:
        """Send the period's flights over and over, in the background, until told to stop."""
        rows = spread(requests_for(self.folder, start, end))
        self._stop.clear()
        self._traffic = threading.Thread(
            target=replay,
            args=(self.url, rows),
            kwargs={"rate": self._rate, "batch": batch, "count": 100_000, "stop": self._stop, "tally": self.tally},
        )
        self._traffic.start()

    def stop_traffic(self) -> None:
        self._stop.set()
        if self._traffic is not None:
            self._traffic.join()
            self._traffic = None

    def until_answered_by(self, version: str, seconds: float) -> float:
        """Ask until the version's app answers every request; the seconds that took."""
        rows = requests_for(self.folder, date(2013, 4, 1), date(2013, 4, 2))
        began = time.monotonic()

        def answered() -> bool:
            before = sum(self.tally.apps.values())
            probe = Tally()
            replay(self.url, rows, rate=50, count=5, tally=probe)
            self._add(probe)
            status = self._status(Ref("ModelDeployment", "delay"))
            stable = (status.state if status else {}).get("stable") or {}
            return before >= 0 and stable.get("version") == version and set(probe.apps) == {stable["app"]}

        self._wait(answered, seconds, f"version {version} does not answer")
        return time.monotonic() - began

    def _add(self, probe: Tally) -> None:
        self.tally.sent += probe.sent
        self.tally.statuses.update(probe.statuses)
        self.tally.broken.update(probe.broken)
        self.tally.apps.update(probe.apps)
        self.tally.seconds.extend(probe.seconds)

    # ------------------------------------------------------------------ monitoring

    def land(self, start: date, end: date) -> int:
        return land_labels(self.folder, start, end)

    def until_judged(self, ref: Ref, seconds: float) -> None:
        """Wait until the monitor has judged a window for drift and by its outcomes, and has raised an alert."""

        def judged() -> bool:
            status = self._status(ref)
            state = MonitorState.model_validate(status.state if status else {})
            last = state.history[-1] if state.history else None
            return last is not None and last.judged > 0 and last.value is not None and self.alerts() > 0

        self._wait(judged, seconds, f"{ref} judged nothing: {self.summary(ref)} {self.message(ref)}")

    def alerts(self) -> int:
        path = self.folder / "alerts.jsonl"
        return len(re.findall(r"\n", path.read_text())) if path.exists() else 0

    @property
    def report(self) -> str:
        return layout.report_file(layout.seen(self._project.ports.storage, "local"), "delay-monitor")

    def links(self) -> Mapping[str, Any]:
        return {"Endpoint": self.url, **self._project.cluster.links(), "Monitor's report": self.report}

    # ------------------------------------------------------------------ waiting

    def _wait(self, condition: Any, seconds: float, problem: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise DemoError(problem)
            time.sleep(LOOK)
