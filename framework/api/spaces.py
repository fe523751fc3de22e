"""What a search draws from: the distributions, with the names of Ray Tune, and which parameters exist beside which
others. Pure, because the specs that declare a space, the rules that look at it and the search that draws from it have
to mean the same.

A space is read in its JSON form: ``{"num_leaves": {"randint": [8, 64], "when": {"boosting": ["gbdt"]}}}``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

Space = Mapping[str, Any]
"""Of one parameter, in its JSON form."""
LARGEST = 2**53
"""Beyond it not every whole number has a double of its own."""
CHOICE, NESTED, WHEN = "choice", "search", "when"


@dataclass(frozen=True)
class Distribution:
    """``log``: every order of magnitude alike. ``whole``: whole numbers. ``stepped``: multiples of a third number, with
    both bounds among what is drawn; without it the upper bound of whole numbers is left out. ``counterpart`` is the
    one that draws whole numbers likewise."""

    log: bool = False
    whole: bool = False
    stepped: bool = False
    counterpart: str = ""


DISTRIBUTIONS: Mapping[str, Distribution] = {
    "uniform": Distribution(counterpart="randint"),
    "quniform": Distribution(stepped=True, counterpart="qrandint"),
    "loguniform": Distribution(log=True, counterpart="lograndint"),
    "qloguniform": Distribution(log=True, stepped=True, counterpart="qlograndint"),
    "randint": Distribution(whole=True),
    "qrandint": Distribution(whole=True, stepped=True),
    "lograndint": Distribution(log=True, whole=True),
    "qlograndint": Distribution(log=True, whole=True, stepped=True),
}
"""Ranges of numbers. Beside them there is ``choice``, one of a list."""


@dataclass(frozen=True)
class Between:
    """Any number between two."""

    low: float
    high: float
    log: bool

    def holds(self, value: Any) -> bool:
        return _is_number(value) and bool(self.low <= value <= self.high)


@dataclass(frozen=True)
class Steps:
    """``first`` to ``last``, both among them, each times ``size``."""

    first: int
    last: int
    log: bool
    size: float

    def value(self, step: int) -> float:
        """A whole number where ``size`` is one. Of 0.1 three times is 0.3 and not what doubles make of it."""
        found = step * self.size
        return found if isinstance(self.size, int) else float(f"{found:.12g}")

    def step(self, value: float) -> int:
        """The nearest to a number."""
        return min(max(round(value / self.size), self.first), self.last)

    def holds(self, value: Any) -> bool:
        return _is_number(value) and self.value(self.step(value)) == value


@dataclass(frozen=True)
class Options:
    """One of a list, which need not be numbers."""

    values: tuple[Any, ...]

    def holds(self, value: Any) -> bool:
        return any(equal(one, value) for one in self.values)


Domain = Between | Steps | Options


def domain(space: Space) -> Domain:
    """What a space without ``search`` draws from.

    Raises:
        ValueError: bounds that nothing lies between.
    """
    name, given = form(space)
    if name == CHOICE:
        return Options(tuple(given))
    kind = DISTRIBUTIONS[name]
    low, high, *rest = given
    size = rest[0] if rest else 1
    if not all(math.isfinite(one) and abs(one) <= LARGEST for one in given):
        raise ValueError(f"{name}: bounds are numbers between -2**53 and 2**53")
    if low >= high:
        raise ValueError(f"{name}: the lower bound must be below the upper")
    if kind.log and low <= 0:
        raise ValueError(f"{name} needs positive bounds")
    if not kind.whole and not kind.stepped:
        return Between(low, high, kind.log)
    if size <= 0:
        raise ValueError(f"{name}: a step is above 0, found {size:g}")
    if size > high - low and not math.isclose(size, high - low, rel_tol=1e-9):
        raise ValueError(f"{name}: a step of {size:g} is larger than the range from {low:g} to {high:g}")
    first, last = _inside(low / size, math.ceil), _inside(high / size, math.floor)
    last -= 0 if kind.stepped else 1
    if last < first + (1 if kind.stepped else 0):
        raise ValueError(f"{name}: between {low:g} and {high:g} lie no two multiples of {size:g}")
    return Steps(first, last, kind.log, int(size) if kind.whole else float(size))


def _inside(ratio: float, rounded: Callable[[float], int]) -> int:
    """0.3 / 0.1 is 2.9999999999999996."""
    nearest = round(ratio)
    return nearest if math.isclose(ratio, nearest, rel_tol=1e-9) else rounded(ratio)


def form(space: Space) -> tuple[str, Any]:
    """The one of ``choice``, ``search`` and the distributions that is set."""
    return next((name, given) for name, given in space.items() if given is not None and name != WHEN)


def ends(space: Space) -> Iterator[tuple[str, Any]]:
    """Values that are drawn, with the place below the space that has them: every choice, both ends of a range. A range
    of numbers gives fractions, also where its ends are written without."""
    name, _ = form(space)
    found = domain(space)
    match found:
        case Options(values):
            yield from ((f"{CHOICE}[{place}]", value) for place, value in enumerate(values))
        case Steps():
            yield from ((f"{name}[{place}]", found.value(step)) for place, step in enumerate((found.first, found.last)))
        case Between(low, high):
            yield from ((f"{name}[{place}]", float(value)) for place, value in enumerate((low, high)))


def equal(one: Any, other: Any) -> bool:
    """``true`` is no 1, though Python has it so."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# -- parameters together ---------------------------------------------------------------------------------------------


class When(NamedTuple):
    """The parameter of that key has one of these values. ``place`` is where a spec has it, below ``tune.search``."""

    key: str
    values: tuple[Any, ...]
    place: str


class Parameter(NamedTuple):
    """``path`` is its name, below that of the mapping that it is in, and ``key`` the same in one word; ``place`` is
    where a spec has it, below ``tune.search``."""

    key: str
    path: tuple[str, ...]
    domain: Domain
    conditions: tuple[When, ...]
    place: str


def written(search: Mapping[str, Space]) -> tuple[Parameter, ...]:
    """Every parameter, by name: how a file or a JSON writer ordered them must decide nothing."""
    return tuple(_written(search, (), {}, (), ""))


def _written(
    search: Mapping[str, Space],
    above: tuple[str, ...],
    around: Mapping[str, str],
    conditions: tuple[When, ...],
    place: str,
) -> Iterator[Parameter]:
    known = {**around, **{name: ".".join((*above, name)) for name in search}}
    for name, space in sorted(search.items()):
        path, at = (*above, name), f'{place}["{name}"]'
        asked = tuple(
            When(known.get(other, other), tuple(values), f'{at}.{WHEN}["{other}"]')
            for other, values in (space.get(WHEN) or {}).items()
        )
        if space.get(NESTED) is not None:
            yield from _written(space[NESTED], path, known, (*conditions, *asked), f"{at}.{NESTED}")
        else:
            yield Parameter(known[name], path, domain(space), (*conditions, *asked), at)


def ordered(parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    """Each behind those that it depends on, and by name apart from that.

    Raises:
        ValueError: some depend on each other in a circle, or on what is not there; the message has their keys.
    """
    left, found = list(parameters), list[Parameter]()
    while left:
        known = {one.key for one in found}
        ready = next((one for one in left if all(each.key in known for each in one.conditions)), None)
        if ready is None:
            raise ValueError(", ".join(one.key for one in left))
        found.append(ready)
        left.remove(ready)
    return tuple(found)


def parameters(search: Mapping[str, Space]) -> tuple[Parameter, ...]:
    """As they are drawn: ``ordered``, and as it raises."""
    return ordered(written(search))


def exists(parameter: Parameter, values: Mapping[str, Any]) -> bool:
    """Whether a parameter does beside the ``values`` that were drawn before, by key."""
    return all(
        each.key in values and any(equal(one, values[each.key]) for one in each.values) for each in parameter.conditions
    )


def drawn(among: tuple[Parameter, ...], draw: Callable[[Parameter], Any]) -> dict[str, Any]:
    """A value by key of each parameter that exists beside the others."""
    values: dict[str, Any] = {}
    for parameter in among:
        if exists(parameter, values):
            values[parameter.key] = draw(parameter)
    return values


def example(among: tuple[Parameter, ...], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """One combination that has ``fixed``, with what makes these exist; all others are the first that they can be."""
    wanted, asked = dict(fixed), list(fixed)
    by_key = {one.key: one for one in among}
    for key in asked:
        for each in by_key[key].conditions:
            if each.key not in wanted:
                wanted[each.key] = each.values[0]
                asked.append(each.key)
    return drawn(among, lambda one: wanted.get(one.key, lowest(one.domain)))


def lowest(among: Domain) -> Any:
    """The first of a list, the lower end of a range."""
    match among:
        case Options(values):
            return values[0]
        case Steps():
            return among.value(among.first)
        case Between(low):
            return float(low)


def nested(among: tuple[Parameter, ...], values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Values by key as the trainer is given them: those of a mapping in one, beside what ``given`` has there."""
    found: dict[str, Any] = {}
    for parameter in among:
        if parameter.key in values:
            at, before = found, given
            for name in parameter.path[:-1]:
                below = before.get(name)
                before = below if isinstance(below, Mapping) else {}
                at = at.setdefault(name, dict(before))
            at[parameter.path[-1]] = values[parameter.key]
    return found


MOST_COMBINATIONS = 100_000
"""Are counted."""


def ranges(among: Iterable[Parameter]) -> list[str]:
    """The keys of those that have no list, so that nobody can try all their values."""
    return [one.key for one in among if not isinstance(one.domain, Options)]


def combinations(among: tuple[Parameter, ...]) -> Iterator[dict[str, Any]]:
    """Every one of lists, each once: a parameter that does not exist beside the others is left out."""
    return _combinations(among, {})


def grid_size(among: tuple[Parameter, ...]) -> int:
    """How many that are, as far as they are counted."""
    return sum(1 for _ in islice(combinations(among), MOST_COMBINATIONS))


def _combinations(among: tuple[Parameter, ...], before: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if not among:
        yield dict(before)
        return
    first, *rest = among
    if not exists(first, before):
        yield from _combinations(tuple(rest), before)
        return
    assert isinstance(first.domain, Options)
    for value in first.domain.values:
        yield from _combinations(tuple(rest), {**before, first.key: value})
