"""What a training costs beside the same fit by itself: ``python -m benchmarks.training``. The README says how."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.bare import PARAMS, ROUNDS, TRIAL_ROUNDS, TRIALS, WORKER_ROUNDS
from benchmarks.gitops import Line, reported
from benchmarks.measure import FailedError, Timing
from benchmarks.project import ROOT, Project, running
from benchmarks.rows import BOUND, ROWS
from framework.api.fields import parse_memory

_OVER_TASK, _OVER_ALONE, _HIT = 1.25, 8.0, 2.0
_JOIN, _MEMORY = 1.15, 2.0
_SEVERAL, _SEARCH, _JOBS, _UNCHANGED = 1.15, 1.15, 500, 1.0

_ONE = f"""\
  trainer:
    lightgbm: {{params: {json.dumps(PARAMS)}, rounds: {ROUNDS}}}
"""
_TWO = f"""\
  trainer:
    xgboost: {{params: {{max_depth: 6, eta: 0.1}}, rounds: {WORKER_ROUNDS}}}
  resources: {{workers: 2}}
"""
_TRIALS = f"""\
  trainer:
    lightgbm: {{params: {{min_data_in_leaf: 50}}, rounds: {TRIAL_ROUNDS}}}
  tune:
    search: {{learning_rate: {{uniform: [0.05, 0.2]}}, num_leaves: {{randint: [15, 32]}}}}
    metric: validation_auc
    trials: {TRIALS}
    concurrency: 2
    algorithm: random
    scheduler: none
"""


def _clocked(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _alone(folder: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bare", "alone", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(json.loads(done.stdout)["seconds"])


def fits(work: Path, rows: int, runs: int, say: Callable[[str], None]) -> Iterator[Line]:
    """From a commit to a version that is ready, beside the same fit by itself."""
    say(f"writing {rows:,} rows, and starting Ray and the controller")
    project = Project(work / "one", rows, _ONE)
    with running(project) as (jobs, version):
        ours, bare, alone, hits = [], [], [], []
        for number in range(runs):
            say(f"one worker, run {number + 1} of {runs}")
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
    ratio, over = min(ours) / min(bare), min(ours) - min(alone)
    yield Line("commit to ModelReady", Timing(tuple(ours), 0.0))
    yield Line("the same fit as a bare Ray task, by Ray's Jobs API", Timing(tuple(bare), 0.0))
    yield Line("the same fit alone in a process", Timing(tuple(alone), 0.0))
    yield Line("  over the bare task", figure=f"{ratio:.2f} times (bar {_OVER_TASK:g})", kept=ratio <= _OVER_TASK)
    yield Line("  over the fit alone", figure=f"+{over:.1f} s (bar +{_OVER_ALONE:g} s)", kept=over <= _OVER_ALONE)
    yield Line("what was trained before: commit to Ready", Timing(tuple(hits), 0.0), _HIT)


def beside(
    work: Path,
    name: str,
    trainer: str,
    told: tuple[str, str],
    bar: float,
    rows: int,
    runs: int,
    say: Callable[[str], None],
) -> Iterator[Line]:
    """From a commit to a version that is ready, beside a script of Ray's own that does the same: ``benchmarks.bare
    NAME``. ``told`` names both."""
    project = Project(work / name, rows, trainer)
    say(f"starting Ray and the controller: {told[0]}")
    with running(project) as (jobs, version):
        ours, bare = [], []
        for number in range(runs):
            say(f"{told[0]}, run {number + 1} of {runs}")
            bare.append(_clocked(lambda: jobs.run(f"{sys.executable} -m benchmarks.bare {name} {project.folder}")))
            project.edit(f"seed: {number}", f"seed: {number + 1}")

            def change(before: str = version, number: int = number) -> str:
                project.commit(f"seed {number + 1}")
                return project.until_ready(before)

            started = time.perf_counter()
            version = change()
            ours.append(time.perf_counter() - started)
    ratio = min(ours) / min(bare)
    yield Line(told[0], Timing(tuple(ours), 0.0))
    yield Line(told[1], Timing(tuple(bare), 0.0))
    yield Line("  over the script", figure=f"{ratio:.2f} times (bar {bar:g})", kept=ratio <= bar)


def unchanged(runs: int, say: Callable[[str], None]) -> Line:
    """A plan of 500 training jobs of which nothing has changed."""
    say(f"{_JOBS} training jobs of which nothing has changed")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.unchanged", str(_JOBS), str(runs)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    if found["actions"] or found["runs"] != _JOBS + 1:
        raise FailedError(f"a plan of what has not changed would do something: {found}")
    return Line(f"plan of {_JOBS} unchanged training jobs", Timing(tuple(found["seconds"]), 0.0), _UNCHANGED)


def measured(module: str, kind: str, folder: Path, *more: str) -> dict[str, float]:
    """What a process of ``module`` prints of itself."""
    command = [sys.executable, "-m", module, kind, *more, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FailedError(f"{module} {kind}: {done.stderr.strip()[-400:]}")
    found: dict[str, float] = json.loads(done.stdout or "{}")
    return found


def large(work: Path, say: Callable[[str], None]) -> Iterator[Line]:
    """What a worker holds that learns from a table of 10,000,000 rows under a bound."""
    found = {}
    for kind, told in (("write", "writing"), ("place", "preparing"), ("fit", "learning from")):
        say(f"{told} {ROWS:,} rows")
        found[kind] = measured("benchmarks.rows", kind, work / "large")
    bound = parse_memory(BOUND)
    most, run = found["fit"]["most"], found["place"]["most"]
    yield Line(f"a fit of {ROWS:,} rows, streamed", Timing((found["fit"]["seconds"],), 0.0))
    yield Line("  peak memory of its worker", figure=f"{most / 2**20:,.0f} MiB (bar memoryPerWorker: {BOUND})",
               kept=most <= bound and bool(found["fit"]["streamed"]))  # fmt: skip
    yield Line("  peak memory of the run that prepares it", figure=f"{run / 2**20:,.0f} MiB")


def joins(work: Path, runs: int, say: Callable[[str], None]) -> Iterator[Line]:
    """A training set of 1,000,000 rows by 5,000,000 feature rows, beside Polars' own join of the same tables."""

    def one(kind: str) -> dict[str, float]:
        return measured("benchmarks.join", kind, work / "tables")

    say("writing tables of 1,000,000 and of 5,000,000 rows")
    one("write")
    found: dict[str, list[dict[str, float]]] = {"ours": [], "bare": []}
    for number in range(runs):
        say(f"joining them, {number + 1} of {runs}")
        for kind, each in found.items():
            each.append(one(kind))
    least = {kind: {key: min(run[key] for run in each) for key in each[0]} for kind, each in found.items()}
    for kind, name in (("ours", "training set, 1M x 5M rows"), ("bare", "Polars' join_asof of the same tables")):
        yield Line(name, Timing(tuple(run["seconds"] for run in found[kind]), least[kind]["cpu"]))
    ours, bare = least["ours"], least["bare"]
    ratio, memory = ours["cpu"] / bare["cpu"], ours["more"] / (ours["read"] + ours["result"])
    alone = [f"{one['more'] / one['result']:.1f} times" for one in (ours, bare)]
    yield Line("  over Polars, in CPU", figure=f"{ratio:.2f} times (bar {_JOIN:g})", kept=ratio <= _JOIN)
    yield Line("  peak memory over inputs and result", figure=f"{memory:.2f} times (bar {_MEMORY:g})",
               kept=memory <= _MEMORY)  # fmt: skip
    yield Line("  peak memory over the result alone", figure=f"{alone[0]}, Polars' own {alone[1]}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="rows that are learned from (default 200000)")
    parser.add_argument("--runs", type=int, default=3, help="of each (default 3)")
    parser.add_argument("--no-joins", action="store_true", help="leave the join of training sets out")
    parser.add_argument("--large", action="store_true", help=f"a table of {ROWS:,} rows, too: minutes and 4 GiB")
    chosen = parser.parse_args(arguments)
    if chosen.rows < 1_000 or chosen.runs < 1:
        parser.error("--rows is at least 1000, --runs at least 1")

    def lines(work: Path, say: Callable[[str], None]) -> Iterator[Line]:
        yield from fits(work, chosen.rows, chosen.runs, say)
        two = ("two workers: commit to ModelReady", "a bare script of Ray Train with two workers")
        yield from beside(work, "workers", _TWO, two, _SEVERAL, chosen.rows, chosen.runs, say)
        trials = (
            f"{TRIALS} trials and a fit: commit to ModelReady",
            f"a bare script of Ray Tune, {TRIALS} trials and a fit",
        )
        yield from beside(work, "trials", _TRIALS, trials, _SEARCH, chosen.rows, chosen.runs, say)
        yield unchanged(chosen.runs, say)
        yield from () if chosen.no_joins else joins(work, chosen.runs, say)
        yield from large(work, say) if chosen.large else ()

    return reported("training", lines)


if __name__ == "__main__":
    sys.exit(main())
