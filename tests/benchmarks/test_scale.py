"""The benchmark of many resources runs on few and says what it found; what it finds is never a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import scale


def test_it_runs_small_and_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--resources", "10", "--commits", "1", "--quiet", "0", "--deployments", "5", "--work", str(tmp_path)]
    assert scale.main(options) in (0, 1)

    shown = capsys.readouterr().out
    for wanted in ("10 resources", "converge", "steady pass", "quiet controller", "commit to submit, p99", "lineage"):
        assert wanted in shown
    assert "Converged" in shown
    assert list(tmp_path.iterdir()) == [tmp_path / "home"] or list(tmp_path.iterdir()) == []


def test_a_bar_that_is_missed_and_a_figure_that_never_came_are_told() -> None:
    lines = list(scale.lines_of(10_000, {"quiet": 0.2, "lineage": 1.0}, peak=100.0))
    verdicts = {line.name: line.verdict for line in lines}
    assert verdicts["quiet controller"] == "MISSED"
    assert verdicts["converge, from nothing"] == "MISSED"
    assert verdicts["lineage"] == "met"
    assert verdicts["plan"] == ""
    assert "MISSED" in scale.table([("10,000 resources", lines)])


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_what_most_do_not_exceed_is_one_of_them(share: float, expected: int) -> None:
    assert scale.at_most([float(value) for value in range(100, 0, -1)], share) == expected
