"""How the versions of a deployment change places: begun, promoted, rejected, withdrawn. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from framework.kinds.model_deployment.observed import (
    DeploymentObserved,
    DeploymentState,
    Quarantine,
    Retiring,
    Rollout,
    ServedVersion,
)
from framework.kinds.model_deployment.traffic import serves, table_digest
from framework.planning.changes import Happening
from framework.ports import Json
from framework.rollout.canary import advance, begin
from framework.rollout.state import CanaryState, Course, Decision, Reason, Signals
from framework.rollout.strategies import Canary

KEPT_PROMOTIONS = 50
KEPT_QUARANTINES = 20


@dataclass(frozen=True)
class Moved:
    state: DeploymentState
    happenings: tuple[Happening, ...] = ()


def adopt(state: DeploymentState, observed: DeploymentObserved, now: datetime) -> Moved:
    """Take over what serves where nobody remembers it, because the record was lost or forgotten: it is the stable
    version, at the table that is in force. Beginning anew would move all traffic to whatever git asks for, untried."""
    version, route = observed.found, observed.route
    if state.stable is not None or version is None or route is None or version.app not in observed.apps:
        return Moved(state)
    adopted = state.model_copy(
        update={
            "stable": version,
            "stable_since": now,
            "promoted": (*state.promoted, version.identity),
            "generation": route.spec.generation,
            "table": table_digest(route.spec),
            "table_since": now,
            "digests": {version.app: observed.apps[version.app].digest},
        }
    )
    message = f"{version.label} serves as {version.app} already, and is taken over as it is"
    return Moved(adopted, (Happening("Adopted", message, _names(version)),))


def aim(state: DeploymentState, wanted: ServedVersion | None, canary: Canary, now: datetime) -> Moved:
    """Take up what git asks for now: begin it, leave it running, or give up a candidate that is no longer asked for."""
    rollout = state.rollout
    if wanted is None:
        return withdraw(state, "Superseded", "what git asks for now is not ready to serve", now)
    if rollout is not None and rollout.version.identity == wanted.identity:
        return Moved(state)
    if state.stable is not None and state.stable.identity == wanted.identity:
        return withdraw(state, "Withdrawn", "git asks for the stable version again", now)
    if state.rejected(wanted.identity) is not None:
        return withdraw(state, "Superseded", f"git asks for {wanted.label}, which was rejected before", now)
    moved = withdraw(state, "Superseded", f"git asks for {wanted.label} now", now)
    returning = returns_at_once(state, canary, wanted.identity)
    begun = Rollout(version=wanted, canary=begin(canary, now, returning=returning))
    retiring = tuple(item for item in moved.state.retiring if item.app != wanted.app)
    data = {**_names(wanted), "returning": returning}
    message = f"{wanted.label} as {wanted.app}{', which served before' if returning else ''}"
    return Moved(
        moved.state.model_copy(update={"rollout": begun, "retiring": retiring}),
        (*moved.happenings, Happening("RolloutStarted", message, data)),
    )


def _names(version: ServedVersion) -> dict[str, Json]:
    """What an event says of the version that it is about, so that the log alone tells what served when."""
    return {
        "app": version.app,
        "version": version.label,
        "training": version.training,
        "model": version.version,
        "identity": version.identity,
        "commit": version.commit,
    }


def returns_at_once(state: DeploymentState, canary: Canary, identity: str) -> bool:
    """Whether a version served lately, before the stable one, and may return without analysis."""
    revisions = canary.rollbackWindow.revisions
    return revisions > 0 and identity in state.promoted[:-1][-revisions:]


def withdraw(state: DeploymentState, reason: str, message: str, now: datetime) -> Moved:
    """Take back a candidate that has done nothing wrong: no quarantine."""
    if state.rollout is None:
        return Moved(state)
    version = state.rollout.version
    freed = state.model_copy(update={"rollout": None})
    data = _names(version)
    return Moved(
        retire(freed, version.app, timedelta(0), now), (Happening(reason, f"{version.label}: {message}", data),)
    )


def retire(state: DeploymentState, app: str, delay: timedelta, now: datetime) -> DeploymentState:
    """Let ``app`` go once ``delay`` has passed and no router uses it any more."""
    entry = Retiring(app=app, since=now, delay=delay)
    return state.model_copy(update={"retiring": (*(item for item in state.retiring if item.app != app), entry)})


def roll(
    state: DeploymentState, canary: Canary, observed: DeploymentObserved, *, in_place: bool, now: datetime
) -> Moved:
    """Move the candidate on by one look. ``in_place``: the live table is the one asked for, and the routers took it.

    While stable itself does not answer there is nothing to compare with or to fall back to: all stays as it is.
    """
    rollout = state.rollout
    if rollout is None:
        return Moved(state)
    stable = state.stable
    if stable is not None and not serves(observed.apps.get(stable.app)):
        message = f"waits for the stable {stable.app} to answer again"
        held = rollout.canary.model_copy(update={"reason": Reason.STABLE_UNAVAILABLE, "message": message})
        return Moved(_with(state, rollout, held))
    app = observed.apps.get(rollout.version.app)
    signals = Signals(
        candidate=rollout.version.app,
        stable=stable.app if stable else "",
        candidate_phase=app.phase if app else None,
        candidate_message=app.message if app else "",
        applied=in_place,
        replicas=observed.route.replicas if observed.route else (),
    )
    # With nothing in service there is nothing to protect: the first version takes all the traffic once it runs.
    start = rollout.canary if stable else rollout.canary.model_copy(update={"returning": True})
    next_canary, decision = advance(canary, start, signals, now)
    if not stable:
        next_canary = next_canary.model_copy(update={"returning": rollout.canary.returning})
    match decision.course:
        case Course.PROMOTE:
            return _promote(state, rollout, canary, decision, now)
        case Course.ABORT:
            return _reject(state, rollout, canary, decision, now)
        case Course.CONTINUE:
            return Moved(_with(state, rollout, next_canary), _step_news(rollout, next_canary))


def _with(state: DeploymentState, rollout: Rollout, canary: CanaryState) -> DeploymentState:
    return state.model_copy(update={"rollout": rollout.model_copy(update={"canary": canary})})


def _step_news(rollout: Rollout, canary: CanaryState) -> tuple[Happening, ...]:
    before, label = rollout.canary, rollout.version.label
    if canary.weight != before.weight:
        data = {"app": rollout.version.app, "before": before.weight, "after": canary.weight}
        return (Happening("WeightChanged", f"{label} from {before.weight} % to {canary.weight} %", data),)
    if canary.reason != before.reason and canary.reason in (Reason.INCONCLUSIVE, Reason.PAUSED, Reason.UNHEALTHY):
        return (Happening(canary.reason.value, f"{label}: {canary.message}", {"app": rollout.version.app}),)
    return ()


def _promote(state: DeploymentState, rollout: Rollout, canary: Canary, decision: Decision, now: datetime) -> Moved:
    version, old = rollout.version, state.stable
    promoted = state.model_copy(
        update={
            "stable": version,
            "stable_since": now,
            "rollout": None,
            "promoted": (*state.promoted, version.identity)[-KEPT_PROMOTIONS:],
        }
    )
    if old is not None:
        promoted = retire(promoted, old.app, canary.scaleDownDelay, now)
    data = {
        **_names(version),
        "before": old.label if old else None,
        "after": version.label,
        "verdicts": [verdict.model_dump(mode="json") for verdict in decision.verdicts],
    }
    message = f"{version.label} serves all traffic" + (f" instead of {old.label}" if old else "")
    why = decision.message if old else "nothing served before it"
    return Moved(promoted, (Happening("Promoted", f"{message}: {why}", data),))


def _reject(state: DeploymentState, rollout: Rollout, canary: Canary, decision: Decision, now: datetime) -> Moved:
    version = rollout.version
    entry = Quarantine(
        identity=version.identity,
        label=version.label,
        reason=decision.reason,
        message=decision.message,
        time=now,
        verdicts=decision.verdicts,
    )
    rejected = state.model_copy(
        update={"rollout": None, "quarantined": (*state.quarantined, entry)[-KEPT_QUARANTINES:]}
    )
    data = {
        **_names(version),
        "cause": decision.reason.value,
        "verdicts": [verdict.model_dump(mode="json") for verdict in decision.verdicts],
    }
    return Moved(
        retire(rejected, version.app, canary.abort.scaleDownDelay, now),
        (Happening("CandidateRejected", f"{version.label}: {decision.message}", data),),
    )
