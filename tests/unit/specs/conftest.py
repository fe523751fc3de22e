"""A small valid project on disk, to be broken in one place by each test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.planning.grammar.snapshot import Snapshot
from framework.specs.cache.parse_cache import ParseCache
from framework.specs.read import Report, check, read_snapshot
from framework.specs.worktree import WORKTREE, WorktreeSource

FILES = {
    "environments/local.yaml": """\
apiVersion: mlops/v1alpha1
kind: Environment
metadata: {name: local}
spec: {storage: .mlops/store}
""",
    "features/trips.yaml": """\
apiVersion: mlops/v1alpha1
kind: FeatureView
metadata: {name: trips}
spec:
  entities: [trip]
  timestamp: time
  sources:
    raw: {format: csv, path: data/trips.csv}
  transform: {function: shop.code.features:trips}
  columns:
    - {name: trip, dtype: Int64}
    - {name: time, dtype: Datetime}
    - {name: late, dtype: Int8}
  expectations:
    - {unique: [trip]}
""",
    "features/weather.yaml": """\
apiVersion: mlops/v1alpha1
kind: FeatureView
metadata: {name: weather}
spec:
  entities: [trip]
  timestamp: time
  sources: {raw: {format: csv, path: data/weather.csv}}
  columns:
    - {name: trip, dtype: Int64}
    - {name: time, dtype: Datetime}
    - {name: rain, dtype: Float64}
""",
    "training/late.yaml": """\
apiVersion: mlops/v1alpha1
kind: TrainingJob
metadata: {name: late}
spec:
  dataset:
    spine: trips
    features:
      - {view: weather, columns: [rain]}
    label: late
    window: {from: 2013-01-01, to: 2013-04-01}
    split: {by: time, fractions: {train: 0.7, validation: 0.15, test: 0.15}}
  trainer:
    lightgbm: {params: {max_depth: 3}, rounds: 20}
  timeout: 1h
""",
    "deployments/late.yaml": """\
apiVersion: mlops/v1alpha1
kind: ModelDeployment
metadata: {name: late}
spec:
  model: {training: late}
  serving:
    route: /late
    replicas: {min: 1, max: 2}
  strategy:
    canary:
      steps: [{setWeight: 10}, {analyze: {for: 1m}}, {setWeight: 100}]
      analysis: [{metric: error_rate, maxIncrease: 0.01}]
""",
    "batch/nightly.yaml": """\
apiVersion: mlops/v1alpha1
kind: BatchInference
metadata: {name: nightly}
spec:
  model: {training: late}
  input: {view: trips}
  output: {path: predictions/late}
""",
}
CODE = {
    "shop/code/features.py": "import math\n\n\ndef trips(raw):\n    return raw\n",
    "shop/code/__init__.py": "",
}
COMMITTED = {f"specs/{path}": text for path, text in FILES.items()} | CODE
"""All of it as a commit has it."""


class Project:
    """``specs`` below ``root``, read from disk the way ``mlopsctl validate`` does."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = WorktreeSource(root)
        self.cache = ParseCache()
        for path, text in FILES.items():
            self.write(path, text)
        for path, text in CODE.items():
            self.code(path, text)
        self.remove("batch/nightly.yaml")  # it warns, for it is not executed yet

    def write(self, path: str, text: str | bytes) -> None:
        self.code(f"specs/{path}", text)

    def code(self, path: str, text: str | bytes) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)

    def remove(self, path: str) -> None:
        (self.root / "specs" / path).unlink()

    def edit(self, path: str, *changes: tuple[str, str]) -> None:
        """Replace text in a file; each must be there."""
        text = (self.root / "specs" / path).read_text() if (self.root / "specs" / path).exists() else FILES[path]
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        self.write(path, text)

    def check(self, folders: Sequence[str] = ("specs",)) -> Report:
        return check(self.source, WORKTREE, folders, KINDS)

    def problems(self) -> list[str]:
        return [str(problem).removeprefix("specs/") for problem in self.check().problems]

    def the_problem(self) -> Problem:
        problems = self.check().problems
        assert len(problems) == 1, [str(problem) for problem in problems]
        return problems[0]

    def snapshot(self, environment: str = "local") -> Snapshot[Any]:
        return read_snapshot(self.source, WORKTREE, "specs", environment, KINDS, cache=self.cache)

    def spec(self, kind: str, name: str, environment: str = "local") -> Any:
        return self.snapshot(environment).desired[Ref(kind, name)].spec


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def place() -> Callable[[Problem], str]:
    """``file:line:column path`` of a problem."""
    return lambda problem: (
        f"{problem.file.removeprefix('specs/')}:{problem.line}:{problem.column} {problem.path}".rstrip()
    )
