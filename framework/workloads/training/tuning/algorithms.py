"""How the next combination of parameters is chosen. Each is asked and told in turn: what it says next follows from its
seed and from the order of both, so that a search can go on where another process left it.

Adding one: a class here and a line below.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from framework import installed
from framework.api import spaces
from framework.api.spaces import Between, Domain, Options, Parameter, Steps
from framework.workloads.context import WorkloadError


class Space(NamedTuple):
    """What is searched: the parameters in the order of drawing, which way is better, and of how many bounds a trial
    tells by how much it misses them."""

    among: tuple[Parameter, ...]
    mode: str
    constraints: int = 0


class Algorithm(Protocol):
    """Chooses combinations one after the other, each by what was told before."""

    def ask(self) -> dict[str, Any]:
        """Values by key of those parameters that exist beside each other."""
        ...

    def tell(self, number: int, value: float | None, missed: tuple[float, ...] = ()) -> None:
        """What the so-many-th combination came to, from 0 on; None where it failed. ``missed`` says by how much each
        bound was: 0 or less where it holds."""
        ...


class RandomSearch:
    """Each by itself."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._generator = space, np.random.default_rng(seed)

    def ask(self) -> dict[str, Any]:
        return spaces.drawn(self._space.among, lambda parameter: draw(parameter.domain, self._generator))

    def tell(self, number: int, value: float | None, missed: tuple[float, ...] = ()) -> None:
        """Nothing is learned from it."""


def draw(domain: Domain, generator: np.random.Generator) -> Any:
    """One value."""
    match domain:
        case Between(low, high, log):
            return float(np.exp(generator.uniform(np.log(low), np.log(high))) if log else generator.uniform(low, high))
        case Steps(first, last, log):
            if not log:
                return domain.value(int(generator.integers(first, last + 1)))
            found = np.exp(generator.uniform(np.log(first - 0.5), np.log(last + 0.5)))
            return domain.value(min(max(round(float(found)), first), last))
        case Options(values):
            return values[int(generator.integers(0, len(values)))]


class GridSearch:
    """Every combination of choices, the first parameter moving fastest."""

    def __init__(self, space: Space, seed: int) -> None:
        self._left = iter(in_order(space.among))

    def ask(self) -> dict[str, Any]:
        return next(self._left)

    def tell(self, number: int, value: float | None, missed: tuple[float, ...] = ()) -> None:
        """Nothing is learned from it."""


def in_order(among: tuple[Parameter, ...]) -> list[dict[str, Any]]:
    by_name = sorted(among, key=lambda one: one.path)

    def places(values: Mapping[str, Any]) -> list[int]:
        return [_place(one.domain, values[one.key]) if one.key in values else -1 for one in reversed(by_name)]

    return sorted(spaces.combinations(among), key=places)


def _place(domain: Domain, value: Any) -> int:
    assert isinstance(domain, Options)
    return next(place for place, one in enumerate(domain.values) if one is value)


class OptunaSearch:
    """Tree-structured Parzen estimators of Optuna. Bounds that are missed steer it, too."""

    def __init__(self, space: Space, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is experimental, and of what will be deprecated
            sampler = optuna.samplers.TPESampler(seed=seed, constraints_func=_missed if space.constraints else None)
        self._space = space
        self._study = optuna.create_study(sampler=sampler, direction=f"{space.mode}imize")
        self._trials: list[Any] = []

    def ask(self) -> dict[str, Any]:
        trial = self._study.ask()
        self._trials.append(trial)
        return spaces.drawn(self._space.among, lambda parameter: _suggested(trial, parameter))

    def tell(self, number: int, value: float | None, missed: tuple[float, ...] = ()) -> None:
        from optuna.trial import TrialState

        trial = self._trials[number]
        if self._space.constraints:
            trial.set_user_attr(_MISSED, list(missed or [math.inf] * self._space.constraints))
        if value is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, value)


_MISSED = "missed"


def _missed(trial: Any) -> tuple[float, ...]:
    return tuple(trial.user_attrs[_MISSED])


def _suggested(trial: Any, parameter: Parameter) -> Any:
    match parameter.domain:
        case Between(low, high, log):
            return trial.suggest_float(parameter.key, low, high, log=log)
        case Steps(first, last, log) as steps:
            return steps.value(trial.suggest_int(parameter.key, first, last, log=log))
        case Options(values):  # by place: Optuna tells apart neither 1 from true, nor lists
            return values[trial.suggest_categorical(parameter.key, range(len(values)))]


class HyperOptSearch:
    """Tree-structured Parzen estimators of HyperOpt. A parameter that does not exist beside the others is drawn and
    forgotten, so that nothing is learned of it."""

    def __init__(self, space: Space, seed: int) -> None:
        if not installed.is_there("hyperopt"):
            raise WorkloadError("PackageMissing", f"tune.algorithm hyperopt: {installed.advice(['hyperopt'])}")
        import hyperopt

        self._space, self._sign = space, -1 if space.mode == "max" else 1
        self._generator = np.random.RandomState(seed)
        # By number, because HyperOpt refuses some names.
        self._labels = {one.key: str(place) for place, one in enumerate(space.among)}
        forms = {
            label: _stochastic(label, one.domain) for one, label in zip(space.among, self._labels.values(), strict=True)
        }
        self._domain = hyperopt.Domain(lambda values: values, forms)
        self._trials = hyperopt.Trials()
        self._asked: list[Any] = []

    def ask(self) -> dict[str, Any]:
        from hyperopt import tpe

        ids = self._trials.new_trial_ids(1)
        self._trials.refresh()
        (asked,) = tpe.suggest(ids, self._domain, self._trials, int(self._generator.randint(2**31 - 1)))
        found = asked["misc"]["vals"]
        values = spaces.drawn(self._space.among, lambda one: _read(one.domain, found[self._labels[one.key]][0]))
        for key, label in self._labels.items():
            if key not in values:
                asked["misc"]["vals"][label], asked["misc"]["idxs"][label] = [], []
        self._trials.insert_trial_docs([asked])
        self._trials.refresh()
        self._asked.append(self._trials.trials[-1])
        return values

    def tell(self, number: int, value: float | None, missed: tuple[float, ...] = ()) -> None:
        import hyperopt

        trial = self._asked[number]
        if value is None:
            trial["state"] = hyperopt.JOB_STATE_ERROR
        else:
            trial["state"] = hyperopt.JOB_STATE_DONE
            trial["result"] = {"loss": self._sign * value, "status": hyperopt.STATUS_OK}
        self._trials.refresh()


def _stochastic(label: str, domain: Domain) -> Any:
    from hyperopt import hp

    match domain:
        case Between(low, high, log):
            return hp.loguniform(label, math.log(low), math.log(high)) if log else hp.uniform(label, low, high)
        case Steps(first, last, log):
            if log:
                return hp.loguniform(label, math.log(first - 0.5), math.log(last + 0.5))
            return hp.uniformint(label, first, last)
        case Options(values):
            return hp.choice(label, list(range(len(values))))


def _read(domain: Domain, found: Any) -> Any:
    match domain:
        case Between(low, high):
            return min(max(float(found), low), high)
        case Steps(first, last):
            return domain.value(min(max(round(float(found)), first), last))
        case Options(values):
            return values[int(found)]


ALGORITHMS: Mapping[str, Callable[[Space, int], Algorithm]] = {
    "optuna": OptunaSearch,
    "random": RandomSearch,
    "grid": GridSearch,
    "hyperopt": HyperOptSearch,
}
