"""Population based training (Jaderberg et al., Population Based Training of Neural Networks, 2017): several fits side
by side, and at each step the worst go on from the model of one of the best, with its parameters slightly changed.

All of a step are over before the next one begins. So what comes of it does not depend on which was faster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from framework.api import spaces
from framework.api.spaces import Between, Domain, Options, Parameter, Steps
from framework.workloads.training.tuning.algorithms import Algorithm, draw
from framework.workloads.training.tuning.course import TrialOrder, TrialOutcome

STEPS = 5
"""So often a fit is looked at, that at the end among them; seldom enough that a change shows."""
_REPLACED, _DRAWN_ANEW = 0.25, 0.25
"""Share of the population that gives up its model, and how often a parameter is drawn anew and not just moved."""
_FACTORS = (0.8, 1.2)


class Population:
    """Trial ``number`` is step ``number // size`` of the member ``number % size``. ``size`` are two at least."""

    def __init__(
        self, among: tuple[Parameter, ...], algorithm: Algorithm, size: int, rounds: int, mode: str, seed: int
    ) -> None:
        self._among, self._algorithm, self._size = among, algorithm, size
        steps = min(STEPS, rounds)
        self._until = [-(-rounds * step // steps) for step in range(1, steps + 1)]
        self._sign, self._seed = 1 if mode == "max" else -1, seed
        self._asked: list[TrialOrder] = []
        self._told: dict[int, TrialOutcome] = {}
        self.total = size * steps

    def ask(self) -> TrialOrder | None:
        """A step after the first is known when all of the one before are over. Where all of them have failed, none
        follows."""
        number = len(self._asked)
        step, member = divmod(number, self._size)
        if step == 0:
            asked = TrialOrder(self._algorithm.ask(), self._until[0])
        else:
            before = range((step - 1) * self._size, step * self._size)
            if not all(one in self._told for one in before):
                return None
            if all(self._told[one].value is None for one in before):
                self.total = number
                return None
            asked = self._following(before, member, step)
        self._asked.append(asked)
        return asked

    def tell(self, number: int, outcome: TrialOutcome) -> None:
        self._told[number] = outcome

    def _following(self, before: Sequence[int], member: int, step: int) -> TrialOrder:
        good = sorted((one for one in before if self._told[one].value is not None), key=self._rank)
        many = max(1, int(self._size * _REPLACED))
        failed = [one for one in before if self._told[one].value is None]
        worst = max(0, many - len(failed))
        replaced = {*failed, *good[max(many, len(good) - worst) :]}
        own = before[member]
        if own not in replaced:
            return TrialOrder(self._asked[own].values, self._until[step], own)
        generator = np.random.default_rng([self._seed, step, member])
        chosen = good[int(generator.integers(0, min(many, len(good))))]
        return TrialOrder(explored(self._among, self._asked[chosen].values, generator), self._until[step], chosen)

    def _rank(self, number: int) -> tuple[float, float, int]:
        value, missed = self._told[number]
        assert value is not None
        return sum(missed), -self._sign * value, number


def explored(among: tuple[Parameter, ...], values: dict[str, Any], generator: np.random.Generator) -> dict[str, Any]:
    """``values`` by key, each moved a little or drawn anew; what only then exists is drawn."""

    def change(parameter: Parameter) -> Any:
        anew = generator.random() < _DRAWN_ANEW
        if anew or parameter.key not in values:
            return draw(parameter.domain, generator)
        return _moved(parameter.domain, values[parameter.key], generator.choice)

    return spaces.drawn(among, change)


def _moved(domain: Domain, value: Any, choose: Callable[[Sequence[float]], Any]) -> Any:
    factor = float(choose(_FACTORS))
    up = factor > 1
    match domain:
        case Between(low, high):
            return min(max(value * factor, low), high)
        case Steps(first, last):
            step = domain.step(value)
            to = round(step * factor)
            to = to if to != step else step + (1 if up else -1)
            return domain.value(min(max(to, first), last))
        case Options(values):
            at = next(place for place, one in enumerate(values) if spaces.equal(one, value))
            return values[min(max(at + (1 if up else -1), 0), len(values) - 1)]


def chain(trials: Sequence[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """The trials that led to one, that one last."""
    found = [trials[number]]
    while found[0].get("after") is not None:
        found.insert(0, trials[found[0]["after"]])
    return found
