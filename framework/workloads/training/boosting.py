"""What an installed library of boosted trees says of parameters before a run: of each value by itself, and of all of
them together.

It is asked as the trainer asks it, with a few rows of its own. What names files or machines never reaches it, and
neither do lists by column, which some versions die of: those are a matter of rules that need no library.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from framework.api import spaces
from framework.api.tasks import Task
from framework.workloads.examining import Mistake

LARGEST = 2**31 - 1
CLASSES = 3
"""Of the rows that a library is asked with, where there are several."""

BOUNDS = {">": "more than", ">=": "at least", "<": "less than", "<=": "at most"}


class GivenValue(NamedTuple):
    """A value of a parameter, and where a spec has it."""

    path: str
    name: str
    value: Any


@dataclass(frozen=True)
class BoostingLibrary(ABC):
    """A library, asked as for a task: what an objective needs of the label follows from it. None: what the task is, the
    values of the label decide."""

    task: Task | None = None

    title: ClassVar[str]
    trainer: ClassVar[str]
    """Its field of ``spec.trainer``."""
    derived: ClassVar[Mapping[str, str]]
    """What the trainer refuses, whatever its value is: no matter for the library."""
    unasked: ClassVar[frozenset[str]]
    """What never reaches the library."""
    words: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The words of a parameter that takes words, where the library would ignore others."""
    listed: ClassVar[frozenset[str]] = frozenset()
    """Those of them that take several, with commas between."""

    @abstractmethod
    def said(self, params: Mapping[str, Any], *, fits: bool) -> str | None:
        """Why the library refuses ``params``, None where it does not. Silent, whatever they ask for."""

    @abstractmethod
    def unwritable(self, value: Any) -> str | None:
        """What the library would read otherwise than it stands there."""

    @abstractmethod
    def kind(self, message: str) -> str | None:
        """What a value must be, by what the library says of one that is something else."""

    @abstractmethod
    def bound(self, message: str) -> str | None:
        """Between what a value must lie, likewise."""

    def idle(self, params: Mapping[str, Any]) -> frozenset[str]:
        """Those of ``params`` that have no effect beside the others, as far as the library tells."""
        return frozenset()

    def belongs(self, name: str) -> str:
        """What a parameter without effect would have one with."""
        return "what it belongs to"

    # -- a whole spec --------------------------------------------------------------------------------------------------

    def look(self, form: Mapping[str, Any], search: Mapping[str, Any]) -> Iterator[Mistake]:
        """Mistakes of a trainer's parameters and of those that a search would set: every choice, both ends of a
        range."""
        params = [
            GivenValue(f'spec.trainer.{self.trainer}.params["{name}"]', name, value)
            for name, value in (form.get("params") or {}).items()
            if self._asked(name, value)
        ]
        asked = {name: space for name, space in search.items() if name not in self.derived and not space.get("search")}
        ends = {name: list(self._ends(name, space)) for name, space in asked.items()}
        found = [*self._each(params), *(mistake for values in ends.values() for mistake in self._each(values))]
        yield from found or self._together(params, ends, asked)

    def _asked(self, name: str, value: Any) -> bool:
        return value is not None and name not in self.derived

    def _ends(self, name: str, space: Mapping[str, Any]) -> Iterator[GivenValue]:
        path = f'spec.tune.search["{name}"]'
        for place, value in spaces.ends(space):
            if self._asked(name, value):
                yield GivenValue(f"{path}.{place}", name, value)

    # -- each by itself ------------------------------------------------------------------------------------------------

    def _each(self, values: list[GivenValue]) -> Iterator[Mistake]:
        seen = set[str]()
        for given in values:
            mistake = self._by_itself(given)
            if mistake is not None and mistake.message not in seen:
                seen.add(mistake.message)
                yield mistake

    def _by_itself(self, given: GivenValue) -> Mistake | None:
        name, value = given.name, given.value
        parts = value if isinstance(value, list | tuple) else [value]
        words = self.words.get(name, ())
        for part in parts if words else ():
            for word in str(part).split(",") if name in self.listed else [str(part)]:
                if word not in words:
                    return Mistake(given.path, f"{self.title} has no {name} {word!r}", words, word)
        if name in self.unasked:
            return None
        wrong = next((told for part in parts if (told := self._unwritable(part)) is not None), None)
        if wrong is not None:
            return Mistake(given.path, f"{name} {wrong}, found {value!r}")
        told = self.said({name: value}, fits=False)
        return None if told is None else self._told(given, told)

    def _unwritable(self, value: Any) -> str | None:
        match value:
            case bool():
                return None
            case int():
                return None if abs(value) <= LARGEST else f"must be a number between -{LARGEST} and {LARGEST}"
            case float():
                return None if math.isfinite(value) else "must be a finite number"
            case _:
                return self.unwritable(value)

    def _told(self, given: GivenValue, message: str) -> Mistake:
        bound = self.bound(message)
        if bound is not None:
            return Mistake(given.path, f"{given.name} must be {bound}, found {given.value!r}")
        kind = self.kind(message)
        if kind is None:
            return Mistake(given.path, f"{self.title} refuses {given.name}: {given.value!r}: {message}")
        place, _, form = given.path.rpartition("[")[0].rpartition(".")
        fractions = spaces.DISTRIBUTIONS.get(form)
        if fractions is not None and not fractions.whole and kind == "a whole number":
            told = f"{given.name} must be {kind}, and {form} draws fractions: write {fractions.counterpart}, or choice"
            return Mistake(f"{place}.{form}", told)
        return Mistake(given.path, f"{given.name} must be {kind}, found {given.value!r}")

    # -- all of them ---------------------------------------------------------------------------------------------------

    def _together(
        self, params: list[GivenValue], ends: Mapping[str, list[GivenValue]], search: Mapping[str, Any]
    ) -> Iterator[Mistake]:
        """As the run would begin, and as each other value of the search would have it, with what makes it exist."""
        given = {one.name: one for one in params}
        try:
            among = spaces.parameters(search)
        except ValueError:
            return  # of its conditions, other rules tell

        def beside(fixed: Mapping[str, Any]) -> dict[str, GivenValue]:
            found = spaces.example(among, fixed).items()
            return given | {name: self._placed(name, one, ends[name]) for name, one in found if self._asked(name, one)}

        first = beside({})
        mistake = self._beside(first, list(first))
        if mistake is not None:
            yield mistake
            return
        rest = [one for name, values in ends.items() for one in values[1 if name in first else 0 :]]
        others = [(beside({one.name: one.value}), one.name) for one in rest]
        found = [mistake for values, name in others if (mistake := self._beside(values, [name])) is not None]
        yield from found or self._without_effect([first, *(values for values, _ in others)])

    def _placed(self, name: str, value: Any, ends: list[GivenValue]) -> GivenValue:
        """Of a value that is no end of a range the condition has it that names it."""
        at = next((one for one in ends if spaces.equal(one.value, value)), None)
        return GivenValue(f'spec.tune.search["{name}"]', name, value) if at is None else at

    def _beside(self, values: Mapping[str, GivenValue], blamed: list[str]) -> Mistake | None:
        """``blamed`` are those that the fault is looked for in: the first that all would be well without."""
        told = self.said(self._values(values), fits=True)
        if told is None:
            return None
        without = (
            name
            for name in blamed
            if self.said(self._values({key: given for key, given in values.items() if key != name}), fits=True) is None
        )
        name = next(without, blamed[0] if blamed else None)
        if name is None:
            return None  # the library refuses what it is asked without any parameter: that is no mistake of a spec
        value = values[name].value
        said = f"{self.title} refuses {name}: {value!r} beside the other parameters: {told}"
        return Mistake(values[name].path, said)

    def _without_effect(self, asked: list[dict[str, GivenValue]]) -> Iterator[Mistake]:
        """What none of the combinations that have it has a use for."""
        idle = [(values, self.idle(self._values(values))) for values in asked]
        for name, given in {name: given for values in reversed(asked) for name, given in values.items()}.items():
            if all(name in unused for values, unused in idle if name in values):
                told = f"{name} has no effect beside the other parameters: leave it out, or set {self.belongs(name)}"
                yield Mistake(re.sub(r"\.\w+\[\d+\]$", "", given.path), told)

    def _values(self, values: Mapping[str, GivenValue]) -> dict[str, Any]:
        return {name: given.value for name, given in values.items() if name not in self.unasked}
