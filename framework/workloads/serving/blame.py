"""Whose mistake it is that a transformer failed, or made what the model cannot take. Plain Python.

A caller answers for the fields of the request, and the model's inputs may have other names. So the transformer is
asked: with which field changed does the row pass? Where a value of another kind would (a number in the place of text,
anything in the place of nothing), the caller sent the wrong one. Where another number would, any number may come, and
the version has failed: a division by zero is not the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from framework.workloads.models import check_rows, kind_of, required, shown
from framework.workloads.temporal import EXAMPLES

MAX_ROWS = 5
"""Rows of one request that are looked into."""
MAX_TRIES = 300
"""Calls of the transformer with one row, to find out about one request."""
MAX_SECONDS = 0.25
"""And how long they may take: the caller waits for the answer."""
_KNOWN_VALUES = 3
_STAND_INS = (1, 1.5, "x", "1", "2000-01-01", True)
"""Tried in the place of a value, one of each kind; after those that the field has in rows that are known to pass."""

Row = dict[str, Any]
Transform = Callable[[list[Row]], Iterable[Any]]


class _Watched(Row):
    """A row that notes what is looked up in it."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        super().__init__(row)
        self.read: list[str] = []
        self.absent: list[str] = []

    def __getitem__(self, name: str) -> Any:
        self._note(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self._note(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        self._note(name)
        return super().pop(name, *default)

    def _note(self, name: str) -> None:
        (self.read if name in self else self.absent).append(name)


@dataclass(frozen=True)
class _Outcome:
    """What became of one row: ``unfit`` are the columns of the signature that do not fit, ``error`` what was raised."""

    made: Mapping[str, Any]
    unfit: tuple[Mapping[str, Any], ...] = ()
    error: Exception | None = None
    read: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def passes(self) -> bool:
        return self.error is None and not self.unfit

    @property
    def key(self) -> Any:
        """What was looked up and not found, where that ended it."""
        return self.error.args[0] if isinstance(self.error, KeyError) and self.error.args else None

    def further_than(self, other: _Outcome) -> bool:
        """Whether the transformer came further with this row."""
        if self.error is None:
            return other.error is not None or len(self.unfit) < len(other.unfit)
        return other.error is not None and len(self.read + self.absent) > len(other.read + other.absent)


@dataclass(frozen=True)
class _Step:
    """Another value for one field, and what becomes of the row with it. ``dtype``: the model's input is that field."""

    field: str
    value: Any
    then: _Outcome
    dtype: str = ""


class _SpentError(Exception):
    """The transformer was called often and long enough."""


class Blame:
    """For one request. ``known`` are rows that pass, as far as there are any."""

    def __init__(
        self, signature: Mapping[str, Any], transform: Transform, known: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        self._signature = signature
        self._transform = transform
        self._known = known
        self._tries = 0
        self._deadline = time.monotonic() + MAX_SECONDS

    def raised(self, rows: Sequence[Row]) -> list[str]:
        """The caller's mistakes that explain why the transformer raises on ``rows``, one sentence each; empty where it
        is the version's failure."""
        index = self._failing(rows)
        return [] if index is None else self._explained(rows[index], index)

    def unfit(self, rows: Sequence[Row], made: Sequence[Any]) -> list[str]:
        """The same for rows of which the transformer made what the model cannot take."""
        wrong = (index for index, new in enumerate(made) if check_rows([new], self._signature))
        return [problem for index in islice(wrong, MAX_ROWS) for problem in self._explained(rows[index], index)]

    def _failing(self, rows: Sequence[Row]) -> int | None:
        """The first row that the transformer fails on, found by halves; None where it fails on none alone."""
        low, high = 0, len(rows)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._raises(rows[low:middle]) else (middle, high)
        return low if self._raises(rows[low:high]) else None

    def _raises(self, rows: Sequence[Row]) -> bool:
        try:
            list(self._transform([dict(row) for row in rows]))
        except Exception:
            return True
        return False

    def _explained(self, row: Row, index: int) -> list[str]:
        """Change field after field until the row passes, or nothing brings it further."""
        changed: Row = dict(row)
        copied: dict[str, str] = {}
        others: dict[str, str] = {}
        try:
            outcome = self._run(changed)
            while not outcome.passes and (step := self._step(changed, outcome)) is not None:
                (copied if step.dtype else others).setdefault(step.field, _sentence(row, step, index))
                changed[step.field], outcome = step.value, step.then
        except _SpentError:
            return list(copied.values())
        # A value that went into the model as it came is the caller's whatever else is wrong.
        return list({**others, **copied}.values()) if outcome.passes else list(copied.values())

    def _step(self, row: Row, outcome: _Outcome) -> _Step | None:
        if outcome.error is None:
            step = next(filter(None, (self._copied(row, outcome, column) for column in outcome.unfit)), None)
            return step or self._of_another_kind(row, outcome, (*row, *outcome.absent))
        step = self._absent(row, outcome) if isinstance(outcome.key, str) and outcome.key not in row else None
        return step or self._of_another_kind(row, outcome, (*reversed(outcome.read), *outcome.absent, *row))

    def _copied(self, row: Row, outcome: _Outcome, column: Mapping[str, Any]) -> _Step | None:
        """A field whose value, or whose absence, is that of an input that does not fit."""
        name, bad = column["name"], outcome.made.get(column["name"])
        if bad is None:
            sources = [*outcome.absent, *(field for field, value in row.items() if value is None)]
            sources += [] if name in row else [name]
        else:
            sources = [field for field, value in row.items() if _same(value, bad)]
        for field in sorted(dict.fromkeys(sources), key=lambda field: (field not in row, field != name)):
            for value in self._replacements(row, field, column):
                then = self._run({**row, field: value})
                if then.error is None and column not in then.unfit:
                    return _Step(field, value, then, column["dtype"])
        return None

    def _absent(self, row: Row, outcome: _Outcome) -> _Step | None:
        """The field that the transformer looked up in the row in vain, if it was there that it looked."""
        tried = [(value, self._run({**row, outcome.key: value})) for value in self._replacements(row, outcome.key)]
        helps = [(value, then) for value, then in tried if then.key != outcome.key]
        best = next((pair for pair in helps if pair[1].error is None), next(iter(helps), None))
        return None if best is None else _Step(outcome.key, *best)

    def _of_another_kind(self, row: Row, outcome: _Outcome, suspects: Iterable[str]) -> _Step | None:
        """The first field with which the row comes further, where no other number would do as well."""
        for field in dict.fromkeys(suspects):
            tried = [(value, self._run({**row, field: value})) for value in self._replacements(row, field)]
            helps = [(value, then) for value, then in tried if then.further_than(outcome)]
            if helps and not any(_both_numbers(value, row.get(field)) for value, _ in helps):
                return _Step(field, *helps[0])
        return None

    def _replacements(self, row: Row, field: str, column: Mapping[str, Any] | None = None) -> list[Any]:
        """Other values for a field, those first that are known to be good."""
        known = (known[field] for known in self._known if known.get(field) is not None)
        values = [*islice(known, _KNOWN_VALUES), *([_fitting(column)] if column else []), *_STAND_INS]
        return [value for value in values if field not in row or not _same(value, row[field])]

    def _run(self, row: Row) -> _Outcome:
        self._tries += 1
        if self._tries > MAX_TRIES or time.monotonic() > self._deadline:
            raise _SpentError
        watched = _Watched(row)
        try:
            (new,) = self._transform([watched])
            made, error = dict(new), None
        except Exception as caught:
            made, error = {}, caught
        outcome = _Outcome(made, (), error, tuple(watched.read), tuple(watched.absent))
        if error is not None:
            return outcome
        columns = self._signature["inputs"]
        return replace(outcome, unfit=tuple(column for column in columns if check_rows([made], {"inputs": [column]})))


def _sentence(row: Row, step: _Step, index: int) -> str:
    where, dtype = f"instances[{index}].{step.field}", step.dtype
    if row.get(step.field) is None:
        return f"{where} is {'null' if step.field in row else 'missing'}" + (f"; {dtype} is required" if dtype else "")
    found, wanted = kind_of(row[step.field]), required(dtype) or f"a {kind_of(step.value)}"
    told = f"found {found} {shown(row[step.field])}"
    return f"{where} cannot be used, {told}" if wanted == f"a {found}" else f"{where} must be {wanted}, {told}"


def _fitting(column: Mapping[str, Any]) -> Any:
    if column["dtype"] == "String":
        return next(iter(column.get("categories", ())), "x")
    if column["dtype"] in EXAMPLES:
        return EXAMPLES[column["dtype"]]
    return True if column["dtype"] == "Boolean" else 1


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _both_numbers(one: Any, other: Any) -> bool:
    """Of the same form: where a fraction came, only another fraction shows that any number may."""
    return type(one) is type(other) and type(one) in (int, float)
