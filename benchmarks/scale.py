"""What one controller takes for thousands of resources: ``python -m benchmarks.scale``. The README says how."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import repository
from benchmarks.looks import look_round
from benchmarks.measure import memory_of

_SAMPLE_SECONDS = 0.2
SMALL, LARGE = 1_000, 10_000
_DEPLOYMENTS = 1_000


@dataclass(frozen=True)
class Bar:
    """At most this, for up to so many resources."""

    small: float
    large: float

    def of(self, resources: int) -> float | None:
        return self.small if resources <= SMALL else self.large if resources <= LARGE else None


CONVERGE, STEADY = Bar(20.0, 180.0), Bar(1.0, 8.0)
QUIET, SUBMIT, MEMORY = Bar(15.0, 15.0), Bar(2.0, 2.0), Bar(600.0, 600.0)
LINEAGE, LINEAGE_OF_ONE = Bar(10.0, 10.0), Bar(1.0, 1.0)
ROUND_SECONDS = 5.0


@dataclass(frozen=True)
class Line:
    """``figure`` in ``unit``, None where there is none because it never came to that; ``bar`` is the most that it may
    be, None where none is set."""

    name: str
    figure: float | None
    unit: str
    bar: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return ""
        return "met" if self.figure is not None and self.figure <= self.bar else "MISSED"


def at_most(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of them do not exceed: the nearest rank."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, -int(-share * len(ranked) // 1) - 1))]


def lines_of(resources: int, found: Mapping[str, Any], peak: float | None) -> Iterator[Line]:
    """What one process found, as lines of the table."""

    def one(name: str) -> float | None:
        value = found.get(name)
        return None if value is None else float(value)

    first, steady = found.get("converge"), found.get("steady")
    word = f"{first['word']}, {first['cpu']:.1f} s CPU, {first['looks']:,} looks" if first else "never"
    took = first["wall"] if first and first["word"] == "Converged" else None
    yield Line("converge, from nothing", took, "s", CONVERGE.of(resources), word)
    again = f"{steady['word']}, {steady['cpu']:.1f} s CPU" if steady else "never"
    yield Line("steady pass", steady["wall"] if steady else None, "s", STEADY.of(resources), again)
    quiet = one("quiet")
    yield Line("quiet controller", None if quiet is None else 100 * quiet, "% of a core", QUIET.of(resources))
    latencies = found.get("latencies") or []
    if latencies:
        told = f"{len(latencies)} commits, median {median(latencies):.2f}, most {max(latencies):.2f}"
        yield Line("commit to submit, p99", at_most(latencies, 0.99), "s", SUBMIT.of(resources), told)
    yield Line("peak memory, all processes (PSS)", peak, "MiB", MEMORY.of(resources))
    memory = [size / 2**20 for size in found.get("memory") or []]
    if memory:
        told = f"from {memory[0]:.0f} to {memory[-1]:.0f} over {len(memory)} commits"
        yield Line(
            "  growth in the second half of the commits", memory[-1] - memory[len(memory) // 2], "MiB", note=told
        )
    yield Line("lineage", one("lineage"), "s", LINEAGE.of(resources))
    yield Line("lineage of one", one("lineage of one"), "s", LINEAGE_OF_ONE.of(resources))
    for name in ("status", "audit verify", "plan"):
        yield Line(name, one(name), "s")


def measured(root: Path, resources: int, commits: int, quiet: float, timeout: float) -> tuple[dict[str, Any], float]:
    """What ``benchmarks.fleet`` finds, and the most MiB that it and what it starts held at a time."""
    here = str(Path(__file__).resolve().parents[1])
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLOPS_")}
    environment |= {"PYTHONPATH": here, "XDG_CACHE_HOME": str(root.parent / "home")}
    arguments = [str(root), str(resources), str(commits), str(quiet)]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.fleet", *arguments]
    process = subprocess.Popen(command, env=environment, cwd=here, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = {}
    most, over = 0.0, threading.Event()

    def watch() -> None:
        nonlocal most
        deadline = time.monotonic() + timeout
        while not over.wait(_SAMPLE_SECONDS):
            if "peak" not in found:
                most = max(most, memory_of(process.pid))
            if time.monotonic() > deadline:
                process.kill()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            found[told["name"]] = told["value"]
            print(f"  {line.strip()[:200]}", file=sys.stderr, flush=True)
        process.wait()
    finally:
        over.set()
        watcher.join()
    if process.returncode not in (0, -9):
        print(f"error: the measurement ended with exit status {process.returncode}", file=sys.stderr)
    return found, most


def round_of_looks(deployments: int) -> Line:
    found = look_round(deployments)
    name = f"a round of looks at {deployments:,} deployments"
    return Line(name, found.cpu, "s CPU", ROUND_SECONDS, f"Serve's answer read {found.readings} times")


def table(groups: Sequence[tuple[str, Sequence[Line]]]) -> str:
    width = max(len(line.name) for _, lines in groups for line in lines)
    out: list[str] = []
    for title, lines in groups:
        out += [*([""] if out else []), title]
        for line in lines:
            figure = "-" if line.figure is None else f"{line.figure:.2f}"
            bar = "" if line.bar is None else f"<= {line.bar:g}"
            text = f"  {line.name:<{width}} {figure:>8} {line.unit:<12} {bar:>7}  {line.verdict:<6}  {line.note}"
            out.append(text.rstrip())
    return "\n".join(out)


@contextmanager
def _work_folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scale-", dir=given) as folder:
        yield Path(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--resources", type=int, nargs="+", default=[SMALL, LARGE], metavar="N")
    parser.add_argument("--commits", type=int, default=180, help="commits that have a model trained (default 180)")
    parser.add_argument("--quiet", type=float, default=60.0, help="seconds in which nothing happens (default 60)")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds for one size (default 3600)")
    parser.add_argument("--deployments", type=int, default=_DEPLOYMENTS, help="of the round of looks (default 1000)")
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="where repositories are made; default: a temporary one"
    )
    chosen = parser.parse_args(arguments)
    if min(chosen.resources) < repository.TEAM or chosen.commits < 1:
        parser.error(f"--resources is at least {repository.TEAM}, --commits at least 1")
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    load = os.getloadavg()[0]
    groups = []
    with _work_folder(chosen.work) as work:
        for resources in chosen.resources:
            say(f"{resources:,} resources")
            root = work / f"resources-{resources}"
            root.mkdir()
            found, peak = measured(root, resources, chosen.commits, chosen.quiet, chosen.timeout)
            groups.append((f"{resources:,} resources", list(lines_of(resources, found, peak))))
    groups.append(("Ray Serve", [round_of_looks(chosen.deployments)]))
    print(table(groups))
    print(f"Load of the machine at the start and at the end: {load:.1f}, {os.getloadavg()[0]:.1f}.")
    return int(any(line.verdict == "MISSED" for _, lines in groups for line in lines))


if __name__ == "__main__":
    sys.exit(main())
