"""A trainer is added by a file and a line on each side: what a spec may say, and what fits. Done here to a copy of the
framework, in which nothing else is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
FORM = '''
from typing import Any, ClassVar

from pydantic import Field

from framework.api.tasks import Task
from framework.api.trainer_form import TrainerForm


class ToyTrainer(TrainerForm):
    """How often the label is 1."""

    tasks: ClassVar[frozenset[Task]] = frozenset({Task.BINARY})
    params: dict[str, Any] = Field(default_factory=dict, description="prior: rows of each class before the first one")
    shrink: float = Field(1.0, description="How much the rows count")
'''
ADAPTER = """
import numpy as np

from framework.workloads.formats import skops
from framework.workloads.training.trainer import Artifact


class Toy:
    several = None

    def fit(self, data, settings, watch):
        from sklearn.dummy import DummyClassifier

        prior, shrink = settings.params["prior"], settings.loop["shrink"]
        y = np.concatenate([data.train.y, np.zeros(prior), np.ones(prior)]).astype(np.int64)
        weight = np.concatenate([np.full(len(data.train.y), shrink), np.ones(2 * prior)])
        model = DummyClassifier(strategy="prior").fit(np.zeros((len(y), data.train.x.shape[1])), y, weight)
        artifact = Artifact(skops.dump(model), "skops")
        watch.report(1, skops.ask(model, data.validation.x, data.output), lambda: artifact)
        return artifact
"""
ADDED = {
    "framework/api/toy.py": FORM,
    "framework/workloads/training/toy.py": ADAPTER,
}
LINES = {
    "framework/api/trainers.py": (
        "from framework.api.trainer_form import EarlyStopping, TrainerForm\n",
        "from framework.api.toy import ToyTrainer\n",
        '    function: FunctionTrainer | None = Field(None, description="A function of your own")\n',
        '    toy: ToyTrainer | None = Field(None, description="A toy")\n',
    ),
    "framework/workloads/training/trainers.py": (
        "from framework.workloads.training.torch import Torch\n",
        "from framework.workloads.training.toy import Toy\n",
        '    "function": Function(),\n',
        '    "toy": Toy(),\n',
    ),
}
"""By file: after which line its import comes, and after which its entry."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("added")
    shutil.copytree(ROOT / "framework", folder / "framework")
    for path, text in ADDED.items():
        (folder / path).write_text(text)
    for path, (before, imported, above, entry) in LINES.items():
        text = (folder / path).read_text()
        assert (text.count(before), text.count(above)) == (1, 1)
        (folder / path).write_text(text.replace(before, before + imported).replace(above, above + entry))
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-P", "-m", "tests.unit.training.added_trainer", str(folder / "out")]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_it_trains_and_its_version_is_registered_with_its_verdict(found: dict[str, Any]) -> None:
    assert (found["task"], found["format"], found["deployable"]) == ("binary", "skops", True)
    assert found["parameters"] == {"prior": 2, "shrink": 0.5, "rounds": 1}
    assert found["metrics"]["auc"] == 0.5


def test_its_version_is_served_and_answers(found: dict[str, Any]) -> None:
    assert found["served"] == found["version"]
    rate = (30 / 2 + 2) / (120 / 2 + 4)
    assert found["answers"] == pytest.approx([rate] * 200)


def test_its_version_is_monitored(found: dict[str, Any]) -> None:
    rate = found["answers"][0]
    assert (found["labelled"], found["brier"]) == (200, pytest.approx(rate**2 * 0.75 + (1 - rate) ** 2 * 0.25))
    assert found["profiled"] == found["reference"] == ["delayed", "distance"]
    assert found["monitored"]
