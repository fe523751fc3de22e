"""Canaries that would see nothing: an analysis that no step waits for, a step that has nothing to look at. Pure."""

from __future__ import annotations

from framework.planning.grammar.kind import CrossProblem
from framework.rollout.analysis.comparison import judged
from framework.rollout.strategies import Canary, Step


def blind_spots(canary: Canary) -> tuple[CrossProblem, ...]:
    """An analysis needs something to measure, traffic on both versions to measure it on, and a step that takes its
    time over it."""
    weight, watched = 0, False
    found: list[CrossProblem] = []
    for index, step in enumerate(canary.steps):
        if step.setWeight is not None:
            weight = step.setWeight
            continue
        problem = _sees_nothing(canary, weight)
        watched = watched or (problem is None and _holds(step, canary))
        if problem is not None and step.analyze is not None:
            found.append(CrossProblem(f"spec.strategy.canary.steps[{index}].analyze", problem))
    if canary.analysis and not watched and not found:
        message = (
            "nothing of it is ever looked at, because no step holds while both versions have traffic: "
            "put {analyze: {for: 5m}} behind the first setWeight"
        )
        found.append(CrossProblem("spec.strategy.canary.analysis", message))
    return tuple(found)


def _sees_nothing(canary: Canary, weight: int) -> str | None:
    """Why nothing can be compared while the candidate has ``weight`` percent of the traffic."""
    if not canary.analysis:
        return "nothing to analyze: spec.strategy.canary.analysis is empty"
    if weight == 0 and canary.match is None:
        return "the candidate has no traffic here: put a setWeight before it"
    if weight == 100 and any(metric.max is None for metric in judged(canary)):
        return "stable has no traffic at 100 % to compare with: put the analysis before it"
    return None


def _holds(step: Step, canary: Canary) -> bool:
    """Whether traffic can be seen before the step ends. A pause is judged as well; one without end lasts until a person
    has seen enough."""
    if step.pause is not None:
        return step.pause.for_ is None or step.pause.for_.total_seconds() > 0
    assert step.analyze is not None
    return step.analyze.for_.total_seconds() > 0 or canary.onInconclusive != "promote"
