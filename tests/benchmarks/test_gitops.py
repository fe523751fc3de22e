"""The benchmark runs and says what it found; what it finds is never a test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import gitops, repository
from framework.backends.memory.source import MemorySource
from framework.kinds import KINDS
from framework.specs.read import check


def test_it_runs_small_and_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = tmp_path / "figures.json"
    options = ["--size", "50", "--runs", "1", "--no-peers", "--work", str(tmp_path / "work"), "--json", str(figures)]
    assert gitops.main(options) in (0, 1)  # a machine may be busy

    shown = capsys.readouterr().out
    names = [line["name"] for line in json.loads(figures.read_text())["lines"]]
    for wanted in ("nothing changed", "one spec changed", "  peak memory", "  linear", "floor: git diff-tree"):
        assert any(name.startswith(wanted) for name in names), wanted
        assert wanted in shown
    assert list((tmp_path / "work").iterdir()) == []


def test_a_bar_that_is_missed_makes_the_exit_status_1() -> None:
    took = gitops.Timing((2.0, 3.0), 2.0)
    met, missed, free = (gitops.Line(name, took, bar) for name, bar in (("met", 2.5), ("missed", 1.5), ("free", None)))
    assert [gitops.exit_status(lines) for lines in ((), (met, free), (met, missed, free))] == [0, 0, 1]


def test_its_specs_are_right_and_of_all_kinds_that_run() -> None:
    source = MemorySource()
    report = check(source, source.commit(dict(repository.files(100))), [repository.SPECS], KINDS)

    assert report.problems == ()
    assert report.objects == 101


def test_a_size_that_is_measured_twice_is_written_once(tmp_path: Path) -> None:
    bench = gitops.Bench(tmp_path, 1, lambda text: None)
    assert bench.repository(20) is bench.repository(20)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("specs-")] == ["specs-20"]
