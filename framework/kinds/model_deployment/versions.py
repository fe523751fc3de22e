"""The versions that a deployment serves: what the log tells of them, and which one another environment may take over.
Pure."""

from __future__ import annotations

from collections.abc import Mapping

from framework.api.meta import Ref
from framework.kinds.model_deployment.exposure import exposure
from framework.kinds.model_deployment.observed import DeploymentObserved, DeploymentState
from framework.kinds.model_deployment.spec import ModelDeploymentSpec
from framework.planning.grammar import reasons
from framework.planning.grammar.changes import Status
from framework.planning.grammar.kind import ModelName, Says, Serves, Versions
from framework.planning.grammar.remembered import state_of
from framework.ports import Json


def _requests(observed: DeploymentObserved) -> int | None:
    route = observed.route
    if route is None:
        return None
    return sum(counters.requests for replica in route.replicas for counters in replica.versions.values())


def _label(ref: Ref, data: Mapping[str, Json]) -> str:
    return str(data.get("version", ""))


def _asked(spec: ModelDeploymentSpec) -> ModelName:
    return ModelName(spec.model.training, spec.model.version)


def _live(status: Status) -> ModelName | str:
    state = state_of(status, DeploymentState)
    if state.stable is None:
        return "serves nothing yet"
    if state.rollout is not None:
        return f"a rollout of {state.rollout.version.label} is under way"
    if not status.conditions.ready.status:
        return f"is not ready: {status.conditions.ready.message or status.conditions.ready.reason}"
    if state.rejected(state.stable.identity) is not None:
        return f"{state.stable.label} was turned down"
    return ModelName(state.stable.training, state.stable.version)


VERSIONS = Versions(
    {
        reasons.ROLLOUT_STARTED: Says.TRIED,
        reasons.WEIGHT_CHANGED: Says.WEIGHED,
        reasons.CANDIDATE_REJECTED: Says.GIVEN_UP,
        reasons.SUPERSEDED: Says.GIVEN_UP,
        reasons.WITHDRAWN: Says.GIVEN_UP,
        reasons.PROMOTED: Says.COUNTS,
        reasons.ADOPTED: Says.COUNTS,
    },
    _label,
)
SERVING = Serves(exposure, _requests, "model.version", _asked, _live)
