"""A project with models of which some have files: a real repository, a real registry."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from framework import storage
from framework.api.tasks import Task
from framework.backends.state.database import open_database
from framework.backends.state.registry import SqlModelRegistry
from framework.ports import ModelVersion
from tests.controllers.test_cli import Project
from tests.controllers.test_history_cli import STARTED, call, live
from tests.unit.training.test_card import result

SECRET = "hunter2SECRET"
MODEL = b"tree\nversion=v4\n"
GATES = ({"gate": "auc", "value": 0.875, "bar": ">= 0.6", "passed": True, "message": "auc = 0.8750, bar >= 0.6"},)


class Shelf(NamedTuple):
    project: Project
    files: Path

    def versions(self, training: str = "classifier") -> list[str]:
        """Newest first."""
        found = json.loads(call(self.project, "models", "list", training, "--output", "json").stdout)
        return [row["version"] for row in found["versions"]]


@contextmanager
def registry(project: Project) -> Iterator[SqlModelRegistry]:
    database = open_database("sqlite:///.mlops/state.db", str(project.root))
    yield SqlModelRegistry(database, "local")
    database.close()


def made(folder: Path, version: str, task: Task, **more: Any) -> ModelVersion:
    """A version with files as its run would have left them, but for the profile."""
    found = {
        **result(task),
        "artifact": str(folder / version / "model.txt"),
        "sha256": hashlib.sha256(MODEL).hexdigest(),
    }
    found = {**found, **more}
    storage.write_bytes(found["artifact"], MODEL)
    storage.write_sealed(str(folder / version / "version.json"), found)
    kept = ("champion_metrics", "intervals", "slices", "fairness", "robustness", "rows")
    lineage = {**found["lineage"], **{name: found[name] for name in kept}}
    fields = {name: found[name] for name in ("artifact", "sha256", "format", "signature", "metrics", "parameters")}
    return ModelVersion(
        training="other", version=version, commit="c0ffee" * 6, created=STARTED - timedelta(days=2), lineage=lineage,
        profile="", gates=GATES, deployable=True, **fields,
    )  # fmt: skip


@cache
def _lived(folder: Path) -> Shelf:
    """Once for all modules: a project that has lived takes seconds to make."""
    shelf = Shelf(Project(folder / "project"), folder / "project" / "shelf")
    live(shelf.project, STARTED)
    with registry(shelf.project) as kept:
        kept.adopt(made(shelf.files, "abc1230000", Task.BINARY))
        changed = made(
            shelf.files, "abc4560000", Task.BINARY,
            metrics={"auc": 0.9, "log_loss": 0.4, "validation_auc": 0.6},
            parameters={"num_leaves": 15, "password": SECRET},
        )  # fmt: skip
        columns = [
            {"name": "hour", "dtype": "Float64", "nullable": False},
            {"name": "new", "dtype": "String", "nullable": True, "categories": ["a"]},
        ]
        signature = {**changed.signature, "inputs": columns}
        lineage = {**changed.lineage, "dataset": "db" * 32, "libraries": {"python": "3.12.0"}, "rows": {"train": 1}}
        newer = {"created": STARTED - timedelta(days=1), "signature": signature, "lineage": lineage, "commit": "d" * 40}
        kept.adopt(changed.model_copy(update=newer))
    return shelf


@pytest.fixture
def lived(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """To be looked at, and not changed."""
    return _lived(tmp_path_factory.getbasetemp() / "models")


@pytest.fixture
def mine(lived: Shelf, tmp_path: Path) -> Shelf:
    """A copy, to change: the registry knows its files where they lie now."""
    shutil.copytree(lived.project.root, tmp_path / "project")
    project = Project.__new__(Project)
    project.root, project.specs = tmp_path / "project", tmp_path / "project" / "mlops_specs"
    shelf = Shelf(project, project.root / "shelf")
    with registry(project) as kept:
        for version in ("abc1230000", "abc4560000"):
            known = kept.get("other", version)
            assert known is not None
            kept.adopt(
                known.model_copy(update={"training": "mine", "artifact": str(shelf.files / version / "model.txt")})
            )
    return shelf


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def asked(shelf: Shelf, *arguments: str) -> Any:
    done = call(shelf.project, "models", *arguments, "--output", "json")
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def refused(shelf: Shelf, *arguments: str) -> str:
    """What a call is told that is refused, to people and to programs alike."""
    done = call(shelf.project, "models", *arguments)
    assert (done.returncode, done.stdout) == (1, ""), done
    document = json.loads(call(shelf.project, "models", *arguments, "--output", "json").stdout)
    assert document["error"]["message"] in done.stderr
    return done.stderr
