"""What the installed LightGBM says of parameters before a run: of each value by itself, and of all of them together.

It is asked as the trainer asks it, with a few rows of its own. What names files or machines never reaches it, and
neither do lists by column, which some versions die of: those are a matter of rules that need no library.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from framework.api.lightgbm import BY_COLUMN, DERIVED, OBJECTIVES, names
from framework.api.tasks import Task
from framework.workloads.examining import Mistake

_LARGEST = 2**31 - 1
_CLASSES = 3
"""Of the rows that it is asked with, where there are several."""
_LEAVES = 31
"""As many leaves as the rows can fill: memory is taken for all that a tree may have."""
_UNASKED = frozenset(names(*BY_COLUMN, "interaction_constraints", "device_type"))
"""Lists by column; and the device, which the cluster may have where this machine has none."""
_LEAF_COUNTS = names("num_leaves")
_SHARES = names("bagging_fraction", "pos_bagging_fraction", "neg_bagging_fraction")
"""Shares of the rows, of which a small one leaves something of a real training set, and nothing of a few rows."""

_BOOSTING = ("gbdt", "gbrt", "rf", "random_forest", "dart", "goss")
_DEVICES = ("cpu", "gpu", "cuda")
_METRICS = (
    "auc", "average_precision", "binary_logloss", "binary", "binary_error", "cross_entropy", "xentropy",
    "cross_entropy_lambda", "xentlambda", "kullback_leibler", "kldiv", "l1", "mean_absolute_error", "mae",
    "regression_l1", "l2", "mean_squared_error", "mse", "regression_l2", "regression", "rmse",
    "root_mean_squared_error", "l2_root", "quantile", "mape", "mean_absolute_percentage_error", "huber", "fair",
    "poisson", "tweedie", "r2", "None", "na", "null", "custom",
)  # fmt: skip
_CONSTRAINING = ("basic", "intermediate", "advanced")
WORDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(names("boosting"), _BOOSTING),
    **dict.fromkeys(names("device_type"), _DEVICES),
    **dict.fromkeys(names("metric"), _METRICS),
    **dict.fromkeys(names("monotone_constraints_method"), _CONSTRAINING),
    "data_sample_strategy": ("bagging", "goss"),
}
"""The words of a parameter that takes words, by each of its names. Some that are none LightGBM would ignore."""

_CHECK = re.compile(r"Check failed: \((\w+)\) (>=|<=|>|<) \(([-+.\w]+)\)")
_BOUNDS = {">": "more than", ">=": "at least", "<": "less than", "<=": "at most"}
_SOURCE = re.compile(r" at \S+, line \d+ \.\s*$")
_KINDS = (
    ("should be of type int", "a whole number"),
    ("should be of type double", "a number"),
    ("Unknown token", "a number"),
    ('should be "true"', "true or false"),
    ("sto", "a list of numbers"),
)


class _Value(NamedTuple):
    path: str
    name: str
    value: Any


def look(form: Mapping[str, Any], search: Mapping[str, Any], task: Task | None = None) -> Iterator[Mistake]:
    """Mistakes of a trainer's parameters and of those that a search would set: every choice, both ends of a range."""
    params = [
        _Value(f'spec.trainer.lightgbm.params["{name}"]', name, value)
        for name, value in (form.get("params") or {}).items()
        if _asked(name, value)
    ]
    spaces = {name: ends for name, space in search.items() if (ends := list(_ends(name, space)))}
    library = _Library(task or Task.BINARY)
    found = [*library.each(params), *(mistake for ends in spaces.values() for mistake in library.each(ends))]
    yield from found or library.together(params, spaces)


def _asked(name: str, value: Any) -> bool:
    """Whether it is a matter for the library: not what the trainer refuses, whatever its value is."""
    return value is not None and name not in DERIVED


def _ends(name: str, space: Mapping[str, Any]) -> Iterator[_Value]:
    path = f'spec.tune.search["{name}"]'
    for form, given in space.items():
        if given is None or name in DERIVED:
            continue
        for place, value in enumerate(_drawn(form, given)):
            if _asked(name, value):
                yield _Value(f"{path}.{form}[{place}]", name, value)


def _drawn(form: str, given: Any) -> list[Any]:
    """A range of numbers draws fractions, also where its ends are written without; randint leaves its end out."""
    match form:
        case "choice":
            return list(given)
        case "randint":
            return [given[0], given[1] - 1]
        case _:
            return [float(end) for end in given]


# -- what a value is ------------------------------------------------------------------------------------------------


def _unwritable(value: Any) -> str | None:
    """What LightGBM would read otherwise than it stands there: it is handed all parameters as one text of
    ``name=value`` with blanks between."""
    match value:
        case str():
            return "must be one word, without blanks and equals signs" if re.search(r"[\s=#]", value) else None
        case bool():
            return None
        case int():
            return None if abs(value) <= _LARGEST else f"must be a number between -{_LARGEST} and {_LARGEST}"
        case float():
            return None if math.isfinite(value) else "must be a finite number"
        case _:
            return "must be a number, a word, true or false, or a list of those"


def _told(given: _Value, message: str) -> Mistake:
    check = _CHECK.match(message)
    if check:
        _, sign, bound = check.groups()
        return Mistake(given.path, f"{given.name} must be {_BOUNDS[sign]} {bound}, found {given.value!r}")
    kind = next((kind for begins, kind in _KINDS if begins in message), None)
    if kind is None:
        return Mistake(given.path, f"LightGBM refuses {given.name}: {given.value!r}: {message}")
    of_range = re.fullmatch(r"(.*)\.(uniform|loguniform)\[\d\]", given.path)
    if of_range and kind == "a whole number":
        told = f"{given.name} must be {kind}, and {of_range[2]} draws fractions: write randint, or choice"
        return Mistake(f"{of_range[1]}.{of_range[2]}", told)
    return Mistake(given.path, f"{given.name} must be {kind}, found {given.value!r}")


# -- the library -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Library:
    """LightGBM, asked as for a task: what an objective needs of the label follows from it."""

    task: Task

    def each(self, values: list[_Value]) -> Iterator[Mistake]:
        seen = set[str]()
        for given in values:
            mistake = self._by_itself(given)
            if mistake is not None and mistake.message not in seen:
                seen.add(mistake.message)
                yield mistake

    def _by_itself(self, given: _Value) -> Mistake | None:
        name, value = given.name, given.value
        parts = value if isinstance(value, list | tuple) else [value]
        words = WORDS.get(name, ())
        for part in parts if words else ():
            for word in str(part).split(",") if words is _METRICS else [str(part)]:
                if word not in words:
                    return Mistake(given.path, f"LightGBM has no {name} {word!r}", words, word)
        if name in _UNASKED:
            return None
        wrong = next((told for part in parts if (told := _unwritable(part)) is not None), None)
        if wrong is not None:
            return Mistake(given.path, f"{name} {wrong}, found {value!r}")
        told = self._said({name: value}, fits=False)
        return None if told is None else _told(given, told)

    def together(self, params: list[_Value], spaces: Mapping[str, list[_Value]]) -> Iterator[Mistake]:
        """As the run would begin, and as each other value of the search would have it."""
        first = {given.name: given for given in params} | {name: ends[0] for name, ends in spaces.items()}
        mistake = self._beside(first, list(first))
        if mistake is not None:
            yield mistake
            return
        for name, ends in spaces.items():
            for given in ends[1:]:
                mistake = self._beside({**first, name: given}, [name])
                if mistake is not None:
                    yield mistake

    def _beside(self, values: Mapping[str, _Value], blamed: list[str]) -> Mistake | None:
        """``blamed`` are those that the fault is looked for in: the first that all would be well without."""
        told = self._fit(values)
        if told is None:
            return None
        without = (
            name for name in blamed if self._fit({key: given for key, given in values.items() if key != name}) is None
        )
        name = next(without, blamed[0] if blamed else None)
        if name is None:
            return None  # the library refuses what it is asked without any parameter: that is no mistake of a spec
        value = values[name].value
        return Mistake(values[name].path, f"LightGBM refuses {name}: {value!r} beside the other parameters: {told}")

    def _fit(self, values: Mapping[str, _Value]) -> str | None:
        return self._said({name: given.value for name, given in values.items() if name not in _UNASKED}, fits=True)

    def _said(self, params: Mapping[str, Any], *, fits: bool) -> str | None:
        """Why LightGBM refuses ``params``, None where it does not. Silent, whatever they ask for."""
        import lightgbm

        task = next((one for one, able in OBJECTIVES.items() if params.get("objective") in able), self.task)
        asked = {**params, **_OURS}
        if asked.get("objective") not in OBJECTIVES[task]:
            asked["objective"] = OBJECTIVES[task][0]
        asked |= {"num_class": _CLASSES} if task is Task.MULTICLASS else {}
        if fits:
            asked |= {name: _LEAVES for name in _LEAF_COUNTS if name in asked}
            asked |= {name: 0.5 for name in _SHARES if name in asked and _below_one(asked[name])}
        x = np.arange(180, dtype=np.float64).reshape(60, 3) % 17
        y = (np.arange(60) % (2 if task is Task.BINARY else _CLASSES)).astype(np.float64)
        lists = [20, 20, 20] if task is Task.RANKING else None
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                rows = lightgbm.Dataset(x, y, group=lists, params=asked, free_raw_data=False).construct()
                if fits:
                    lightgbm.train(asked, rows, 1)
        except Exception as error:  # of any kind: it also reads parameters in Python
            first = str(error).strip().splitlines() or [type(error).__name__]
            return _sentence(_SOURCE.sub("", first[0]))
        return None


def _below_one(share: Any) -> bool:
    try:
        return float(share) < 1.0
    except (TypeError, ValueError):
        return False


def _sentence(said: str) -> str:
    """Without what belongs to the library's source, except for checks of one value, which ``_told`` tells."""
    if "bagging_freq > 0 &&" in said:
        return "a random forest needs bagging_freq above 0 and bagging_fraction below 1, or feature_fraction below 1"
    plain = re.sub(r"\b(\d+\.\d+)f\b", r"\1", re.sub(r"\bconfig_?->", "", said))
    return plain if _CHECK.match(plain) else plain.replace("Check failed: ", "it demands ")


_OURS: Mapping[str, Any] = {
    "verbosity": -1, "seed": 0, "num_threads": 1, "deterministic": True, "force_row_wise": True,
}  # fmt: skip
