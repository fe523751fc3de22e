"""What is told of a preview, and that nothing in it is more than text."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from framework.api.meta import Ref
from framework.planning.reports.models import model_row
from framework.planning.reports.preview import (
    PreviewFigure,
    PreviewOutcome,
    PreviewReport,
    PreviewVerdict,
    beside,
    worst_first,
)
from framework.render.markdown import LIMIT
from framework.render.preview import MARKER, preview_markdown, preview_text
from framework.render.preview_document import preview_json
from tests.unit.render.model_samples import version
from tests.unit.render.preview_samples import (
    BROKEN,
    FIGURES,
    FOUND,
    GATED,
    GOOD,
    LIVE,
    NEW,
    OTHER,
    PASSING,
    PREVIEW,
    SLICES,
)
from tests.unit.render.samples import NOW

UNFINISHED = replace(GOOD, jobs=(replace(PASSING, outcome=PreviewOutcome.UNDER_WAY),))


def test_the_comment_is_found_again_and_shows_text_as_text() -> None:
    page = preview_markdown(PREVIEW, NOW)
    assert page.startswith(f"{MARKER}\n")
    assert page.count("<!--") == 1
    assert "<img" not in page
    assert re.search(r"@(?!\u200b)all", page) is None
    cells = {line.count(" | ") for line in page.splitlines() if line.startswith("| ") and "where name" in line}
    assert cells == {3}


def test_a_comment_has_room_for_what_fails_and_counts_the_others() -> None:
    many = tuple(replace(PASSING, ref=Ref("TrainingJob", f"job-{index}")) for index in range(200))
    page = preview_markdown(replace(PREVIEW, jobs=(*many, BROKEN, GATED)), NOW)
    assert len(page) < LIMIT
    assert "TrainingJob/broken" in page
    assert "TrainingJob/arrivals" in page
    shown = page.count("<details")
    assert f"**{202 - shown} more training jobs** not shown here" in page


def test_no_table_of_a_comment_is_longer_than_forty_rows() -> None:
    rows = tuple({"by": "city", "value": f"c{index}", "metric": "auc", "rows": 9, "score": 0.5} for index in range(99))
    page = preview_markdown(replace(GOOD, jobs=(replace(PASSING, slices=rows),)), NOW)
    assert "| and 59 more | | | |" in page


@pytest.mark.parametrize("told", [preview_text(PREVIEW), preview_json(PREVIEW), preview_markdown(PREVIEW, NOW)])
def test_no_secret_is_shown(told: str) -> None:
    assert "hunter2SECRET" not in told
    assert "***" in told.replace("\\", "")


def test_the_text_fits_the_terminal() -> None:
    assert max(map(len, preview_text(PREVIEW, width=70).splitlines())) <= 70


def test_programs_find_everything() -> None:
    found = json.loads(preview_json(PREVIEW))
    assert (found["verdict"], len(found["jobs"]), len(found["views"])) == ("failed", 3, 2)
    assert found["jobs"][0]["metrics"]["auc"]["interval"] == [-0.0032, 0.0348]
    assert found["jobs"][2]["model"] is None
    assert found["views"][1]["apart"] is True


def test_what_the_run_asked_the_live_model_is_shown_beside_it_with_how_sure_that_is() -> None:
    assert FOUND is not None
    assert (FOUND.role, FOUND.same_rows) == ("live", True)
    auc, loss = (next(one for one in FIGURES if one.name == name) for name in ("auc", "log_loss"))
    assert auc.interval == pytest.approx((-0.0032, 0.0348))
    assert (auc.word, loss.interval, loss.word) == ("unclear", None, "better")


def test_what_is_on_record_counts_only_on_the_same_rows() -> None:
    other = NEW.model_copy(update={"lineage": {**NEW.lineage, "champion": None, "champion_metrics": None}})
    for same_split, dataset, same in ((True, "da" * 32, True), (False, "da" * 32, False), (True, "db" * 32, False)):
        before = model_row(version(lineage={**LIVE.lineage, "dataset": dataset}))
        found, figures = beside(other, before, "base", same_split=same_split)
        assert found is not None
        assert found.same_rows is same
        assert [one.other for one in figures if one.name == "auc"] == [0.8342 if same else None]
        assert [one.interval for one in figures] == [None, None]


def test_why_the_live_model_could_not_be_asked_is_told() -> None:
    lineage = {**NEW.lineage, "champion_metrics": {}, "champion_problem": "it needs humid", "comparisons": {}}
    found, figures = beside(NEW.model_copy(update={"lineage": lineage}), OTHER, "live", same_split=False)
    assert found is not None
    assert (found.same_rows, found.problem) == (False, "it needs humid")
    told = preview_text(replace(GOOD, jobs=(replace(PASSING, beside=found, figures=figures),)))
    assert "was not measured on the same test rows: it needs humid" in told


def test_a_model_is_not_compared_with_itself() -> None:
    found, figures = beside(NEW, model_row(NEW), "live", same_split=True)
    assert found is None
    assert [one.other for one in figures] == [None, None]


@pytest.mark.parametrize(
    ("one", "word"),
    [
        (PreviewFigure("auc", 0.8, 0.7, loss=False), "better"),
        (PreviewFigure("rmse", 0.8, 0.7, loss=True), "worse"),
        (PreviewFigure("auc", 0.8, 0.7, (-0.1, 0.3), False), "unclear"),
        (PreviewFigure("auc", 0.8, 0.7, (0.01, 0.3), False), "better"),
        (PreviewFigure("auc", 0.8, 0.8, loss=False), "equal"),
        (PreviewFigure("auc", 0.8, None, loss=False), ""),
        (PreviewFigure("mine", 0.8, 0.7), ""),
    ],
)
def test_what_a_difference_means(one: PreviewFigure, word: str) -> None:
    assert one.word == word


def test_the_worst_part_comes_first() -> None:
    assert [row["score"] for row in worst_first(SLICES)] == [0.79, 0.86, None, 0.55, 0.31]


@pytest.mark.parametrize(
    ("report", "verdict", "words"),
    [
        (GOOD, PreviewVerdict.PASSED, "built TrainingJob/delay-classifier; every gate is passed"),
        (PREVIEW, PreviewVerdict.FAILED, "could not be built: TrainingJob/broken; 1 gate failed: TrainingJob/arrivals"),
        (
            replace(GOOD, jobs=(replace(PASSING, outcome=PreviewOutcome.THERE),)), PreviewVerdict.PASSED,
            "all builds exist",
        ),
        (UNFINISHED, PreviewVerdict.UNFINISHED, "not finished, and goes on: TrainingJob/delay-classifier"),
        (replace(GOOD, jobs=()), PreviewVerdict.PASSED, "changes no feature view and no training job"),
    ],
)  # fmt: skip
def test_what_it_comes_to(report: PreviewReport, verdict: PreviewVerdict, words: str) -> None:
    assert report.verdict is verdict
    assert words in report.conclusion
