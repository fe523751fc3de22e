"""Which deployments serve a model version, or are about to: from records alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from framework.api.meta import Ref
from framework.kinds.model_deployment.observed import DeploymentState
from framework.planning.grammar.remembered import state_of, status_of
from framework.planning.reports.aliases import ModelUse
from framework.ports import StateStore
from framework.rollout.state import CanaryPhase


def uses(state: StateStore, training: str | None = None) -> Mapping[str, tuple[ModelUse, ...]]:
    """By version, as ``training@version``: of one training job, or of all. What cannot be read tells nothing."""
    found: dict[str, tuple[ModelUse, ...]] = {}
    recorded = state.recorded() if training is None else state.naming([training])
    for record in recorded.readable:
        if record.ref.kind == "ModelDeployment":
            for label, use in _of(record.ref, state_of(status_of(record), DeploymentState)):
                found[label] = (*found.get(label, ()), use)
    return found


def _of(ref: Ref, state: DeploymentState) -> Iterator[tuple[str, ModelUse]]:
    share, rollout = 100, state.rollout
    if rollout is not None:
        stepping = rollout.canary.phase is CanaryPhase.STEPPING and state.stable is not None
        weight = rollout.canary.weight if stepping else 0
        share -= weight
        yield rollout.version.label, ModelUse(ref, "candidate", weight, commit=rollout.version.commit)
    if state.stable is not None:
        yield state.stable.label, ModelUse(ref, "stable", share, state.stable_since, state.stable.commit)
