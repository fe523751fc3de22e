"""What a view costs beside the same work done bare: ``python -m benchmarks.features``. The README says how."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import training
from benchmarks.gitops import Line, reported
from benchmarks.measure import Timing
from benchmarks.training import joins

_BARE, _PART, _LINEAR, _MEMORY = 2.0, 0.1, 12.0, 1.5
_STOCK, _DESCRIBE = 18.0, 1.0
_SMALL, _ROWS, _LARGE, _PROFILED = 1_000_000, 5_000_000, 10_000_000, 1_000_000

Say = Callable[[str], None]
Found = dict[str, float]


def _one(kind: str, rows: int, work: Path) -> Found:
    return training.measured("benchmarks.views", kind, work, str(rows))


def _best(kinds: Sequence[str], rows: int, runs: int, work: Path, say: Say) -> dict[str, list[Found]]:
    """Each of ``kinds`` so many times, one after the other in turn."""
    found: dict[str, list[Found]] = {kind: [] for kind in kinds}
    for number in range(runs):
        for kind, each in found.items():
            say(f"{kind} of {rows:,} rows, {number + 1} of {runs}")
            each.append(_one(kind, rows, work))
    return found


def _line(name: str, found: Sequence[Found]) -> Line:
    return Line(name, Timing(tuple(run["seconds"] for run in found), min(run["cpu"] for run in found)))


def _cpu(found: Sequence[Found]) -> float:
    return min(run["cpu"] for run in found)


def views(work: Path, runs: int, say: Say) -> Iterator[Line]:
    """A view with ten expectations and its profile, beside a scan, a sort and a write of the same rows."""
    say(f"writing {_ROWS:,} rows")
    _one("write", _ROWS, work)
    found = _best(["ours", "bare"], _ROWS, runs, work, say)
    yield _line(f"a view of {_ROWS:,} rows, 10 expectations, profile", found["ours"])
    yield _line("the same rows scanned, sorted and written", found["bare"])
    ratio = _cpu(found["ours"]) / _cpu(found["bare"])
    yield Line("  over bare, in CPU", figure=f"{ratio:.2f} times (bar {_BARE:g})", kept=ratio <= _BARE)
    part = []
    for number in range(runs):
        say(f"a hundredth of {_ROWS:,} rows is new, {number + 1} of {runs}")
        _one("begin", _ROWS, work)
        part.append(_one("more", _ROWS, work))
    yield _line("  a hundredth is new: what is made then", part)
    ratio = _cpu(part) / _cpu(found["ours"])
    yield Line("  over all of it, in CPU", figure=f"{ratio:.2f} times (bar {_PART:g})", kept=ratio <= _PART)


def growth(work: Path, say: Say) -> Iterator[Line]:
    """Ten times the rows: time and memory."""
    found = {}
    for rows in (_SMALL, _LARGE):
        say(f"a view of {rows:,} rows")
        _one("write", rows, work)
        found[rows] = _one("ours", rows, work)
        yield _line(f"a view of {rows:,} rows", [found[rows]])
    times, more = (found[_LARGE][key] / found[_SMALL][key] for key in ("cpu", "more"))
    yield Line("  ten times the rows, CPU", figure=f"{times:.1f} times (bar {_LINEAR:g})", kept=times <= _LINEAR)
    held = [f"{found[rows]['more'] / 2**20:,.0f} MiB" for rows in (_SMALL, _LARGE)]
    yield Line("  ten times the rows, peak memory", figure=f"{more:.1f} times, {held[0]}, {held[1]} (bar {_MEMORY:g})",
               kept=more <= _MEMORY)  # fmt: skip


def profiles(work: Path, runs: int, say: Say) -> Iterator[Line]:
    """A profile of 25 columns beside whylogs' own way and beside what Polars describes."""
    names = {"ours-profile": "a profile of 1M x 25", "describe": "Polars' describe()", "whylogs": "whylogs' own log()"}
    found = _best(list(names)[:2], _PROFILED, runs, work, say)
    found |= _best(list(names)[2:], _PROFILED, 1, work, say)
    for kind, name in names.items():
        yield _line(name, found[kind])
    less, over = (
        _cpu(found["whylogs"]) / _cpu(found["ours-profile"]),
        _cpu(found["ours-profile"]) / _cpu(found["describe"]),
    )
    yield Line("  less CPU than whylogs' own", figure=f"{less:.1f} times (bar {_STOCK:g})", kept=less >= _STOCK)
    yield Line("  over describe(), in CPU", figure=f"{over:.2f} times (bar {_DESCRIBE:g})", kept=over <= _DESCRIBE)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each (default 3)")
    parser.add_argument("--only", choices=("joins", "views", "growth", "profiles"), help="one part alone")
    chosen = parser.parse_args(arguments)
    if chosen.runs < 1:
        parser.error("--runs is at least 1")

    def measured(work: Path, say: Say) -> Iterator[Line]:
        parts: dict[str, Callable[[], Iterator[Line]]] = {
            "joins": lambda: joins(work, chosen.runs, say),
            "views": lambda: views(work, chosen.runs, say),
            "growth": lambda: growth(work, say),
            "profiles": lambda: profiles(work, chosen.runs, say),
        }
        for name, part in parts.items():
            if chosen.only in (None, name):
                yield from part()

    return reported("features", measured)


if __name__ == "__main__":
    sys.exit(main())
