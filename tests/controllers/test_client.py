"""A project read from Python, on real tables and models that were made without Ray."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from controllers.client import LoadedModel, Project
from framework import storage
from framework.api.errors import ConfigurationError, MlopsError
from tests.notebook import commit, everything, example, reconcile

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "notebook.md"
PARTS = ["train", "validation", "test"]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notebook") / "diabetes"
    example("diabetes", folder)
    reconcile(folder)
    return folder


@pytest.fixture(scope="module")
def project(lived: Path) -> Project:
    return Project(lived)


def test_the_training_frame_is_what_the_model_was_trained_on(project: Project) -> None:
    rows = project.training_frame("progression")
    known = project.model("progression").version.lineage["rows"]
    assert dict(rows.group_by("part").len().iter_rows()) == {part: known[part] for part in PARTS}
    assert rows["part"].unique(maintain_order=True).to_list() == PARTS
    assert {"age", "bmi", "progression"} <= set(rows.columns)


def test_a_model_answers_as_it_did_when_it_was_judged(project: Project) -> None:
    test = project.training_frame("progression").filter(pl.col("part") == "test")
    model = project.model("progression")
    answers = model.predict(test)
    assert answers.shape == (test.height,)
    errors = answers - test["progression"].to_numpy()
    assert (errors**2).mean() ** 0.5 == pytest.approx(model.metrics["rmse"], abs=1e-9)
    assert [column["name"] for column in model.signature["inputs"]][:2] == ["age", "sex"]
    spans = project.model(f"progression-interval@{newest(project, 'progression-interval')[:5]}").predict(test)
    assert spans.shape == (test.height, 3)
    assert bool((np.diff(spans, axis=1) >= 0).all())


def newest(project: Project, job: str) -> str:
    version: str = project.runs(job)["version"][0]
    return version


def test_a_frame_that_lacks_an_input_is_told(project: Project) -> None:
    rows = project.training_frame("progression").head(3)
    model = project.model("progression")
    with pytest.raises(ConfigurationError, match=r"has no column bmi, which progression@\w+ is asked with"):
        model.predict(rows.drop("bmi"))
    with pytest.raises(ConfigurationError, match="cannot be asked this"):
        model.predict(rows.with_columns(bmi=pl.lit("heavy")))
    assert model.predict(rows.head(0)).shape == (0,)


def test_runs_are_a_row_each(project: Project) -> None:
    runs = project.runs()
    assert sorted(runs["training"]) == ["progression", "progression-interval"]
    one = project.runs("progression").row(0, named=True)
    assert (one["task"], one["metric"], one["passed"], one["serves"]) == ("regression", "rmse", True, [])
    assert one["value"] == one["metric.rmse"] == project.model("progression").metrics["rmse"]
    assert one["parameter.alpha"] == 1.0
    assert runs.sort("created", descending=True)["version"].to_list() == runs["version"].to_list()
    with pytest.raises(ConfigurationError, match="did you mean 'progression'"):
        project.runs("progresion")


def test_a_table_is_as_it_was_published(project: Project) -> None:
    table = project.table("patients")
    assert isinstance(table, pl.LazyFrame)
    frame = table.collect()
    assert (frame.height, frame.schema["seen"]) == (442, pl.Datetime("us", "UTC"))
    assert project.table("patients", 0).collect().equals(frame)
    with pytest.raises(ConfigurationError, match=r"FeatureView/patients has no version 7 on record .* it has 0"):
        project.table("patients", 7)
    with pytest.raises(ConfigurationError, match="FeatureView/doctors is not published"):
        project.table("doctors")


def test_a_damaged_model_is_not_opened(project: Project) -> None:
    version = project.model("progression").version
    data = storage.read_bytes(version.artifact)
    assert data is not None
    storage.write_bytes(version.artifact, data + b"x")
    try:
        with pytest.raises(ConfigurationError, match=r"progression@\w+ cannot be opened: ArtifactMismatch"):
            project.model("progression")
    finally:
        storage.write_bytes(version.artifact, data)
    assert isinstance(project.model("progression"), LoadedModel)


def test_nothing_is_changed_by_reading(lived: Path) -> None:
    before = everything(lived)
    project = Project(lived / "mlops_specs")
    rows = project.training_frame("progression")
    project.model("progression").predict(rows)
    project.runs()
    project.table("patients").collect()
    assert everything(lived) == before


def test_what_is_not_there_is_told_in_a_sentence(project: Project, tmp_path: Path) -> None:
    for wrong in (lambda: project.training_frame("nobody"), lambda: project.model("nobody"), lambda: Project(tmp_path)):
        with pytest.raises(MlopsError):
            wrong()
    folder = tmp_path / "new"
    example("diabetes", folder)
    new = Project(folder)
    with pytest.raises(ConfigurationError, match="reads FeatureView/patients, not published as commit"):
        new.training_frame("progression")
    assert new.runs().height == 0
    assert not (folder / ".mlops" / "state.db").exists()


def test_the_newest_commit_is_gone_by_at_each_call(lived: Path, tmp_path: Path) -> None:
    folder = tmp_path / "moving"
    shutil.copytree(lived, folder)
    project = Project(folder)
    before = project.training_frame("progression")
    spec = folder / "mlops_specs" / "training" / "progression.yaml"
    spec.write_text(spec.read_text().replace("test: 0.15", "test: 0.3").replace("train: 0.7", "train: 0.55"))
    commit(folder)
    after = project.training_frame("progression")
    assert after.filter(pl.col("part") == "test").height > before.filter(pl.col("part") == "test").height
    spec.unlink()
    commit(folder)
    with pytest.raises(ConfigurationError, match="no training job 'progression'"):
        project.training_frame("progression")


def test_the_example_of_the_page_runs_as_it_stands(lived: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=lived, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("progression@"))
    _, judged, again = line.split()
    assert float(judged) == pytest.approx(float(again), abs=1e-9)
    assert "parameter.alpha" in done.stdout
