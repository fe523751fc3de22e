"""A plan of training jobs of which nothing has changed: ``python -m benchmarks.unchanged JOBS RUNS`` prints JSON. The
controller's parts are real but for Ray and the tables, which are in memory: see ``benchmarks.fleet``."""

from __future__ import annotations

import gc
import json
import sys
import tempfile
from pathlib import Path

from benchmarks import repository
from benchmarks.fleet import Fleet
from controllers.cli.main import SELDOM

_ENVIRONMENT = """\
apiVersion: mlops/v1alpha1
kind: Environment
metadata: {name: local}
spec:
  storage: .mlops/store
  ray: {address: embedded}
"""
_VIEW = """\
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
    - {name: late, dtype: Boolean}
    - {name: x, dtype: Float64}
"""
_JOB = """\
apiVersion: mlops/v1alpha1
kind: TrainingJob
metadata: {name: fit-%d}
spec:
  dataset:
    spine: rows
    columns: [x]
    label: late
    window: {from: 2024-01-01, to: 2025-01-01}
    split: {by: time, fractions: {train: 0.7, validation: 0.15, test: 0.15}}
  trainer:
    lightgbm: {params: {num_leaves: 15}, rounds: 100}
  seed: %d
"""


def measure(root: Path, jobs: int, runs: int) -> dict[str, object]:
    texts = {"environments/local.yaml": _ENVIRONMENT, "features/rows.yaml": _VIEW}
    texts |= {f"training/fit-{number}.yaml": _JOB % (number, number) for number in range(jobs)}
    fleet = Fleet(root, repository.commit_of(root, texts))
    converged = fleet.once()
    found = [fleet.plan() for _ in range(runs)]
    return {
        "converged": converged["word"],
        "seconds": [seconds for seconds, _ in found],
        "actions": max(actions for _, actions in found),
        "runs": sum(map(len, fleet.runs.submitted.values())),
    }


def main() -> None:
    gc.set_threshold(*SELDOM)  # as any command does
    with tempfile.TemporaryDirectory(prefix="unchanged-") as folder:
        print(json.dumps(measure(Path(folder), int(sys.argv[1]), int(sys.argv[2]))))


if __name__ == "__main__":
    main()
