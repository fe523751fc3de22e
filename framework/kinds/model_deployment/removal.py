"""Taking a deployment out of service. Pure."""

from __future__ import annotations

from datetime import datetime

from framework.api.categories import Category
from framework.api.conditions import transition
from framework.kinds.model_deployment.observed import DeploymentObserved
from framework.kinds.model_deployment.target import owns
from framework.kinds.model_deployment.traffic import acknowledged
from framework.planning.grammar.actions import Action, DeleteApp, DeleteRoute
from framework.planning.grammar.changes import Change, Status, Verb
from framework.planning.grammar.reasons import DELETING
from framework.planning.plan.outcomes import removed
from framework.planning.plan.runs import POLL
from framework.ports import AppPhase


def remove(observed: DeploymentObserved, status: Status | None, now: datetime) -> Change:
    """The route first, so that no request is sent to an app that goes; the apps once the route is gone, or, where
    another deployment took it over, once its router waits for no answer of theirs."""
    left = {name: app for name, app in observed.apps.items() if owns(observed.ref.name, name)}
    if observed.route is None and not left:
        return removed(observed.ref)
    actions: tuple[Action, ...]
    inventory = {f"app:{name}" for name in left}
    if observed.route is not None:
        inventory.add(f"route:{observed.ref.name}")
        deleting = observed.route.phase is AppPhase.DELETING
        actions = () if deleting else (DeleteRoute(observed.ref.name),)
    elif _drained(observed, status, now):
        actions = tuple(DeleteApp(name) for name, app in sorted(left.items()) if app.phase is not AppPhase.DELETING)
    else:
        actions = ()
    message = "removed from git: takes it out of service"
    conditions = transition(
        status.conditions if status else None, now, ready=False, reconciling=True, reason=DELETING, message=message
    )
    base = status or Status(commit="", identity="", digest="", conditions=conditions)
    # Whoever asks for it again before it is gone finds missing what was taken away here, not by other hands.
    state = {**base.state, "digests": {}, "table": ""} if base.state else {}
    return Change(
        observed.ref,
        Verb.DELETE,
        Category.METADATA,
        message,
        base.model_copy(update={"conditions": conditions, "summary": "goes out of service", "state": state}),
        actions=actions,
        inventory=frozenset(inventory),
        requeue_after=POLL,
    )


def _drained(observed: DeploymentObserved, status: Status | None, now: datetime) -> bool:
    held = observed.held
    since = status.conditions.reconciling.since if status else now
    return held is None or acknowledged(held, held.spec.generation, since, now)
