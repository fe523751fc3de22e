"""Reading, checking and planning thousands of specs: ``python -m benchmarks.gitops``. The README says how."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks import peers, repository
from benchmarks.measure import Command, FailedError, Timing, peak_memory, timed
from benchmarks.repository import SPECS, Repository

_HOME = "home"
"""Where the caches of the measured processes lie."""
_CHANGES = frozenset({0, 2})
"""Exit codes of ``mlopsctl plan``: nothing to do, and changes."""
_MOST_MIB = 600.0
_MOST_TIMES = 12.0


@dataclass(frozen=True)
class Line:
    """One line of the table. ``bar`` is the most seconds that its best run may take, None where none is set."""

    name: str
    timing: Timing | None = None
    bar: float | None = None
    figure: str = ""
    kept: bool | None = None

    @property
    def met(self) -> bool | None:
        return self.kept if self.timing is None or self.bar is None else self.timing.best <= self.bar


class Bench:
    """Runs mlopsctl on generated repositories, each in a fresh process unless told otherwise."""

    def __init__(self, work: Path, runs: int, say: Callable[[str], None]) -> None:
        self._work, self._runs, self._say = work, runs, say
        here = str(Path(__file__).resolve().parents[1])
        kept = {key: value for key, value in os.environ.items() if not key.startswith("MLOPS_")}
        self._environment = {**kept, "PYTHONPATH": here, "XDG_CACHE_HOME": str(work / _HOME), "NO_COLOR": "1"}
        # What is measured starts from compiled files, as an installed mlopsctl does.
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._made: dict[int, Repository] = {}

    def repository(self, specs: int) -> Repository:
        """One of this size; the same one whenever it is asked for."""
        if specs in self._made:
            return self._made[specs]
        self._say(f"writing {specs:,} specs")
        root = self._work / f"specs-{specs}"
        root.mkdir()
        made = repository.make(root, specs, self._runs)
        self._plan(made, made.empty, made.empty).run()  # compiles what is not yet
        self._made[specs] = made
        return made

    def _plan(self, made: Repository, base: str, head: str, says: str = "") -> Command:
        return replace(self._mlopsctl(made, "plan", "--base", base, "--head", head), good=_CHANGES, says=says)

    def _all_new(self, made: Repository) -> Command:
        return self._plan(made, made.empty, made.full, f"Plan: {made.specs} to create, 0 to update, 0 to delete")

    def _same(self, made: Repository) -> Timing:
        says = f"Nothing to do: {made.specs:,} resources"
        return timed([self._plan(made, made.full, note, says).run for note in made.notes])

    def _mlopsctl(self, made: Repository, *arguments: str) -> Command:
        command = [sys.executable, "-m", "controllers.cli.main", "--project", str(made.root), *arguments]
        return Command(command, self._work, self._environment)

    def forget(self) -> None:
        shutil.rmtree(self._work / _HOME, ignore_errors=True)

    def cold(self, made: Repository, runs: int) -> Timing:
        self._say(f"cold, {made.specs:,} specs")
        return timed([self._all_new(made).run] * runs, before=self.forget)

    def ours(self, made: Repository, cold_runs: int) -> Iterator[Line]:
        cold = self.cold(made, cold_runs)
        yield Line("cold: validate and plan all as new", cold, 10.0)
        self._say("memory")
        self.forget()
        memory = peak_memory(self._all_new(made))
        figure = "not told by this system" if memory is None else f"{memory:.0f} MiB"
        yield Line("  peak memory, all processes (PSS)", figure=f"{figure} (bar {_MOST_MIB:.0f})",
                   kept=None if memory is None else memory <= _MOST_MIB)  # fmt: skip
        self._say("nothing changed")
        yield Line("nothing changed", self._same(made), 1.0)
        self._say("one spec changed")
        says = "0 to create, 0 to update, 0 to delete, 1 metadata only"
        plans = [self._plan(made, made.full, edit, says).run for edit in made.edits]
        yield Line("one spec changed", timed(plans), 1.2)
        validate = replace(self._mlopsctl(made, "validate"), says="valid")
        self._say("validate")
        yield Line("validate, cold", timed([validate.run], before=self.forget))
        yield Line("validate, warm", timed([validate.run] * self._runs))

    def controller(self, made: Repository) -> Iterator[Line]:
        self._say("in the controller")
        arguments = [str(made.root), made.full, ",".join(made.notes), ",".join(made.edits)]
        command = [sys.executable, "-m", "benchmarks.controller", *arguments]
        found = json.loads(Command(command, self._work, self._environment).run())
        yield Line("in the controller: first look, warm cache", Timing(tuple(found["first"]), 0.0))
        yield Line("in the controller: nothing changed", Timing(tuple(found["note"]), 0.0), 0.3)
        yield Line("in the controller: one spec changed", Timing(tuple(found["edit"]), 0.0))

    def floors(self, made: Repository) -> Iterator[Line]:
        self._say("floors")
        plain = {**self._environment, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        tree = f"{made.full}:{SPECS}"
        listing = Command(["git", "ls-tree", "-r", "--format=%(objectname)", tree], made.root, plain)
        reading = Command(["git", "cat-file", "--batch", "--buffer"], made.root, plain, data=listing.run())
        compared = Command(["git", "diff-tree", "-r", made.full, made.notes[-1]], made.root, plain)
        modules = "framework.kinds, framework.specs.read, framework.backends.git.source, git, click"
        started = Command([sys.executable, "-c", f"import {modules}"], self._work, self._environment)
        yield Line("floor: git diff-tree of two commits", timed([compared.run] * self._runs))
        yield Line("floor: all blobs, ls-tree and cat-file --batch",
                   timed([lambda: (listing.run(), reading.run())] * self._runs))  # fmt: skip
        yield Line("floor: Python with our imports", timed([started.run] * self._runs))

    def linear(self, small: Repository, large: Timing, times: int) -> Line:
        little = self.cold(small, 3)
        ratio = large.best / little.best
        bar = _MOST_TIMES * times / 10
        figure = f"{ratio:.1f} times {little.best:.2f} s of {small.specs:,} (bar {bar:g})"
        return Line("  linear: cold", figure=figure, kept=ratio <= bar)

    def beside(self, size: int) -> tuple[int, Timing]:
        """The same question as the peers get."""
        made = self.repository(size)
        self._all_new(made).run()
        return size, self._same(made)


def table(lines: Sequence[Line]) -> str:
    rows = [("", "best s", "median s", "CPU s", "bar s", "")]
    for line in lines:
        verdict = {True: "met", False: "MISSED", None: ""}[line.met]
        if line.timing is None:
            rows.append((line.name, line.figure, "", "", "", verdict))
            continue
        timing = line.timing
        cpu = f"{timing.cpu:.2f}" if timing.cpu else ""
        bar = "" if line.bar is None else f"{line.bar:g}"
        rows.append((line.name, f"{timing.best:.2f}", f"{timing.middle:.2f}", cpu, bar, verdict))
    name = max(len(row[0]) for row in rows)
    out = []
    for row in rows:
        if row[1] and not row[2]:
            out.append(f"{row[0]:<{name}}  {row[1]}  {row[5]}".rstrip())
        else:
            out.append(f"{row[0]:<{name}}  {row[1]:>7} {row[2]:>9} {row[3]:>7} {row[4]:>6}  {row[5]}".rstrip())
    return "\n".join(out)


def peer_lines(findings: Sequence[peers.Finding], ours: dict[int, Timing]) -> Iterator[Line]:
    for size, timing in ours.items():
        yield Line(f"mlopsctl plan --base, {size:,} specs", timing)
    for finding in findings:
        if finding.reason:
            yield Line(f"{finding.look}", figure=f"not run: {finding.reason}")
        for size, timing in finding.timings.items():
            yield Line(f"{finding.look} ({finding.version}), {size:,} definitions", timing)


@contextmanager
def _work_folder(given: Path | None) -> Iterator[Path]:
    """A fresh folder for the repositories; what peers install stays in ``given``."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gitops-", dir=given) as folder:
        yield Path(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gitops", description=__doc__)
    parser.add_argument("--size", type=int, default=10_000, help="specs, at least 10 (default 10000)")
    parser.add_argument("--runs", type=int, default=5, help="runs of what is quick (default 5); cold: 3 at most")
    parser.add_argument("--no-peers", action="store_true", help="leave other tools out")
    parser.add_argument("--only-peers", action="store_true", help="nothing but other tools, and ours beside them")
    parser.add_argument("--work", type=Path, help="where peers are installed and kept; default: a temporary folder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file, too")
    chosen = parser.parse_args(arguments)
    if chosen.size < repository.TEAM or chosen.runs < 1:
        parser.error("--size is at least 10, --runs at least 1")
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {text}", file=sys.stderr, flush=True)

    loads = [os.getloadavg()[0]]
    lines: list[Line] = []
    found: list[peers.Finding] = []
    with _work_folder(chosen.work) as work:
        bench = Bench(work, chosen.runs, say)
        try:
            if not chosen.only_peers:
                made = bench.repository(chosen.size)
                lines += bench.ours(made, min(3, chosen.runs))
                lines += bench.controller(made)
                small = max(chosen.size // 10, repository.TEAM)
                if small < chosen.size and lines[0].timing is not None:
                    line = bench.linear(bench.repository(small), lines[0].timing, chosen.size // small)
                    lines.insert(1, line)
                lines += bench.floors(made)
                lines[0] = replace(lines[0], name=f"{lines[0].name} ({made.specs:,} of {made.lines:.0f} lines)")
            if not chosen.no_peers:
                ours = dict(bench.beside(size) for size in (*peers.SIZES, peers.MANIFESTS))
                home = (chosen.work or work).resolve()
                found = [peers.run(peer, home, say) for peer in peers.PEERS]
                lines += peer_lines(found, ours)
        except FailedError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    loads.append(os.getloadavg()[0])
    print(table(lines))
    print(f"Load of the machine at the start and at the end: {loads[0]:.1f}, {loads[1]:.1f}.")
    if chosen.json is not None:
        document = {"size": chosen.size, "load": loads, "lines": [{**asdict(line), "met": line.met} for line in lines]}
        chosen.json.write_text(json.dumps(document, indent=2) + "\n")
    return exit_status(lines)


def reported(name: str, measured: Callable[[Path, Callable[[str], None]], Iterable[Line]]) -> int:
    """Print what was ``measured`` in a temporary folder, and how busy the machine was; the exit status."""
    started, load = time.monotonic(), os.getloadavg()[0]

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {text}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix=f"{name}-") as work:
        try:
            lines = list(measured(Path(work), say))
        except FailedError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    print(table(lines))
    print(f"Load of the machine at the start and at the end: {load:.1f}, {os.getloadavg()[0]:.1f}.")
    return exit_status(lines)


def exit_status(lines: Sequence[Line]) -> int:
    """1 where a bar is missed."""
    return int(any(line.met is False for line in lines))


if __name__ == "__main__":
    sys.exit(main())
