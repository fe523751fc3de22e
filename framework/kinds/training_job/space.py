"""What the parts of a search space demand of each other. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from framework.api import spaces
from framework.api.spaces import Between, Options, Parameter, Steps, When
from framework.kinds.training_job.tuning import Tune
from framework.planning.grammar.kind import CrossProblem

_SEARCH = "spec.tune.search"


def problems(tune: Tune) -> Iterator[CrossProblem]:
    written = spaces.written(tune.parameters)
    known = {one.key: one for one in written}
    conditions = {each.place: (one, each) for one in written for each in one.conditions}
    found = [*_twice(written), *(wrong for one, each in conditions.values() for wrong in _condition(one, each, known))]
    yield from found or _together(tune, written)


def _twice(written: tuple[Parameter, ...]) -> Iterator[CrossProblem]:
    for key, times in Counter(one.key for one in written).items():
        if times > 1:
            at = next(one.place for one in written if one.key == key)
            yield CrossProblem(f"{_SEARCH}{at}", f"two parameters would be called {key}: rename one of them")


def _condition(parameter: Parameter, asked: When, known: Mapping[str, Parameter]) -> Iterator[CrossProblem]:
    """It must be about a parameter that is searched, and values that are drawn of it."""
    path, key = f"{_SEARCH}{asked.place}", asked.key
    if key not in known:
        allowed = tuple(sorted(known.keys() - {parameter.key}))
        yield CrossProblem(path, f"{key} is not searched, so it never changes", allowed=allowed, wanted=key)
        return
    for place, value in enumerate(asked.values):
        match known[key].domain:
            case Options(values) as among if not among.holds(value):
                allowed = tuple(map(str, values))
                told = f"{key} never is {value!r}"
                yield CrossProblem(f"{path}[{place}]", told, allowed=allowed, wanted=str(value))
            case Steps() as among if not among.holds(value):
                yield CrossProblem(f"{path}[{place}]", f"{key} never is {value!r}: that is not among what is drawn")
            case Between():
                told = f"{key} may be any number between two, and hardly ever is {value!r}: say choice, or steps"
                yield CrossProblem(f"{path}[{place}]", told)


def _together(tune: Tune, written: tuple[Parameter, ...]) -> Iterator[CrossProblem]:
    try:
        ordered = spaces.ordered(written)
    except ValueError as error:
        told = f"{error}: by their conditions each exists only beside another one, so none can be drawn first"
        yield CrossProblem(_SEARCH, told)
        return
    if tune.algorithm != "grid":
        return
    if endless := spaces.ranges(ordered):
        told = f"grid needs choice for every parameter, and {', '.join(endless)} has none"
        yield CrossProblem("spec.tune.algorithm", told)
    elif (size := spaces.grid_size(ordered)) > tune.trials:
        counted = f"{spaces.MOST_COMBINATIONS:,} or more" if size == spaces.MOST_COMBINATIONS else f"{size:,}"
        yield CrossProblem("spec.tune.trials", f"the grid has {counted} combinations, but trials is {tune.trials}")
