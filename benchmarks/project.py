"""A project that trains, and bare jobs on the Ray that it runs on: what ``benchmarks.training`` measures."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.bare import INPUTS
from benchmarks.measure import FailedError

ROOT = Path(__file__).resolve().parents[1]
_LOOK = 0.02
_PATIENCE = 240.0

SPECS = {
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
  seed: 0
%s""",
}


class Project:
    """A repository with one view and one training job, whose ``trainer`` is the rest of its spec, and a controller at
    work on it."""

    def __init__(self, folder: Path, rows: int, trainer: str) -> None:
        self.folder = folder
        names = [f"x{number}" for number in range(INPUTS)]
        columns = "".join(f"    - {{name: {name}, dtype: Float64}}\n" for name in names)
        filled = {
            "features/rows.yaml": SPECS["features/rows.yaml"] + columns,
            "training/fit.yaml": SPECS["training/fit.yaml"] % (", ".join(names), trainer),
        }
        for path, text in {**SPECS, **filled}.items():
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
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
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
        environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
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


@contextmanager
def running(project: Project) -> Iterator[tuple[Jobs, str]]:
    """The controller and its Ray, for as long as the block takes: bare jobs on it, and the version that is ready."""
    told = project.mlopsctl("up")
    try:
        dashboard = next(line for line in told.splitlines() if "dashboard" in line).split("http")[1].split(" ")[0]
        token = (project.folder / ".mlops/ray/token").read_text().strip()
        yield Jobs(f"http{dashboard}", token), project.until_ready("")
    finally:
        project.mlopsctl("down")
