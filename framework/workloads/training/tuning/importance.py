"""How much a parameter mattered for what trials came to."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from framework.api import spaces
from framework.api.spaces import Between, Options, Parameter, Steps

FEWEST = 5
"""Of fewer trials nothing is said."""


def importance(
    trials: Sequence[Mapping[str, Any]], among: Sequence[Parameter], metric: str, mode: str
) -> dict[str, float]:
    """Shares by key, the largest first, that add up to 1: how much the better trials differ in each parameter from all
    of them (Watanabe et al., PED-ANOVA, 2023), as Optuna has it. Empty where there are too few trials that differ, or
    where they went on from each other, for then what they come to follows from other things."""
    known = [trial for trial in trials if trial["error"] is None and metric in trial]
    if len(known) < FEWEST or len({trial[metric] for trial in known}) == 1 or any("after" in trial for trial in known):
        return {}
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction=f"{mode}imize")
    for trial in known:
        found = {one.key: one for one in among if one.key in trial["parameters"]}
        study.add_trial(
            optuna.trial.create_trial(
                params={key: _placed(one, trial["parameters"][key]) for key, one in found.items()},
                distributions={key: _distribution(one) for key, one in found.items()},
                value=trial[metric],
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is experimental
        shares = optuna.importance.get_param_importances(study)
    ordered = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    return {name: round(float(share), 4) for name, share in ordered}


def _placed(parameter: Parameter, value: Any) -> Any:
    match parameter.domain:
        case Options(values):
            return next(place for place, one in enumerate(values) if spaces.equal(one, value))
        case Steps() as steps:
            return steps.step(value)
        case Between():
            return value


def _distribution(parameter: Parameter) -> Any:
    from optuna import distributions

    match parameter.domain:
        case Options(values):
            return distributions.CategoricalDistribution(tuple(range(len(values))))
        case Steps(first, last, log):
            return distributions.IntDistribution(first, last, log=log)
        case Between(low, high, log):
            return distributions.FloatDistribution(low, high, log=log)
