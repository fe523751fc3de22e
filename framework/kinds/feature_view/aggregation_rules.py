"""What the aggregations of a FeatureView and its columns demand of each other. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from framework.api.aggregates import AGGREGATES
from framework.api.dtypes import FLOATS, NUMBERS, TIMES
from framework.kinds.feature_view.aggregation import Aggregation
from framework.kinds.feature_view.spec import FeatureViewSpec
from framework.planning.grammar.kind import CrossProblem

_TAKES = {"number": (NUMBERS, "a number"), "ordered": (NUMBERS | TIMES, "a number or a time")}
_GIVES = {"count": (NUMBERS, "a number"), "sum": (NUMBERS, "a number"), "real": (FLOATS, "a float")}


def problems(spec: FeatureViewSpec, dtypes: Mapping[str, str]) -> Iterator[CrossProblem]:
    """``dtypes``: by name of the declared columns."""
    if not spec.aggregations:
        return
    if spec.timestamp is None:
        yield CrossProblem("spec.aggregations", "goes by event times, and the view has no timestamp")
    if spec.available is not None:
        told = (
            f"goes by event times, and rows that become known later ({spec.available}) would count before they are "
            f"known; name {spec.available} as timestamp, or aggregate in a view of its own"
        )
        yield CrossProblem("spec.aggregations", told)
    lookback = spec.materialization.lookback
    if lookback is not None and (beyond := [item.name for item in spec.aggregations if not _within(item, lookback)]):
        told = f"is shorter than what {', '.join(beyond)} looks back; without it sources are read whole"
        yield CrossProblem("spec.materialization.lookback", told)
    names = [item.name for item in spec.aggregations]
    for index, item in enumerate(spec.aggregations):
        path = f"spec.aggregations[{index}]"
        if item.name in names[:index]:
            yield CrossProblem(f"{path}.name", f"{item.name!r} is the name of an aggregation before")
        elif item.name in spec.meant:
            yield CrossProblem(f"{path}.name", f"{item.name} is a key or a time, which the rows have")
        elif item.name not in dtypes:
            free = tuple(name for name in dtypes if name not in spec.meant)
            yield CrossProblem(f"{path}.name", f"no column {item.name!r} is declared", allowed=free, wanted=item.name)
        else:
            yield from _dtypes(path, item, names, dtypes)


def _within(item: Aggregation, lookback: timedelta) -> bool:
    """Nobody knows how far a session reaches, or all rows up to one."""
    return item.window is not None and item.window <= lookback


def _dtypes(path: str, item: Aggregation, names: list[str], dtypes: Mapping[str, str]) -> Iterator[CrossProblem]:
    if item.column in names:
        told = f"{item.column} is an aggregate itself; what is aggregated are columns of the transform's rows"
        yield CrossProblem(f"{path}.column", told)
        return
    known, result, form = dtypes.get(item.column or ""), dtypes[item.name], AGGREGATES[item.function]
    fit, told = _TAKES.get(form.takes, (None, ""))
    if fit is not None and known is not None and known not in fit:
        yield CrossProblem(f"{path}.function", f"{item.column} is {known}; {item.function} needs {told}")
    elif form.gives == "value":
        if known is not None and known != result and not {known, result} <= NUMBERS:
            yield CrossProblem(
                f"{path}.name", f"{item.name} is {result}, and {item.column}, of which it is one, {known}"
            )
        if fit is not None and result not in fit:
            yield CrossProblem(f"{path}.name", f"{item.name} is {result}; {item.function} gives {told}")
    elif result not in _GIVES[form.gives][0]:
        yield CrossProblem(f"{path}.name", f"{item.name} is {result}; {item.function} gives {_GIVES[form.gives][1]}")
