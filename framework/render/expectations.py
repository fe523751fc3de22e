"""What came of the expectations of a run: as a table, as JSON, and as rows for a page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from framework.ports import CheckedRun, ExpectationResult, Json
from framework.render.diffs import QUIET
from framework.render.model_tables import cells, heads
from framework.render.terminal import Line, Span, paragraph, table
from framework.render.wording import ago, count

_WORDS: Mapping[tuple[bool, str], tuple[str, str]] = {
    (True, "error"): ("passed", "green"),
    (True, "warn"): ("passed", "green"),
    (False, "error"): ("FAILED", "red"),
    (False, "warn"): ("warns", "yellow"),
}
"""What is said of one, and in which style, by whether it holds and how severe it is."""


def expectation_lines(run: CheckedRun, now: datetime, width: int) -> list[Line]:
    """A title, a row for each expectation, and below each that does not hold what was found."""
    published = "nothing was published" if run.version is None else f"published as version {run.version}"
    title = f"Expectations on {count(run.rows, 'row')}, {ago(now - run.at)}: {published}"
    rows = [
        (*cells(name_of(result), f"{result.failing:.3%}"), Span(*_WORDS[result.passed, result.severity]))
        for result in run.results
    ]
    lines = [
        *paragraph(title, width=width, style="bold"),
        *table([heads("  CHECK", "FAILING", "RESULT"), *rows], width),
    ]
    for result in run.results:
        if not result.passed:
            lines += paragraph(result.told, width=width, indent="    ", style=QUIET)
    return lines


def name_of(result: ExpectationResult) -> str:
    """``between of delay``."""
    return f"{result.check}{f' of {result.column}' if result.column else ''}"


def expectations_document(run: CheckedRun) -> Json:
    """As plain values: {run, at, rows, version, results: [{check, column, severity, passed, failing, value, observed,
    offending}]}."""
    return run.model_dump(mode="json")
