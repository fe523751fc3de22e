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
from benchmarks.project import SPECS
from controllers.cli.main import SELDOM

_TRAINER = "  trainer:\n    lightgbm: {params: {num_leaves: 15}, rounds: 100}\n"


def measure(root: Path, jobs: int, runs: int) -> dict[str, object]:
    job = SPECS["training/fit.yaml"] % ("x0", _TRAINER)
    texts = {**SPECS, "features/rows.yaml": SPECS["features/rows.yaml"] + "    - {name: x0, dtype: Float64}\n"}
    del texts["training/fit.yaml"]
    for number in range(jobs):
        named = job.replace("name: fit", f"name: fit-{number}").replace("seed: 0", f"seed: {number}")
        texts[f"training/fit-{number}.yaml"] = named
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
