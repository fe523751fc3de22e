"""What population based training demands: fits that can go on from each other's models, with other parameters. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from framework.api import lightgbm, xgboost
from framework.api.tasks import Task
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar.kind import CrossProblem

_CANONICAL = {"lightgbm": lightgbm.CANONICAL, "xgboost": xgboost.CANONICAL}
_CHANGEABLE = {"lightgbm": lightgbm.CHANGEABLE, "xgboost": xgboost.CHANGEABLE}
_SCHEDULER = "spec.tune.scheduler"


def problems(spec: TrainingJobSpec, task: Task | None) -> Iterator[CrossProblem]:
    """``task``: None where the label's values decide."""
    tune, trainer = spec.tune, spec.trainer.name
    if tune is None or tune.scheduler != "pbt":
        return
    if trainer not in _CHANGEABLE:
        able = " and ".join(_CHANGEABLE)
        yield CrossProblem(_SCHEDULER, f"pbt has fits go on from other models, which {able} can and {trainer} cannot")
        return
    if trainer == "lightgbm" and task is Task.QUANTILE:
        told = "pbt has fits go on from other models, and quantiles of lightgbm start over: take xgboost"
        yield CrossProblem(_SCHEDULER, told)
    form = getattr(spec.trainer, trainer)
    if form.earlyStopping is not None:
        told = "pbt has all fits go on for equally many rounds, and none stops before: leave one of the two out"
        yield CrossProblem(f"spec.trainer.{trainer}.earlyStopping", told)
    if form.params.get("lambdarank_unbiased"):
        told = "pbt has fits go on from other models, and one with lambdarank_unbiased starts over"
        yield CrossProblem(_SCHEDULER, told)
    if form.rounds < 2:
        yield CrossProblem(f"spec.trainer.{trainer}.rounds", "pbt changes parameters between rounds, and there is one")
    if tune.trials < 2:
        yield CrossProblem("spec.tune.trials", "pbt has the worse of several go on from a better one, and there is one")
    yield from _unchangeable(tune.search, _CANONICAL[trainer], tuple(sorted(_CHANGEABLE[trainer])))


def _unchangeable(
    search: Mapping[str, object], canonical: Mapping[str, str], changeable: tuple[str, ...]
) -> Iterator[CrossProblem]:
    for name in search:
        if name in canonical and canonical[name] not in changeable:
            told = f"{name} cannot change while a fit goes on, as pbt would have it: set it in params"
            yield CrossProblem(f'spec.tune.search["{name}"]', told, allowed=changeable)
