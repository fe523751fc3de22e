"""The page of a feature view: what is in it, where it comes from, how it moved, and what was expected of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from framework.cards import plots
from framework.cards.content import Card, CardLink, CardSection, table
from framework.figures import ColumnFigures
from framework.planning.reports.features import ProfiledVersion, ViewReport, ViewVersion, by_check, verdict
from framework.render.catalogue import page_of
from framework.render.features import change, sentences, source_told
from framework.render.figures import HEADS, figure, figure_cells, share
from framework.render.wording import lasting, second, short

_PLOTTED = 30
"""Columns of which plots are drawn; tables have all."""
_COMPARED = 10
"""Versions that stand beside each other in a table, the newest ones."""
_TIMES = ("Datetime", "Date")


def view_card(
    report: ViewReport, movement: Sequence[ProfiledVersion], now: datetime, catalogue: str | None = None
) -> Card:
    """``movement`` are figures of its versions, oldest first. ``catalogue`` is the page of all views in the same
    folder, where there is one, and pages of those that it reads and that read it."""
    row = report.row
    title = f"{row.name}{f' version {report.shown.state.version}' if report.shown else ''}"
    lead = [f"{one[0].upper()}{one[1:]}." for one in sentences(report, now)]
    sections = [
        *_columns(report), *_lineage(report), *_values(report.figures), *_movement(movement),
        *_expectations(report.versions), *_versions(report.versions),
    ]  # fmt: skip
    lead.append(f"All of this is as of {second(now)} UTC.")
    return Card(title, tuple(filter(None, (row.description, *lead))), tuple(sections), tuple(_links(report, catalogue)))


def _links(report: ViewReport, catalogue: str | None) -> Iterator[CardLink]:
    if catalogue is None:
        return
    yield CardLink("All views", catalogue)
    for name in dict.fromkeys((*report.above, *report.below)):
        yield CardLink(name, page_of(name))


def _columns(report: ViewReport) -> Iterator[CardSection]:
    meant: dict[str | None, str] = {report.timestamp: "event time", report.available: "known from"}
    meant |= dict.fromkeys(report.keys, "key")
    rows = [(one.name, one.dtype, meant.get(one.name, ""), one.description) for one in report.row.columns]
    yield CardSection("Columns", (), (table(("name", "dtype", "what", "description"), rows),))


def _lineage(report: ViewReport) -> Iterator[CardSection]:
    facts = [(f"source {name}", source_told(source)) for name, source in report.sources.items()]
    read = {} if report.shown is None else report.shown.state.upstream
    facts += [(f"view {name}", f"version {one.version}, build {one.name}") for name, one in sorted(read.items())]
    facts += [("read by", str(ref)) for ref in report.row.readers]
    if report.shown is not None:
        facts += [("commit", short(report.shown.state.commit)), ("table", report.shown.state.uri)]
    sql = report.transform.get("sql")
    yield CardSection("Lineage", (), (table(("what", "which"), facts),), code=(str(sql).rstrip(),) if sql else ())


def _values(figures: Sequence[ColumnFigures]) -> Iterator[CardSection]:
    if not figures:
        yield CardSection("Values", ("No profile of this version is to be had.",))
        return
    heads = [word.lower() for word in HEADS]
    drawn = [plot for one in figures[:_PLOTTED] for plot in _distribution(one)]
    yield CardSection("Values", (), (table(heads, [figure_cells(one) for one in figures]),), tuple(drawn))


def _distribution(one: ColumnFigures) -> Iterator[plots.CardPlot]:
    """Of numbers a histogram, of texts their most frequent values."""
    if one.items:
        bars = [(value, float(count)) for value, count in one.items]
        yield plots.bars(bars, f"{one.name}: the most frequent values", "rows")
    elif one.counts and one.dtype not in _TIMES:
        yield plots.histogram(one.edges, one.counts, f"How {one.name} is distributed", "", up=one.name, zero=False)


def _movement(movement: Sequence[ProfiledVersion]) -> Iterator[CardSection]:
    """Missing values, distinct ones and the median, version by version."""
    if len(movement) < 2:
        return
    found = [(one.version.label, {column.name: column for column in one.figures}) for one in movement]
    names = list(dict.fromkeys(name for _, columns in reversed(found) for name in columns))
    few = found[-_COMPARED:]
    rows = [("", "rows", *(f"{one.version.state.rows:,}" for one in movement[-_COMPARED:]))]
    for name in names:
        sides = [columns.get(name) for _, columns in few]
        rows.append((name, "missing", *(share(side.missing) if side else "-" for side in sides)))
        rows.append(
            (name, "distinct", *("-" if s is None or s.distinct is None else f"{s.distinct:,.0f}" for s in sides))
        )
        if any(side and side.quantiles for side in sides):
            medians = (figure(side.dtype, side.quantiles.get("0.5")) if side else "-" for side in sides)
            rows.append((name, "median", *medians))
    told = (
        f"Of {len(movement)} versions, oldest first."
        if len(movement) <= _COMPARED
        else (f"Of the newest {_COMPARED} of {len(movement)} versions, oldest first.")
    )
    drawn = [plot for name in names[:_PLOTTED] for plot in _median(name, found)]
    yield CardSection(
        "Movement", (told,), (table(("column", "what", *(label for label, _ in few)), rows),), tuple(drawn)
    )


def _median(name: str, found: Sequence[tuple[str, Mapping[str, ColumnFigures]]]) -> Iterator[plots.CardPlot]:
    known = [(label, columns[name]) for label, columns in found if name in columns]
    points = [(label, one.quantiles["0.5"]) for label, one in known if one.dtype not in _TIMES and one.quantiles]
    if len(points) > 1:
        yield plots.course(points, f"The median of {name} by version", "version", f"median of {name}")


def _expectations(versions: Sequence[ViewVersion]) -> Iterator[CardSection]:
    """What came of each, newest version first."""
    shown = [one for one in versions[:_COMPARED] if one.findings]
    if not shown:
        return
    told = [by_check(one.findings) for one in shown]
    names = list(dict.fromkeys(name for one in told for name in one))
    rows = [(name, *(verdict(found[name]) if name in found else "-" for found in told)) for name in names]
    observed = [(name, told[0][name].get("observed", "")) for name in names if name in told[0]]
    history = table(("check", *(f"version {one.label}" for one in shown)), rows)
    yield CardSection("Expectations", (), (table(("check", "observed in the newest of them"), observed), history))


def _versions(versions: Sequence[ViewVersion]) -> Iterator[CardSection]:
    rows = [
        (
            f"{one.state.version}{', as readers have it' if one.current else ''}",
            one.state.name,
            f"{second(one.state.published)} UTC",
            short(one.state.commit),
            one.cause or "-",
            f"{one.state.rows:,}",
            change(one),
            "-" if one.seconds is None else lasting(one.seconds),
        )
        for one in versions
    ]
    if rows:
        heads = ("version", "build", "published", "commit", "cause", "rows", "change", "took")
        yield CardSection("Versions", (), (table(heads, rows),))
