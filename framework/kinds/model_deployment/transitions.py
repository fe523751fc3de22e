"""How the versions of a deployment change places: begun, promoted, rejected, withdrawn. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from framework.kinds.model_deployment.demands import demands, sentence
from framework.kinds.model_deployment.naming import named
from framework.kinds.model_deployment.observed import (
    DeploymentObserved,
    DeploymentState,
    Quarantine,
    Retiring,
    Rollout,
    ServedVersion,
    TrialTerms,
)
from framework.kinds.model_deployment.traffic import serves, table_digest
from framework.planning.grammar import reasons
from framework.planning.grammar.changes import NewEvent
from framework.ports import Json
from framework.rollout.canary import advance, begin
from framework.rollout.state import CanaryPhase, CanaryState, Course, Decision, Reason, Signals
from framework.rollout.strategies import Canary

KEPT_PROMOTIONS = 50
KEPT_QUARANTINES = 20


@dataclass(frozen=True)
class Moved:
    state: DeploymentState
    events: tuple[NewEvent, ...] = ()


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
    return Moved(adopted, (NewEvent(reasons.ADOPTED, message, _names(version)),))


def aim(
    state: DeploymentState, wanted: ServedVersion | None, canary: Canary, terms: TrialTerms, now: datetime
) -> Moved:
    """Take up what git asks for now: begin it, leave it running, or give up a candidate that is no longer asked for."""
    rollout = state.rollout
    if wanted is None:
        return withdraw(state, reasons.SUPERSEDED, "what git asks for now is not ready to serve", now)
    if rollout is not None and rollout.version.identity == wanted.identity:
        return Moved(_with_rollout(state, _brought_up_to_date(rollout, wanted, terms)))
    if state.stable is not None and state.stable.identity == wanted.identity:
        return withdraw(state, reasons.WITHDRAWN, "git asks for the stable version again", now)
    entry = state.rejected(wanted.identity)
    if entry is not None and entry.stands(terms):
        return withdraw(state, reasons.SUPERSEDED, f"git asks for {wanted.label}, which was rejected before", now)
    label = named(wanted, state.stable)
    moved = withdraw(state, reasons.SUPERSEDED, f"git asks for {label} now", now)
    returning = returns_at_once(state, canary, wanted.identity)
    begun = Rollout(version=wanted, canary=begin(canary, now, returning=returning), terms=terms)
    update = {
        "rollout": begun,
        "retiring": tuple(item for item in moved.state.retiring if item.app != wanted.app),
        "quarantined": tuple(item for item in moved.state.quarantined if item.identity != wanted.identity),
    }
    message = f"{label} as {wanted.app}{', which served before' if returning else ''}"
    asked = demands(wanted, state.stable) if state.stable else ()
    if asked:
        message += f"; {sentence(asked)}"
    if wanted.arguments.trial is None:
        message += "; it starts untried: of its training set no rows were kept"
    lifted = NewEvent(reasons.QUARANTINE_LIFTED, f"{label}: git asks for it in another way", _names(wanted))
    again = (lifted,) if entry else ()
    data = {**_names(wanted), "returning": returning, "demands": [[item.path, item.after] for item in asked]}
    started = NewEvent(reasons.ROLLOUT_STARTED, message, data)
    return Moved(moved.state.model_copy(update=update), (*moved.events, *again, started))


def _brought_up_to_date(rollout: Rollout, wanted: ServedVersion, terms: TrialTerms) -> Rollout:
    """The terms under which it would be rejected now. What its app is started with may change until it runs."""
    starting = rollout.canary.phase is CanaryPhase.STARTING
    return rollout.model_copy(update={"terms": terms, **({"version": wanted} if starting else {})})


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


def withdraw(state: DeploymentState, reason: reasons.Reason, message: str, now: datetime) -> Moved:
    """Take back a candidate that has done nothing wrong: no quarantine."""
    if state.rollout is None:
        return Moved(state)
    version = state.rollout.version
    freed = retire(state.model_copy(update={"rollout": None}), version.app, timedelta(0), now)
    return Moved(freed, (NewEvent(reason, f"{named(version, state.stable)}: {message}", _names(version)),))


def retire(state: DeploymentState, app: str, delay: timedelta, now: datetime) -> DeploymentState:
    """Let ``app`` go once ``delay`` has passed and no router uses it any more."""
    entry = Retiring(app=app, since=now, delay=delay)
    return state.model_copy(update={"retiring": (*(item for item in state.retiring if item.app != app), entry)})


def watch_stable(state: DeploymentState, observed: DeploymentObserved, now: datetime) -> DeploymentState:
    """Note since when the stable version does not answer."""
    stable = state.stable
    lost = stable is not None and not serves(observed.apps.get(stable.app))
    return state.model_copy(update={"stable_lost": (state.stable_lost or now) if lost else None})


def roll(
    state: DeploymentState, canary: Canary, observed: DeploymentObserved, *, in_place: bool, now: datetime
) -> Moved:
    """Move the candidate on by one look. ``in_place``: the live table is the one asked for, and the routers took it."""
    rollout = state.rollout
    if rollout is None:
        return Moved(state)
    stable = observed.apps.get(state.stable.app) if state.stable else None
    app = observed.apps.get(rollout.version.app)
    signals = Signals(
        candidate=rollout.version.app,
        stable=state.stable.app if state.stable else "",
        candidate_phase=app.phase if app else None,
        candidate_message=app.message if app else "",
        applied=in_place,
        replicas=observed.route.replicas if observed.route else (),
        deployment=observed.ref.name,
        stable_lost=state.stable_lost,
        stable_message=stable.message if stable else "",
    )
    at, decision = advance(canary, rollout.canary, signals, now)
    match decision.course:
        case Course.PROMOTE:
            return _promote(state, rollout, canary, decision, now)
        case Course.ABORT:
            return reject(state, rollout, canary, decision, now)
        case Course.CONTINUE:
            met = at.phase is CanaryPhase.STEPPING and (at.weight > 0 or canary.match is not None)
            rolled = rollout.model_copy(update={"exposed": rollout.exposed or met})
            return Moved(with_canary(state, rolled, at), _step_events(state, rollout, at))


def with_canary(state: DeploymentState, rollout: Rollout, canary: CanaryState) -> DeploymentState:
    return _with_rollout(state, rollout.model_copy(update={"canary": canary}))


def _with_rollout(state: DeploymentState, rollout: Rollout) -> DeploymentState:
    return state.model_copy(update={"rollout": rollout})


def _step_events(state: DeploymentState, rollout: Rollout, canary: CanaryState) -> tuple[NewEvent, ...]:
    before, label = rollout.canary, named(rollout.version, state.stable)
    if canary.weight != before.weight:
        data = {"app": rollout.version.app, "before": before.weight, "after": canary.weight}
        return (NewEvent(reasons.WEIGHT_CHANGED, f"{label} from {before.weight} % to {canary.weight} %", data),)
    told = (Reason.INCONCLUSIVE, Reason.PAUSED, Reason.UNHEALTHY, Reason.STABLE_UNAVAILABLE)
    if canary.reason != before.reason and canary.reason in told:
        reason = reasons.Reason(canary.reason.value)
        return (NewEvent(reason, f"{label}: {canary.message}", {"app": rollout.version.app}),)
    return ()


def _promote(state: DeploymentState, rollout: Rollout, canary: Canary, decision: Decision, now: datetime) -> Moved:
    version, old = rollout.version, state.stable
    promoted = state.model_copy(
        update={
            "stable": version,
            "stable_since": now,
            "stable_lost": None,
            "rollout": None,
            "promoted": (*_before(state.promoted, version.identity), version.identity)[-KEPT_PROMOTIONS:],
        }
    )
    if old is not None:
        promoted = retire(promoted, old.app, canary.scaleDownDelay, now)
    data = {
        **_names(version),
        "before": old.label if old else None,
        "after": version.label,
        "cause": decision.reason.value,
        "verdicts": [verdict.model_dump(mode="json") for verdict in decision.verdicts],
    }
    instead = f" instead of {named(old, version)}" if old else ""
    message = f"{named(version, old)} serves all traffic{instead}: {decision.message}"
    lost = decision.reason is Reason.STABLE_LOST
    first = (NewEvent(reasons.STABLE_LOST, decision.message, {"app": old.app}),) if lost and old else ()
    return Moved(promoted, (*first, NewEvent(reasons.PROMOTED, message, data)))


def _before(promoted: tuple[str, ...], identity: str) -> tuple[str, ...]:
    """What served before ``identity`` did for the first time that counts; all of it where it never did."""
    return promoted[: promoted.index(identity)] if identity in promoted else promoted


def reject(state: DeploymentState, rollout: Rollout, canary: Canary, decision: Decision, now: datetime) -> Moved:
    """Turn the candidate away, and remember that."""
    version = rollout.version
    entry = Quarantine(
        identity=version.identity,
        label=version.label,
        reason=decision.reason,
        message=decision.message,
        time=now,
        verdicts=decision.verdicts,
        terms=rollout.terms,
        exposed=rollout.exposed or decision.reason is Reason.ABORTED,
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
        (NewEvent(reasons.CANDIDATE_REJECTED, f"{named(version, state.stable)}: {decision.message}", data),),
    )
