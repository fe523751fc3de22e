"""What a training costs beside the same fit by itself: ``python -m benchmarks.training``. The README says how."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from benchmarks.bare import INPUTS, PARAMS, ROUNDS
from benchmarks.gitops import Line, exit_status, table
from benchmarks.measure import FailedError, Timing

_ROOT = Path(__file__).resolve().parents[1]
_LOOK = 0.02
_PATIENCE = 240.0
_OVER_TASK, _OVER_ALONE, _HIT = 1.25, 8.0, 2.0
_JOIN, _MEMORY = 1.15, 2.0

_SPECS = {
    "environments/local.yaml": """\
apiVersion: mlops/v1alpha1
kind: Environment
metadata: {name: local}
spec:
  storage: .mlops/store
  ray: {address: embedded, dashboardPort: 0, servePort: 0}
""",
    "features/rows.yaml": """\
apiVersion: mlops/v1alpha1
kind: FeatureView
metadata: {name: rows}
spec:
  entities: [id]
  timestamp: at
  sources: {raw: {format: parquet, path: data/rows.parquet}}
  columns:
    - {name: id, dtype: Int64}
    - {name: at, dtype: Datetime}
    - {name: late, dtype: Int8}
""",
    "training/fit.yaml": """\
apiVersion: mlops/v1alpha1
kind: TrainingJob
metadata: {name: fit}
spec:
  dataset:
    spine: rows
    columns: [%s]
    label: late
    window: {from: 2024-01-01, to: 2025-01-01}
    split: {by: time, fractions: {train: 0.7, validation: 0.15, test: 0.15}}
  trainer:
    lightgbm: {params: %s, rounds: %d}
  seed: 0
""",
}


class Project:
    """A repository with one view and one training job, and a controller at work on it."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.folder = folder
        names = [f"x{number}" for number in range(INPUTS)]
        columns = "".join(f"    - {{name: {name}, dtype: Float64}}\n" for name in names)
        filled = {
            "features/rows.yaml": _SPECS["features/rows.yaml"] + columns,
            "training/fit.yaml": _SPECS["training/fit.yaml"] % (", ".join(names), json.dumps(PARAMS), ROUNDS),
        }
        for path, text in {**_SPECS, **filled}.items():
            file = folder / "mlops_specs" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        (folder / ".gitignore").write_text(".mlops/\ndata/\n*.txt\n")
        _write_rows(folder / "data", rows)
        self._git("init", "--quiet", "--initial-branch", "main")
        self.commit("first")

    def _git(self, *words: str) -> None:
        named = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
        subprocess.run(["git", *named, *words], cwd=self.folder, check=True, capture_output=True)

    def commit(self, message: str) -> None:
        self._git("add", ".")
        self._git("commit", "--quiet", "--message", message)

    def revert(self) -> None:
        self._git("revert", "--no-edit", "HEAD")

    def edit(self, old: str, new: str) -> None:
        file = self.folder / "mlops_specs/training/fit.yaml"
        text = file.read_text()
        if old not in text:
            raise FailedError(f"{old!r} is not in {file.name}")
        file.write_text(text.replace(old, new))

    def mlopsctl(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "controllers.cli.main", "--project", str(self.folder), *arguments]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise FailedError((done.stdout + done.stderr).strip()[-400:])
        return done.stdout

    def record(self) -> dict[str, Any]:
        """What is on record of the training job."""
        from sqlalchemy import create_engine, text

        engine = create_engine(f"sqlite:///{self.folder / '.mlops/state.db'}")
        try:
            with engine.connect() as connection:
                asked = text("SELECT body FROM mlops_records WHERE kind = 'TrainingJob'")
                body = connection.execute(asked).scalar()
        finally:
            engine.dispose()
        found: dict[str, Any] = json.loads(body) if body else {}
        return found

    def until_ready(self, before: str) -> str:
        """The version that is ready, once it is another one than ``before``."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            found = self.record()
            status = found.get("status", found)
            version = (status.get("state") or {}).get("version")
            ready = (status.get("conditions") or {}).get("ready") or {}
            if version and version != before and ready.get("status"):
                return str(version)
            if ((status.get("conditions") or {}).get("stalled") or {}).get("status"):
                raise FailedError(str(status["conditions"]["ready"]))
            time.sleep(_LOOK)
        raise FailedError("the training job is not ready in time")


def _write_rows(folder: Path, rows: int) -> None:
    import numpy as np
    import polars as pl

    folder.mkdir()
    generator = np.random.default_rng(5)
    x = generator.normal(size=(rows, INPUTS))
    y = (x[:, 0] + x[:, 1] * x[:, 2] + generator.normal(size=rows) > 0).astype(np.int8)
    at = pl.Series(1_704_067_200_000_000 + np.arange(rows) * 60_000_000).cast(pl.Datetime("us", "UTC"))
    columns = {f"x{number}": x[:, number] for number in range(INPUTS)}
    pl.DataFrame({"id": range(rows), "at": at, "late": y, **columns}).write_parquet(folder / "rows.parquet")


class Jobs:
    """Ray's own jobs, on the Ray that the project runs on."""

    def __init__(self, dashboard: str, token: str) -> None:
        self._client = httpx.Client(base_url=dashboard, headers={"Authorization": f"Bearer {token}"}, timeout=30.0)

    def run(self, entrypoint: str) -> None:
        environment = {"env_vars": {"PYTHONPATH": str(_ROOT)}}
        asked = {"entrypoint": entrypoint, "runtime_env": environment}
        answer = self._client.post("/api/jobs/", json=asked)
        answer.raise_for_status()
        name = answer.json()["submission_id"]
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            status = self._client.get(f"/api/jobs/{name}").json()["status"]
            if status == "SUCCEEDED":
                return
            if status in ("FAILED", "STOPPED"):
                raise FailedError(self._client.get(f"/api/jobs/{name}/logs").json()["logs"][-400:])
            time.sleep(_LOOK)
        raise FailedError("the bare job is not over in time")


def _clocked(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _alone(folder: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bare", "alone", str(folder)],
        cwd=_ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(json.loads(done.stdout)["seconds"])


def fits(work: Path, rows: int, runs: int, say: Callable[[str], None]) -> Iterator[Line]:
    """From a commit to a version that is ready, beside the same fit by itself."""
    say(f"writing {rows:,} rows")
    project = Project(work / "project", rows)
    say("starting Ray and the controller")
    told = project.mlopsctl("up")
    try:
        dashboard = next(line for line in told.splitlines() if "dashboard" in line).split("http")[1].split(" ")[0]
        jobs = Jobs(f"http{dashboard}", (project.folder / ".mlops/ray/token").read_text().strip())
        version = project.until_ready("")
        ours, bare, alone, hits = [], [], [], []
        for number in range(runs):
            say(f"run {number + 1} of {runs}")
            alone.append(_alone(project.folder))
            bare.append(_clocked(lambda: jobs.run(f"{sys.executable} -m benchmarks.bare task {project.folder}")))
            project.edit(f"seed: {number}", f"seed: {number + 1}")
            before = version

            def change(before: str = before, number: int = number) -> None:
                nonlocal version
                project.commit(f"seed {number + 1}")
                version = project.until_ready(before)

            ours.append(_clocked(change))

            def back() -> None:
                nonlocal version
                project.revert()
                version = project.until_ready(version)

            hits.append(_clocked(back))
            project.edit(f"seed: {number}", f"seed: {number + 1}")
            project.commit(f"seed {number + 1} again")
            version = project.until_ready(version)
    finally:
        project.mlopsctl("down")
    ratio, over = min(ours) / min(bare), min(ours) - min(alone)
    yield Line("commit to ModelReady", Timing(tuple(ours), 0.0))
    yield Line("the same fit as a bare Ray task, by Ray's Jobs API", Timing(tuple(bare), 0.0))
    yield Line("the same fit alone in a process", Timing(tuple(alone), 0.0))
    yield Line("  over the bare task", figure=f"{ratio:.2f} times (bar {_OVER_TASK:g})", kept=ratio <= _OVER_TASK)
    yield Line("  over the fit alone", figure=f"+{over:.1f} s (bar +{_OVER_ALONE:g} s)", kept=over <= _OVER_ALONE)
    yield Line("what was trained before: commit to Ready", Timing(tuple(hits), 0.0), _HIT)


def joins(runs: int, say: Callable[[str], None]) -> Iterator[Line]:
    """A training set of 1,000,000 rows by 5,000,000 feature rows, beside Polars' own join."""
    say("joining 1,000,000 rows with 5,000,000")
    found = json.loads(
        subprocess.run(
            [sys.executable, "-m", "benchmarks.join", str(runs)],
            cwd=_ROOT, capture_output=True, text=True, check=True,
        ).stdout
    )  # fmt: skip
    ratio, memory = min(found["ours"]) / min(found["bare"]), found["memory"]
    yield Line("training set, 1M x 5M rows", Timing(tuple(found["ours"]), 0.0))
    yield Line("Polars' join_asof of sorted rows", Timing(tuple(found["bare"]), 0.0))
    yield Line("  over Polars", figure=f"{ratio:.2f} times (bar {_JOIN:g})", kept=ratio <= _JOIN)
    yield Line("  peak memory over inputs and result", figure=f"{memory:.2f} times the result (bar {_MEMORY:g})",
               kept=memory <= _MEMORY)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="rows that are learned from (default 200000)")
    parser.add_argument("--runs", type=int, default=3, help="of each (default 3)")
    parser.add_argument("--no-joins", action="store_true", help="leave the join of training sets out")
    chosen = parser.parse_args(arguments)
    if chosen.rows < 1_000 or chosen.runs < 1:
        parser.error("--rows is at least 1000, --runs at least 1")
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {text}", file=sys.stderr, flush=True)

    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="training-") as work:
        try:
            lines = list(fits(Path(work), chosen.rows, chosen.runs, say))
            lines += [] if chosen.no_joins else joins(chosen.runs, say)
        except FailedError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    print(table(lines))
    print(f"Load of the machine at the start and at the end: {load:.1f}, {os.getloadavg()[0]:.1f}.")
    return exit_status(lines)


if __name__ == "__main__":
    sys.exit(main())
