"""What is in a view's columns: of one version, in what two differ, and after each step of its computation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from framework.api.credentials import redacted_value
from framework.figures import ColumnFigures, ColumnMoved, RowsMoved, TransformStep, TransformSteps
from framework.planning.reports.features import ProfiledVersion, ViewDifference
from framework.render.canonical import document, plain_value
from framework.render.diffs import ADDED, CHANGED, REMOVED, flow
from framework.render.features import FORMAT, version_facts
from framework.render.figures import distinct, figure, figure_lines, moment_or_number, share
from framework.render.terminal import (
    DEFAULT_WIDTH,
    Line,
    Span,
    headings,
    one_line,
    paragraph,
    shortened,
    table,
    text_of,
)
from framework.render.wording import count

_INDENT = " " * 6
_LONGEST_NAME = 40
MOVED = 0.1
"""From here on a population stability index is called a drift, where it is beyond chance: the usual threshold."""


# ------------------------------------------------------------------- of one version


def profile_text(view: str, found: ProfiledVersion, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    state = found.version.state
    told = f"{view}, version {state.version} (build {state.name}): {count(state.rows, 'row')}"
    lines: list[Line] = paragraph(told, width=width, style="bold")
    if not found.figures:
        lines += paragraph("Its profile has no columns: keys and event times are not profiled.", width=width)
        return text_of(lines, colour=colour)
    return text_of([*lines, *table(figure_lines(found.figures), width, indent=_INDENT)], colour=colour)


def profile_json(view: str, found: ProfiledVersion, file: str | None) -> str:
    """``file`` is where the whylogs profile was written."""
    facts = version_facts(found.version)
    return document({"format": FORMAT, "view": view, "version": facts, "figures": list(found.figures), "file": file})


# ------------------------------------------------------------------- after each step


def steps_text(view: str, found: TransformSteps, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """After every step its rows, what became of their number, and its columns."""
    lines: list[Line] = []
    for number, step in enumerate(found.steps, start=1):
        lines += [*([()] if lines else []), *_step(number, step, found.before(step), width)]
    if found.trouble:
        lines += [*([()] if lines else []), *paragraph(one_line(found.trouble), width=width, style=REMOVED)]
    return text_of(lines, colour=colour) if lines else f"{view} has no steps.\n"


def _step(number: int, step: TransformStep, before: TransformStep | None, width: int) -> Iterator[Line]:
    sizes = f"{count(step.rows, 'row')}, {count(len(step.columns), 'column')}"
    yield from paragraph(f"{number}. {one_line(step.name)} ({step.what}): {sizes}", width=width, style="bold")
    for sentence in lost(step, before):
        yield from paragraph(sentence, width=width, indent="  ", style=CHANGED)
    if step.columns:
        yield from table(figure_lines(step.columns), width, indent=_INDENT)


def lost(step: TransformStep, before: TransformStep | None) -> Iterator[str]:
    """Where rows or values went, beside the step before; and which columns hold no value at all."""
    if before is not None and step.rows != before.rows:
        more = step.rows - before.rows
        yield f"{count(abs(more), 'row')} {'more' if more > 0 else 'fewer'} than after {before.name}"
    known = {one.name: one for one in before.columns} if before is not None else {}
    for one in step.columns:
        old = known.get(one.name)
        if old is not None and one.nulls > old.nulls:
            yield f"{one.name}: {one.nulls - old.nulls:,} more values are missing"
        if one.rows and one.nulls == one.rows and (old is None or old.nulls < old.rows):
            yield f"{one.name} has no value at all"
        if one.distinct == 1 and not one.nulls and one.rows > 1 and old is not None and (old.distinct or 0) > 1:
            yield f"{one.name} is the same in every row now"


def steps_json(view: str, found: TransformSteps) -> str:
    steps = [{**_plain(step), "told": list(lost(step, found.before(step)))} for step in found.steps]
    return document({"format": FORMAT, "view": view, "steps": steps, "trouble": found.trouble or None})


def _plain(value: Any) -> dict[str, Any]:
    found = plain_value(value)
    assert isinstance(found, dict)
    return found


# ------------------------------------------------------------------- two of them


def difference_text(found: ViewDifference, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Columns, rows, values and expectations, as far as they differ."""
    one, other = found.before.state, found.after.state
    title = f"{found.view}: version {one.version} (build {one.name}) -> version {other.version} (build {other.name})"
    lines: list[Line] = paragraph(title, width=width, style="bold")
    told = f"{one.rows:,} rows -> {other.rows:,} rows"
    lines += paragraph(told, width=width, indent="  ")
    if equal(found):
        return text_of([*lines, *paragraph("They hold the same.", width=width, indent="  ")], colour=colour)
    for name, tables in (("Columns", _columns(found)), ("Values", _values(found.moved.columns)),
                         ("Expectations", _expectations(found))):  # fmt: skip
        if len(tables) > 1:
            lines += [(), (Span(name, "bold"),), *table(tables, width, indent=_INDENT)]
    lines += [(), (Span("Rows", "bold"),), *_rows(found, width)]
    return text_of(lines, colour=colour)


def equal(found: ViewDifference) -> bool:
    rows = found.moved.rows
    moved = rows is None or rows.added or rows.removed or rows.changed
    return not (moved or found.columns or found.expectations)


def _columns(found: ViewDifference) -> list[Line]:
    rows = []
    for name, before, after in found.columns:
        word, style = (
            ("added", ADDED) if before is None else ("gone", REMOVED) if after is None else ("retyped", CHANGED)
        )
        rows.append((Span(f"  {_name(name)}"), Span(before or "-"), Span(after or "-"), Span(word, style)))
    return [headings("  NAME", "BEFORE", "AFTER", ""), *rows]


def _values(columns: Sequence[ColumnMoved]) -> list[Line]:
    heads = headings("  COLUMN", "MISSING", "DISTINCT", "MEAN", "5 %", "MEDIAN", "95 %", "DRIFT", "")
    return [heads, *(_value(one) for one in columns if one.before != one.after)]


def _value(one: ColumnMoved) -> Line:
    pair = one.before, one.after
    cells = [
        _both(*(share(side.missing) if side else "-" for side in pair)),
        _both(*("-" if side is None else distinct(side) for side in pair)),
        _both(*("-" if side is None else moment_or_number(side.dtype, side.mean) for side in pair)),
        *(_both(*(_rank(side, rank) for side in pair)) for rank in ("0.05", "0.5", "0.95")),
    ]
    return (Span(f"  {_name(one.name)}"), *map(Span, cells), Span(*drift(one)), Span(_categories(one)))


def _rank(side: ColumnFigures | None, rank: str) -> str:
    return "-" if side is None else figure(side.dtype, side.quantiles.get(rank))


def _both(before: str, after: str) -> str:
    return before if before == after else f"{before} -> {after}"


def drift(one: ColumnMoved) -> tuple[str, str]:
    """The population stability index, and a style: where it is large and beyond chance it counts as a drift."""
    if one.drift is None:
        return "-", ""
    beyond = one.drift > max(MOVED, one.chance or 0.0)
    return f"{one.drift:.3f}", CHANGED if beyond else ""


def _categories(one: ColumnMoved) -> str:
    few = {"new": one.appeared, "gone": one.vanished}
    return "; ".join(f"{word}: {', '.join(map(one_line, names))}" for word, names in few.items() if names)


def _expectations(found: ViewDifference) -> list[Line]:
    rows = [
        (Span(f"  {_name(name)}"), Span(one_line(before or "-")), Span(one_line(after or "-")))
        for name, before, after in found.expectations
        if _verdict(before) != _verdict(after)  # numbers differ more often than what they mean
    ]
    return [headings("  CHECK", "BEFORE", "AFTER"), *rows]


def _verdict(told: str | None) -> str:
    return (told or "").partition(":")[0]


def _rows(found: ViewDifference, width: int) -> Iterator[Line]:
    rows = found.moved.rows
    if rows is None:
        yield from paragraph(found.moved.unmatched, width=width, indent="  ")
        return
    told = f"by {', '.join(rows.keys)}: {rows.added:,} added, {rows.removed:,} removed, {rows.changed:,} changed, "
    yield from paragraph(f"{told}{rows.same:,} the same", width=width, indent="  ")
    for word, style in (("added", ADDED), ("removed", REMOVED), ("changed", CHANGED)):
        for example in rows.examples.get(word, ()):
            yield from paragraph(f"{word}: {_example(example)}", width=width, indent="    ", style=style)


def _example(example: Mapping[str, Any]) -> str:
    """``carrier AA, hour ...`` and, of a changed row, ``delay 1.5 -> 2.5``."""
    known = redacted_value(plain_value(example))
    key = known.get("key", known) if "moved" in known else known
    told = ", ".join(f"{name} {_plainly(value)}" for name, value in key.items())
    if "moved" not in known:
        return told
    moved = (f"{name} {_plainly(one['before'])} -> {_plainly(one['after'])}" for name, one in known["moved"].items())
    return f"{told}: {', '.join(moved)}"


def _plainly(value: Any) -> str:
    return one_line(value if isinstance(value, str) else flow(value))


def _name(text: str) -> str:
    return shortened(one_line(text), _LONGEST_NAME)


def difference_json(found: ViewDifference) -> str:
    return document(
        {
            "format": FORMAT,
            "view": found.view,
            "before": version_facts(found.before),
            "after": version_facts(found.after),
            "equal": equal(found),
            "columns": [{"name": name, "before": old, "after": new} for name, old, new in found.columns],
            "rows": _moved(found.moved.rows),
            "unmatched": found.moved.unmatched or None,
            "values": list(found.moved.columns),
            "expectations": [{"name": name, "before": old, "after": new} for name, old, new in found.expectations],
        }
    )


def _moved(rows: RowsMoved | None) -> dict[str, Any] | None:
    return None if rows is None else _plain(rows)
