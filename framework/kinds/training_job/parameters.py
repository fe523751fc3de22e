"""What a spec may set of a library of boosted trees, as far as that can be told without it. Pure; what the library
itself says of values is asked before a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

from framework.api import lightgbm, xgboost
from framework.api.tasks import Task
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar.kind import CrossProblem


class _Library(NamedTuple):
    """What a library calls its parameters, and which of them are the trainer's to set; see ``framework.api.xgboost``.
    ``booster`` may be dart, ``words`` are those that a parameter takes, ``numbers_alone`` what it cannot do with
    Strings."""

    trainer: str
    title: str
    canonical: Mapping[str, str]
    derived: Mapping[str, str]
    objectives: Mapping[Task, tuple[str, ...]]
    by_column: Set[str]
    booster: str
    words: Mapping[str, tuple[str, ...]] = {}
    numbers_alone: Set[tuple[str, str]] = frozenset()


_LIBRARIES = (
    _Library(
        "lightgbm",
        "LightGBM",
        lightgbm.CANONICAL,
        lightgbm.DERIVED,
        lightgbm.OBJECTIVES,
        lightgbm.BY_COLUMN,
        "boosting",
    ),
    _Library(
        "xgboost",
        "XGBoost",
        xgboost.CANONICAL,
        xgboost.DERIVED,
        xgboost.OBJECTIVES,
        xgboost.BY_COLUMN,
        "booster",
        xgboost.WORDS,
        xgboost.NUMBERS_ALONE,
    ),
)


class _Given(NamedTuple):
    """A parameter where it is set or searched over, and every value that is written out there, with its place."""

    path: str
    name: str
    values: Sequence[tuple[str, Any]]
    nested: bool = False


def problems(
    spec: TrainingJobSpec, inputs: Mapping[str, str] | None, task: Task | None = None
) -> Iterator[CrossProblem]:
    """``inputs``: dtype by column, in the model's order; None where some view is not known. ``task``: None where the
    label's values decide."""
    library = next((one for one in _LIBRARIES if one.trainer == spec.trainer.name), None)
    if library is None:
        return
    first: dict[str, str] = {}
    for given in _given(spec, library):
        if given.name in library.derived:
            yield CrossProblem(given.path, f"{given.name} cannot be set: {library.derived[given.name]}")
            continue
        if given.name not in library.canonical:
            yield _unknown(given, library)
            continue
        if given.nested:
            yield CrossProblem(f"{given.path}.search", f"no parameter of {library.title} is a mapping")
            continue
        of = library.canonical[given.name]
        before = first.setdefault(of, given.name)
        if before != given.name:
            yield CrossProblem(given.path, f"{given.name} is another name of {before}, which is set already: keep one")
        for path, value in given.values:
            if of == library.booster and value == "dart" and getattr(spec.trainer.form, "earlyStopping", None):
                told = "dart changes earlier trees in each round, so that there is no best one to go back to"
                yield CrossProblem(path, f"{told}: leave out earlyStopping, or dart")
            yield from _value(path, of, value, library, inputs, task)


def _unknown(given: _Given, library: _Library) -> CrossProblem:
    told = f"{library.title} has no parameter {given.name!r}"
    if given.name == "rounds":
        return CrossProblem(given.path, f"{told}: write trainer.{library.trainer}.rounds, which no search varies")
    allowed = tuple(sorted(library.canonical.keys() - library.derived.keys()))
    return CrossProblem(given.path, told, allowed=allowed, wanted=given.name)


def _given(spec: TrainingJobSpec, library: _Library) -> Iterator[_Given]:
    for name, value in getattr(spec.trainer, library.trainer).params.items():
        path = f'spec.trainer.{library.trainer}.params["{name}"]'
        yield _Given(path, name, [(path, value)])
    for name, space in spec.tune.search.items() if spec.tune else ():
        path = f'spec.tune.search["{name}"]'
        values = [(f"{path}.choice[{place}]", value) for place, value in enumerate(space.choice or ())]
        yield _Given(path, name, values, nested=space.search is not None)


def _value(
    path: str, of: str, value: Any, library: _Library, inputs: Mapping[str, str] | None, task: Task | None
) -> Iterator[CrossProblem]:
    able = tuple(name for one, names in library.objectives.items() if task in (None, one) for name in names)
    if of == "objective" and value not in able:
        whose = "any task" if task is None else f"task {task.value}"
        told = f"{value!r} does not give what {whose} asks for: leave it out, and it follows from the task"
        yield CrossProblem(path, told, allowed=able, wanted=str(value))
    elif value is None:  # the library's default
        return
    elif of in library.words and value not in library.words[of]:
        told = f"{library.title} has no {of} {value!r} here"
        yield CrossProblem(path, told, allowed=library.words[of], wanted=str(value))
    elif of in library.by_column:
        yield from _by_column(path, of, value, inputs)
    elif of == "interaction_constraints":
        yield from _groups(path, of, value, inputs)
    elif (of, str(value)) in library.numbers_alone:
        texts = [name for name, dtype in (inputs or {}).items() if dtype == "String"]
        if texts:
            yield CrossProblem(path, f"{of}: {value} learns from numbers alone, and {_shown(texts)} is String")


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
