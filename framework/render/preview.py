"""What the models of a branch are worth: for a terminal, for programs, and as a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from framework.api.credentials import redacted_value
from framework.api.fairness import bar_name, group_name
from framework.api.printing import number
from framework.planning.reports.models import ModelDifference, ModelRow
from framework.planning.reports.preview import (
    PreviewBeside,
    PreviewCost,
    PreviewedJob,
    PreviewedView,
    PreviewFigure,
    PreviewOutcome,
    PreviewReport,
    PreviewVerdict,
)
from framework.render.diffs import ADDED, CHANGED, QUIET, REMOVED, diff_lines, flow
from framework.render.markdown import LIMIT, coded, escaped, fenced
from framework.render.outlook import holds_words
from framework.render.terminal import (
    DEFAULT_WIDTH,
    LONGEST_MESSAGE,
    Line,
    Span,
    fitted,
    headings,
    one_line,
    paragraph,
    plain,
    text_of,
)
from framework.render.wording import count, lasting, short

MARKER = "<!-- mlopsctl preview -->"
"""The first line of the comment, by which an earlier one is found."""

_ROWS = 40
"""Of a table in a comment; the worst slices come first."""
_LONGEST_CELL = 200
_LONGEST_DIFF = 4_000
_WIDTH = 110
_STYLES = {"better": ADDED, "worse": REMOVED, "unclear": CHANGED}
_OUTCOMES = {
    PreviewOutcome.BUILT: ADDED,
    PreviewOutcome.FAILED: REMOVED,
    PreviewOutcome.UNDER_WAY: CHANGED,
    PreviewOutcome.THERE: QUIET,
}
_HEADS = ("METRIC OF THE TEST ROWS", "NEW", "{}", "DIFFERENCE", "95 OF 100 DRAWS", "")


# ------------------------------------------------------------------- for a terminal


def preview_text(report: PreviewReport, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Views in a line each, then every training job with its tables, and at last what it comes to."""
    title = f"Preview of {short(report.head)} against {short(report.base)} for {report.environment}"
    lines: list[Line] = paragraph(title, width=width, style="bold")
    for view in report.views:
        lines += paragraph(f"{view.ref}  {_view(view)}", width=width, indent="  ", style=_OUTCOMES[view.outcome])
    for job in report.jobs:
        lines += [(), *_job_lines(job, width)]
    style = {PreviewVerdict.PASSED: ADDED, PreviewVerdict.FAILED: REMOVED}.get(report.verdict, CHANGED)
    lines += [(), *paragraph(_sentence(report), width=width, style=style)]
    return text_of(lines, colour=colour)


def _job_lines(job: PreviewedJob, width: int) -> Iterator[Line]:
    yield from paragraph(f"{job.ref}  {_job(job)}", width=width, style="bold")
    for diff in job.diffs:
        yield from diff_lines(diff, width=width, indent="  ")
    for told in (*_notes(job), *(f"card: {card}" for card in job.cards)):
        yield from paragraph(told, width=width, indent="  ")
    for rows in _tables(job):
        if len(rows) > 1:
            yield ()
            yield from (line for lines in fitted(rows, width, indent="      ") for line in lines)


def _tables(job: PreviewedJob) -> Iterator[list[Line]]:
    other = _role(job.beside).upper()
    yield [
        headings(
            *(f"  {head.format(other)}" if not index else head.format(other) for index, head in enumerate(_HEADS))
        ),
        *(_figure(one) for one in job.figures),
    ]
    yield [headings("  GATE", "VALUE", "VERDICT", "BAR"), *(_gate(gate) for gate in job.gates)]
    yield [
        headings("  SLICE, THE WORST FIRST", "METRIC", "ROWS", "VALUE"),
        *(_cells(f"  {_part(row)}", row["metric"], f"{row['rows']:,}", number(row["score"])) for row in job.slices),
    ]
    yield [
        headings("  FAIRNESS", "GROUP", "ROWS", "VALUE"),
        *(_cells(f"  {name}", *cells) for name, *cells in _fairness(job)),
    ]
    yield [
        headings("  DIFFERS", "NAME", _role(job.beside, "").upper(), "NEW"),
        *(_cells(f"  {item.about}", item.name, *_sides(item)) for item in job.differences),
    ]


def _cells(first: str, *others: str) -> Line:
    return (Span(first), *(Span(one_line(text, _LONGEST_CELL) or "-") for text in others))


def _figure(one: PreviewFigure) -> Line:
    return (*_cells(f"  {_named(one)}", *_values(one)), Span(one.word, _STYLES.get(one.word, "")))


def _gate(gate: Mapping[str, Any]) -> Line:
    verdict = Span("passed", ADDED) if gate["passed"] else Span("FAILED", REMOVED)
    return (
        Span(f"  {one_line(gate['gate'])}"),
        Span(number(gate["value"]) or "-"),
        verdict,
        Span(one_line(gate["bar"], LONGEST_MESSAGE)),
    )


# ------------------------------------------------------------------- what both say


def _sentence(report: PreviewReport) -> str:
    conclusion = one_line(report.conclusion, 2 * LONGEST_MESSAGE)
    return f"{report.verdict.value.capitalize()} after {lasting(report.seconds)}: {conclusion}."


def _view(view: PreviewedView) -> str:
    parts = [view.outcome.value]
    if view.rows is not None:
        parts.append(f"{view.rows:,} rows, build {view.build}")
    if view.cost is not None:
        parts.append(_cost(view.cost))
    if view.apart:
        parts.append("in a folder of its own, for readers have the one that it would be published to")
    return "; ".join([*parts, *_because(view)])


def _job(job: PreviewedJob) -> str:
    built = [f"version {job.model.model.version}"] if job.model is not None else []
    return "; ".join([job.outcome.value, *built, *([_cost(job.cost)] if job.cost else []), *_because(job)])


def _because(item: PreviewedView | PreviewedJob) -> Iterator[str]:
    told = ": ".join(part for part in (item.reason, one_line(item.message, LONGEST_MESSAGE)) if part)
    if told:
        yield f"{told} ({item.file})" if item.file else told


def _cost(cost: PreviewCost) -> str:
    """``took 12s on 2 CPUs and 1 GPU``."""
    holds = holds_words(cost.cpus, cost.gpus)
    took = f"took {lasting(cost.seconds)}" if cost.seconds is not None else ""
    return " on ".join(part for part in (took, holds) if part)


def _notes(job: PreviewedJob) -> Iterator[str]:
    """What is compared with what."""
    found = job.beside
    if found is not None:
        serves = _serves(found.row)
        role = f"live, serves in {serves}" if serves else "live" if found.role == "live" else "what the base asks for"
        yield f"beside {found.row.label}: {role}"
        if found.told:
            yield f"both are measured {found.told}"
        if not found.same_rows:
            why = f": {found.problem}" if found.problem else "; on its own test rows it says nothing about the new one"
            yield f"it was not measured on the same test rows{why}"
    elif job.model is not None:
        serves = _serves(job.model)
        yield f"it serves in {serves}" if serves else "there is no other model to compare it with"
    if job.model is not None:
        yield from (f"hint: {one_line(hint)}" for hint in job.model.model.lineage.get("hints") or ())


def _serves(row: ModelRow) -> str:
    return ", ".join(f"{use.ref} ({use.role}, {use.weight} %)" for use in row.uses)


def _role(found: PreviewBeside | None, rows: str = ", same rows") -> str:
    return "other" if found is None else f"{found.role}{rows if found.same_rows else ''}"


def _named(one: PreviewFigure) -> str:
    return one_line(f"{one.name} (lower is better)" if one.loss else one.name)


def _values(one: PreviewFigure) -> tuple[str, str, str, str]:
    difference = f"{one.difference:+.4f}" if one.difference is not None else ""
    interval = f"{one.interval[0]:+.4f} to {one.interval[1]:+.4f}" if one.interval is not None else ""
    return number(one.value), number(one.other), difference, interval


def _part(row: Mapping[str, Any]) -> str:
    value = "no part is large enough" if row["value"] is None else row["value"]
    return one_line(f"{row['by']} = {value}", _LONGEST_CELL)


def _fairness(job: PreviewedJob) -> Iterator[tuple[str, str, str, str]]:
    """By bar the largest difference, then what each group has."""
    for row in job.fairness:
        value = number(row["value"]) or row["problem"]
        yield bar_name(row["metric"], row["loss"], row["attribute"]), "largest difference", "", value
        for group in row["groups"]:
            for rate, found in group["values"].items():
                yield rate, group_name(group["group"]), f"{group['rows']:,}", number(found)


def _sides(item: ModelDifference) -> tuple[str, str]:
    """Before and after; what is called secret is hidden."""
    before, after = (redacted_value(value, item.name) for value in (item.before, item.after))
    return _plain(before), _plain(after)


def _plain(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else flow(value)


# ------------------------------------------------------------------- as a comment


def preview_markdown(report: PreviewReport, now: datetime) -> str:
    """The comment, fewer than ``LIMIT`` characters of it. Its first line finds it again for the next preview.

    Whatever a user wrote is text in it and nothing else. Where not every training job has room, those that fail are
    shown, and the others counted.
    """
    icon = {PreviewVerdict.PASSED: "passed", PreviewVerdict.FAILED: "FAILED"}.get(report.verdict, "not finished")
    head = [
        MARKER,
        f"### Preview for {coded(report.environment)}: {icon}",
        "",
        escaped(_sentence(report)),
        "",
        f"Commit {coded(short(report.head))} against {coded(short(report.base))}. Nothing that serves was changed; "
        "what was built is taken when this is merged.",
        "",
        *_views(report.views),
    ]
    foot = f"<sub>Made by mlopsctl at {now:%Y-%m-%d %H:%M} UTC.</sub>\n"
    room = LIMIT - sum(len(line) + 1 for line in head) - len(foot) - 200
    shown: dict[int, str] = {}
    for index in sorted(range(len(report.jobs)), key=lambda index: _rank(report.jobs[index])):
        block = _block(report.jobs[index])
        if len(block) > room:
            continue
        room -= len(block)
        shown[index] = block
    left = len(report.jobs) - len(shown)
    rest = (
        f"**{count(left, 'more training job')}** not shown here: run mlopsctl preview to see all.\n\n" if left else ""
    )
    return "\n".join([*head, ""]) + "".join(shown[index] for index in sorted(shown)) + rest + foot


def _rank(job: PreviewedJob) -> tuple[bool, bool]:
    return job.outcome is not PreviewOutcome.FAILED, not job.failed_gates


def _views(views: Sequence[PreviewedView]) -> Iterator[str]:
    if not views:
        return
    yield from _table(("view", "outcome"), [(coded(str(view.ref)), escaped(_view(view))) for view in views])


def _block(job: PreviewedJob) -> str:
    failed = " <b>gate failed</b>" if job.failed_gates else ""
    opened = " open" if job.failed_gates or job.outcome is PreviewOutcome.FAILED else ""
    parts = [f"<details{opened}><summary><code>{job.ref}</code>: {job.outcome.value}{failed}</summary>", ""]
    parts += [escaped(_job(job)), ""]
    other = _role(job.beside)
    parts += _table(
        ("metric of the test rows", "new", other, "difference", "95 of 100 draws", ""),
        [tuple(escaped(text) for text in (_named(one), *_values(one), one.word)) for one in job.figures],
    )
    parts += _table(
        ("gate", "value", "", "bar"),
        [
            (
                escaped(_short(gate["gate"])),
                number(gate["value"]),
                "passed" if gate["passed"] else "**FAILED**",
                escaped(_short(gate["bar"])),
            )
            for gate in sorted(job.gates, key=lambda gate: bool(gate["passed"]))
        ],
    )
    parts += _table(
        ("slice, the worst first", "metric", "rows", "value"),
        [(escaped(_part(row)), escaped(row["metric"]), f"{row['rows']:,}", number(row["score"])) for row in job.slices],
    )
    parts += _table(
        ("fairness", "group", "rows", "value"),
        [tuple(escaped(_short(cell)) for cell in cells) for cells in _fairness(job)],
    )
    parts += _table(
        ("differs", "name", _role(job.beside, ""), "new"),
        [tuple(escaped(_short(text)) for text in (item.about, item.name, *_sides(item))) for item in job.differences],
    )
    rows = [row for diff in job.diffs for row in plain(diff_lines(diff, width=_WIDTH, indent="")).splitlines()]
    if rows and sum(len(row) + 1 for row in rows) <= _LONGEST_DIFF:
        parts += [fenced(rows, "text"), ""]
    elif rows:
        parts += [f"{count(len(job.diffs), 'field differs', 'fields differ')}, too much to show here.", ""]
    parts += [f"{told}\n" for told in (*map(escaped, _notes(job)), *(f"Card: {coded(card)}" for card in job.cards))]
    return "\n".join((*parts, "</details>", "", ""))


def _short(text: str) -> str:
    return one_line(text, _LONGEST_CELL)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        return
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    yield from (f"| {' | '.join(row)} |" for row in rows[:_ROWS])
    if len(rows) > _ROWS:
        yield f"| and {len(rows) - _ROWS} more |{' |' * (len(heads) - 1)}"
    yield ""
