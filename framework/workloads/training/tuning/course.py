"""The order of a search: which trial comes next, and what became of each. It knows neither Ray nor how a trial is
fitted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from framework.workloads.training.tuning.algorithms import Algorithm
from framework.workloads.training.tuning.journal import TrialJournal, TrialNote


class TrialOrder(NamedTuple):
    """What a trial is to do: fit with ``values`` by key. ``until`` is after how many rounds it ends, None for all;
    ``after`` the trial whose model it goes on from."""

    values: dict[str, Any]
    until: int | None = None
    after: int | None = None


class TrialOutcome(NamedTuple):
    """What a trial came to: ``value`` of the metric, None where it failed, and by how much each bound is missed."""

    value: float | None
    missed: tuple[float, ...] = ()


class Choosing(Protocol):
    """Says what to try next; ``total`` is how many trials there are in all."""

    total: int

    def ask(self) -> TrialOrder | None:
        """None: not before others are over."""
        ...

    def tell(self, number: int, outcome: TrialOutcome) -> None: ...


class OneByOne:
    """Trials that have nothing to do with each other's models."""

    def __init__(self, algorithm: Algorithm, total: int) -> None:
        self._algorithm, self.total = algorithm, total

    def ask(self) -> TrialOrder:
        return TrialOrder(self._algorithm.ask())

    def tell(self, number: int, outcome: TrialOutcome) -> None:
        self._algorithm.tell(number, *outcome)


class SearchCourse:
    """Trials by number. Those that an earlier attempt finished are known: they are given out as well, so that whoever
    stops hopeless ones knows what they came to, but nothing is fitted for them."""

    def __init__(
        self,
        choosing: Choosing,
        journal: TrialJournal,
        concurrency: int,
        outcome: Callable[[Sequence[Mapping[str, Any]]], TrialOutcome],
        clock: Callable[[], float],
    ) -> None:
        self._choosing, self._journal, self._concurrency = choosing, journal, concurrency
        self._outcome, self._clock = outcome, clock
        self._asked: list[TrialOrder] = []
        self._given = 0
        self._running: set[int] = set()
        self.reports: dict[int, list[dict[str, Any]]] = {}
        self.errors: dict[int, str] = {}
        self.known: dict[int, TrialNote] = {}
        self._take_up(journal.notes())
        self.before = max((note.elapsed for note in self.known.values()), default=0.0)
        self._began = clock()

    def _take_up(self, notes: Sequence[TrialNote]) -> None:
        """Choose and tell as it was done before. What followed from a trial that is to be tried again is forgotten."""
        for at, note in enumerate(notes):
            while len(self._asked) < note.asked and self._ask():
                pass
            if len(self._asked) < note.asked:
                self._journal.forget(notes[at:])
                return
            # What is chosen again is what was chosen before, unless a library has changed; the note is right.
            self._asked[note.number] = self._asked[note.number]._replace(values=note.parameters)
            self._choosing.tell(note.number, self._ended(note.reports, note.error))
            self.known[note.number] = note

    @property
    def total(self) -> int:
        return self._choosing.total

    def next(self) -> tuple[int, TrialOrder] | None:
        """The number of the next trial, and what it is to do; None: not now, or none is left."""
        if not self.open or len(self._running) >= self._concurrency:
            return None
        if self._given == len(self._asked) and not self._ask():
            return None
        number, self._given = self._given, self._given + 1
        self._running.add(number)
        self.reports[number] = []
        return number, self._asked[number]

    @property
    def open(self) -> bool:
        """Whether there may be another."""
        return self._given < self.total

    def _ask(self) -> bool:
        asked = self._choosing.ask()
        if asked is not None:
            self._asked.append(asked)
        return asked is not None

    def reported(self, number: int, report: Mapping[str, Any]) -> None:
        self.reports[number].append(dict(report))

    def over(self, number: int, error: str | None = None, *, again: bool = False) -> None:
        """A trial is over, or has failed; ``again``: another attempt of the run would try it once more."""
        self._running.discard(number)
        if error is not None:
            self.errors[number] = error
        if number in self.known:
            return
        reports = self.reports[number]
        self._choosing.tell(number, self._ended(reports, error))
        if not again:
            elapsed = self.before + self._clock() - self._began
            asked = self._asked[number]
            note = TrialNote(number, asked.values, reports, error, len(self.known), len(self._asked), elapsed)
            self.known[number] = note
            self._journal.add(note)

    def _ended(self, reports: Sequence[Mapping[str, Any]], error: str | None) -> TrialOutcome:
        return TrialOutcome(None) if error is not None or not reports else self._outcome(reports)

    def trials(self) -> list[dict[str, Any]]:
        """Every trial that was begun, for the record; of those that are known and were not given out, too."""
        return [self._record(number) for number in sorted({*self.reports, *self.known})]

    def _record(self, number: int) -> dict[str, Any]:
        note = self.known.get(number)
        reports = note.reports if note is not None else self.reports[number]
        asked, last = self._asked[number], dict(reports[-1]) if reports else {}
        return {
            "number": number,
            "parameters": json.loads(json.dumps(asked.values)),
            **({"after": asked.after} if asked.until is not None else {}),
            "rounds": int(last.pop("rounds", 0)),
            "reports": len(reports),
            **last,
            "error": note.error if note is not None else self.errors.get(number),
        }
