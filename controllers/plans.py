"""From what was read and observed to a whole plan: what changes, what that costs, and why it may not be."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from controllers.loaded import Loaded
from framework.api.meta import Ref
from framework.kinds.environment import windows
from framework.kinds.environment.policies import refusals as policy_refusals
from framework.kinds.environment.spec import CATEGORIES as ENVIRONMENT_CATEGORIES
from framework.kinds.model_deployment.observed import DeploymentObserved
from framework.planning.breaking import unacknowledged
from framework.planning.changes import Change, Desired, Plan, Refusal
from framework.planning.compare import compare, environment_change
from framework.planning.estimate import Known, forecast
from framework.planning.explained import explained
from framework.planning.kind import Kind
from framework.planning.planner import Inputs
from framework.planning.pruning import too_much

Specs = Mapping[Ref, Desired[Any]]


def between(
    environment: str, before: Loaded | None, after: Loaded, kinds: Mapping[str, Kind], created: datetime
) -> Plan:
    """What changes from one commit to the next. Nothing live is looked at, so nothing is said of what exists."""
    old = before.desired if before else {}
    compared = compare(old, after.desired, kinds)
    plan = Plan(
        environment=environment,
        commit=after.commit,
        snapshot_digest=after.digest,
        observation_digest="",
        changes=compared,
        created=created,
        base=before.commit if before else "",
    )
    return _complete(plan, compared, before, after, kinds, Known(), _guard(old, after))


def live(
    plan: Plan,
    before: Loaded | None,
    after: Loaded,
    kinds: Mapping[str, Kind],
    known: Known,
    guarded: Collection[Ref],
) -> Plan:
    """``plan`` of a pass, with what it comes from. ``before`` is the revision in force, None before the first;
    ``guarded`` what is on record, and empty where the operator lets any share of it go."""
    compared = compare(before.desired if before else {}, after.desired, kinds)
    told = replace(plan, changes=explained(plan.changes, compared), base=before.commit if before else "")
    return _complete(told, compared, before, after, kinds, known, _guard(guarded, after))


def requests(inputs: Iterable[Inputs]) -> dict[Ref, int]:
    """Requests that the routers of each endpoint have counted since they started."""
    return {
        item.ref: sum(counters.requests for replica in route.replicas for counters in replica.versions.values())
        for item in inputs
        if isinstance(item.observed, DeploymentObserved) and (route := item.observed.route) is not None
    }


def _complete(
    plan: Plan,
    compared: Sequence[Change],
    before: Loaded | None,
    after: Loaded,
    kinds: Mapping[str, Kind],
    known: Known,
    refusals: tuple[Refusal, ...],
) -> Plan:
    old: Specs = before.desired if before else {}
    environment = _environment_change(plan.environment, before, after)
    same = before is None or before.environment.ray == after.environment.ray
    known = replace(known, same_cluster=same)
    return replace(
        plan,
        changes=(*([environment] if environment else []), *plan.changes),
        forecast=forecast(plan.changes, old, after.desired, kinds, known),
        refusals=(
            *unacknowledged(old, after.desired, kinds),
            *policy_refusals(after.environment, compared),
            *refusals,
        ),
    )


def _environment_change(name: str, before: Loaded | None, after: Loaded) -> Change | None:
    """With how long its windows close, where they change: cron expressions do not say that."""
    old, new = before.environment if before else None, after.environment
    change = environment_change(name, old, new, ENVIRONMENT_CATEGORIES)
    closed = windows.described(new) if old is not None and old.windows != new.windows else ""
    return replace(change, reason=f"{change.reason}; {closed}") if change is not None and closed else change


def _guard(recorded: Collection[Ref], after: Loaded) -> tuple[Refusal, ...]:
    found = too_much(recorded, after.desired, after.environment.deletion.maxShare)
    return () if found is None else (found,)
