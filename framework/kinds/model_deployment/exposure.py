"""How the callers of an endpoint meet a new version of it, by its strategy. Pure."""

from __future__ import annotations

from framework.kinds.model_deployment.spec import ModelDeploymentSpec
from framework.planning.grammar.kind import Exposure
from framework.rollout.strategies import BlueGreen, Canary, Strategy


def exposure(spec: ModelDeploymentSpec) -> Exposure:
    """The first share of the requests that a new version gets, and the time until it may have all of them."""
    first_weight, seconds = _course(spec.strategy)
    return Exposure(spec.serving.route, first_weight, seconds)


def _course(strategy: Strategy) -> tuple[int, float | None]:
    if strategy.canary is not None:
        return _canary(strategy.canary)
    if strategy.blueGreen is not None:
        return _blue_green(strategy.blueGreen)
    if strategy.shadow is not None:  # answers of the new version go nowhere until it is promoted
        return 100, strategy.shadow.for_.total_seconds()
    if strategy.abTest is not None:
        return strategy.abTest.weight, strategy.abTest.for_.total_seconds()
    return 100, 0.0


def _canary(canary: Canary) -> tuple[int, float | None]:
    first_weight = next(step.setWeight for step in canary.steps if step.setWeight)  # the last one is 100
    seconds = 0.0
    for step in canary.steps:
        if step.analyze is not None:
            seconds += step.analyze.for_.total_seconds()
        elif step.pause is not None and step.pause.for_ is None:
            return first_weight, None
        elif step.pause is not None and step.pause.for_ is not None:
            seconds += step.pause.for_.total_seconds()
    return first_weight, seconds


def _blue_green(strategy: BlueGreen) -> tuple[int, float | None]:
    if not strategy.autoPromote:
        return 100, None
    return 100, strategy.analyze.for_.total_seconds() if strategy.analyze else 0.0
