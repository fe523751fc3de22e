"""What a spec may set of LightGBM, as far as that can be told without it. Pure; what the library itself says of values
is asked before a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from framework.api.lightgbm import BY_COLUMN, CANONICAL, DERIVED, OBJECTIVES, PARAMETERS
from framework.api.tasks import Task
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar.kind import CrossProblem

_ALLOWED = tuple(sorted(PARAMETERS - DERIVED.keys()))


class _Given(NamedTuple):
    """A parameter where it is set or searched over, and every value that is written out there, with its place."""

    path: str
    name: str
    values: Sequence[tuple[str, Any]]


def problems(
    spec: TrainingJobSpec, inputs: Mapping[str, str] | None, task: Task | None = None
) -> Iterator[CrossProblem]:
    """``inputs``: dtype by column, in the model's order; None where some view is not known. ``task``: None where the
    label's values decide."""
    if spec.trainer.lightgbm is None:
        return
    first: dict[str, str] = {}
    for given in _given(spec):
        if given.name in DERIVED:
            yield CrossProblem(given.path, f"{given.name} cannot be set: {DERIVED[given.name]}")
            continue
        if given.name not in PARAMETERS:
            yield _unknown(given)
            continue
        of = CANONICAL[given.name]
        before = first.setdefault(of, given.name)
        if before != given.name:
            yield CrossProblem(given.path, f"{given.name} is another name of {before}, which is set already: keep one")
        for path, value in given.values:
            yield from _value(path, of, value, inputs, task)


def _unknown(given: _Given) -> CrossProblem:
    told = f"LightGBM has no parameter {given.name!r}"
    if given.name == "rounds":
        return CrossProblem(given.path, f"{told}: write trainer.lightgbm.rounds, which no search varies")
    return CrossProblem(given.path, told, allowed=_ALLOWED, wanted=given.name)


def _given(spec: TrainingJobSpec) -> Iterator[_Given]:
    assert spec.trainer.lightgbm is not None
    for name, value in spec.trainer.lightgbm.params.items():
        path = f'spec.trainer.lightgbm.params["{name}"]'
        yield _Given(path, name, [(path, value)])
    for name, space in spec.tune.search.items() if spec.tune else ():
        path = f'spec.tune.search["{name}"]'
        yield _Given(path, name, [(f"{path}.choice[{place}]", value) for place, value in enumerate(space.choice or ())])


def _value(
    path: str, of: str, value: Any, inputs: Mapping[str, str] | None, task: Task | None
) -> Iterator[CrossProblem]:
    able = tuple(name for one, names in OBJECTIVES.items() if task in (None, one) for name in names)
    if of == "objective" and value not in able:
        whose = "any task" if task is None else f"task {task.value}"
        told = f"{value!r} does not give what {whose} asks for: leave it out, and it follows from the task"
        yield CrossProblem(path, told, allowed=able, wanted=str(value))
    elif value is None:  # the library's default
        return
    elif of in BY_COLUMN:
        yield from _by_column(path, of, value, inputs)
    elif of == "interaction_constraints":
        yield from _groups(path, of, value, inputs)


def _by_column(path: str, of: str, value: Any, inputs: Mapping[str, str] | None) -> Iterator[CrossProblem]:
    what, fits = _EACH.get(of, _NOT_NEGATIVE)
    if not isinstance(value, list | tuple) or not all(map(fits, value)):
        yield CrossProblem(path, f"{of} is a list with {what} for each input, found {value!r}")
    elif inputs is not None and len(value) != len(inputs):
        told = f"{of} needs {what} for each of the {len(inputs)} inputs, found {len(value)}"
        yield CrossProblem(path, f"{told}; the inputs are {_shown(inputs)}")
    elif inputs is not None and of == "monotone_constraints":
        texts = [name for (name, dtype), item in zip(inputs.items(), value, strict=True) if item and dtype == "String"]
        if texts:
            yield CrossProblem(path, f"{_shown(texts)} is String, of which no model is monotone: write 0 there")


def _groups(path: str, of: str, value: Any, inputs: Mapping[str, str] | None) -> Iterator[CrossProblem]:
    groups = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(group, list | tuple) and all(map(_is_place, group)) for group in groups):
        yield CrossProblem(path, f"{of} is a list of lists of inputs, which count from 0, found {value!r}")
        return
    beyond = [item for group in groups for item in group if inputs is not None and item >= len(inputs)]
    if inputs is not None and beyond:
        told = f"{of} names input {beyond[0]}, and there are {len(inputs)}, which count from 0: {_shown(inputs)}"
        yield CrossProblem(path, told)


def _shown(names: Sequence[str] | Mapping[str, str], most: int = 8) -> str:
    listed = list(names)
    return ", ".join([*listed[:most], *(["..."] if len(listed) > most else [])])


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_place(value: Any) -> bool:
    return _is_whole(value) and bool(value >= 0)


def _is_size(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


_NOT_NEGATIVE = ("a number from 0 on", _is_size)
_EACH: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "max_bin_by_feature": ("a whole number from 2 on", lambda item: _is_whole(item) and 2 <= item < 2**31),
    "monotone_constraints": ("one of -1, 0 and 1", lambda item: _is_whole(item) and item in (-1, 0, 1)),
}
