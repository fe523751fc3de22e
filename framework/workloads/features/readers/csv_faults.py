"""What is wrong in the text of a CSV file, with the line where it stands."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import polars as pl

from framework.workloads.features.readers.csv_parts import CsvFile

_EXAMPLES = 3
_LONGEST_EXAMPLE = 40
_DECIMAL_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+$"


def records(part: CsvFile, options: Mapping[str, Any]) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of each row, the header included; lines count from 1, and a row is at the one where it begins.
    Blank lines are none. ``options`` are in Polars' words."""
    quote = options.get("quote_char", '"')
    signs: dict[str, Any] = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    comment = options.get("comment_prefix")
    csv.field_size_limit(2**31 - 1)
    with part.opened() as lines:
        skipped = list(islice(lines, options.get("skip_rows", 0)))
        rows = csv.reader(lines, delimiter=options.get("separator", ","), **signs)
        line = len(skipped)
        while True:
            begins = line + 1
            try:
                fields = next(rows, None)
            except csv.Error:
                return  # what the engine says of it has to do
            if fields is None:
                return
            line = len(skipped) + rows.line_num
            if fields and not (comment and fields[0].startswith(comment)):
                yield begins, fields


def ragged(part: CsvFile, options: Mapping[str, Any]) -> str:
    """The first row that has more or fewer fields than the first one; empty where none has."""
    rows = records(part, options)
    _, first = next(rows, (0, []))
    of = "the header" if options.get("has_header", True) else "the first row"
    for line, fields in rows:
        if len(fields) != len(first):
            held = f"{len(fields)} field{'s' if len(fields) != 1 else ''}"
            return f"{part.label} line {line} has {held}, and {of} has {len(first)}: {_cut(','.join(fields))!r}"
    return ""


def no_numbers(part: CsvFile, options: Mapping[str, Any], rows: pl.LazyFrame) -> Iterator[str]:
    """What keeps columns of text from being numbers that mostly hold some, as ``a.csv line 3, column 2 (x): 'n/a' is no
    number, unlike 498 of 499 values``. ``rows`` are those of the part."""
    texts = [column for column, dtype in rows.collect_schema().items() if dtype == pl.String]
    if not texts:
        return
    numbers = {column: pl.col(column).str.strip_chars().cast(pl.Float64, strict=False) for column in texts}
    odd = {
        column: pl.col(column).filter(pl.col(column).is_not_null() & number.is_null())
        for column, number in numbers.items()
    }
    asked = [
        *(pl.col(column).count().alias(f"all {column}") for column in texts),
        *(some.len().alias(f"odd {column}") for column, some in odd.items()),
        *(some.first().alias(f"one {column}") for column, some in odd.items()),
        *(some.str.contains(_DECIMAL_COMMA).sum().alias(f"comma {column}") for column, some in odd.items()),
    ]
    found = rows.select(asked).collect().row(0, named=True)
    for column in texts:
        count, strange, comma = (found[f"{word} {column}"] for word in ("all", "odd", "comma"))
        if not strange or (count - strange + comma) * 2 <= count:
            continue
        place = _place(part, options, rows.collect_schema().names().index(column), found[f"one {column}"])
        told = f"{part.label}{place} ({column}): {_cut(found[f'one {column}'])!r} is no number"
        if comma == strange:
            yield f"{told}; where a comma is the decimal sign, say options: {{decimalComma: true}}"
        else:
            yield f"{told}, unlike {count - strange:,} of {count:,} values"


def _place(part: CsvFile, options: Mapping[str, Any], index: int, value: str) -> str:
    same = (line for line, fields in records(part, options) if len(fields) > index and fields[index] == value)
    line = next(same, None)
    return f", column {index + 1}" if line is None else f" line {line}, column {index + 1}"


def unreachable(column: str) -> pl.Expr:
    """The values of a column of text that a float makes infinity or nothing of. Only an exponent, or hundreds of
    digits, lead there."""
    text = pl.col(column).str.strip_chars()
    likely = pl.col(column).filter(text.str.contains(r"[eE]|.{300}"))
    value, bare = likely.str.strip_chars().cast(pl.Float64, strict=False), likely.str.replace(r"[eE].*", "")
    vanishes = (value == 0) & bare.str.contains("[1-9]")
    return likely.filter(((value.is_infinite() & bare.str.contains("[0-9]")) | vanishes).fill_null(False))


def examples(some: Sequence[str]) -> str:
    """A few different ones."""
    return ", ".join(map(repr, map(_cut, list(dict.fromkeys(some))[:_EXAMPLES])))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_EXAMPLE else f"{text[:_LONGEST_EXAMPLE]}…"
