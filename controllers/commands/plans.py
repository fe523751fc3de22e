"""From what was read and observed to a whole plan: what changes, what that costs, and why it may not be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from controllers.revision import acceptance
from controllers.revision.acceptance import Terms
from controllers.revision.loaded import Loaded
from framework.api.meta import Ref
from framework.kinds.environment import windows
from framework.kinds.environment.spec import CATEGORIES as ENVIRONMENT_CATEGORIES
from framework.planning.grammar.changes import Change, Desired, Plan, Refusal
from framework.planning.grammar.kind import Kind
from framework.planning.plan.compare import compare, environment_change
from framework.planning.plan.estimate import Known, forecast
from framework.planning.plan.explained import explained
from framework.planning.plan.planner import Inputs, plan_all

Specs = Mapping[Ref, Desired[Any]]


def between(
    environment: str,
    before: Loaded | None,
    after: Loaded,
    kinds: Mapping[str, Kind],
    created: datetime,
    terms: Terms | None = None,
) -> Plan:
    """What changes from one commit to the next, and what a controller would say with ``before`` in force. Nothing live
    is looked at, so nothing is said of what exists."""
    old = before.desired if before else {}
    compared, terms = compare(old, after.desired, kinds), terms or Terms()
    plan = Plan(
        environment=environment,
        commit=after.commit,
        snapshot_digest=after.digest,
        observation_digest="",
        changes=compared,
        created=created,
        base=before.commit if before else "",
        refusals=acceptance.refusals(environment, before, after, compared, list(old), kinds, None, terms),
        unseen=_unseen(before, after, terms),
    )
    return _complete(plan, before, after, kinds, Known())


def live(
    plan: Plan,
    before: Loaded | None,
    after: Loaded,
    compared: Sequence[Change],
    kinds: Mapping[str, Kind],
    known: Known,
) -> Plan:
    """``plan`` of a pass, with what it comes from. ``before`` is the revision in force, None before the first, and
    ``compared`` what differs from it."""
    told = replace(plan, changes=explained(plan.changes, compared), base=before.commit if before else "")
    return _complete(told, before, after, kinds, known)


def unread(
    environment: str, commit: str, base: str | None, refusals: tuple[Refusal, ...], created: datetime, *, live: bool
) -> Plan:
    """Of a commit that is refused before it is read: nothing is known of what it would change. ``live``: it was held
    against what is in force, and not against another commit."""
    plan = plan_all(environment, commit, "", (), created)
    seen = plan.observation_digest if live else ""
    return replace(plan, observation_digest=seen, base=base or "", refusals=refusals)


def requests(inputs: Iterable[Inputs]) -> dict[Ref, int]:
    """Requests that the routers of each endpoint have counted since they started."""
    serving = ((item, item.kind.serving) for item in inputs)
    counted = ((item.ref, kind.requests(item.observed)) for item, kind in serving if kind is not None)
    return {ref: requests for ref, requests in counted if requests is not None}


def _complete(plan: Plan, before: Loaded | None, after: Loaded, kinds: Mapping[str, Kind], known: Known) -> Plan:
    old: Specs = before.desired if before else {}
    environment = _environment_change(plan.environment, before, after)
    same = before is None or before.environment.ray == after.environment.ray
    known = replace(known, same_cluster=same)
    return replace(
        plan,
        changes=(*([environment] if environment else []), *plan.changes),
        forecast=forecast(plan.changes, old, after.desired, kinds, known),
    )


def _unseen(before: Loaded | None, after: Loaded, terms: Terms) -> tuple[str, ...]:
    """What a controller goes by when it decides, and two commits alone do not tell."""
    found = ["which commit is in force, so whether history was rewritten, a pin stands or a window is closed"]
    if not terms.signed:
        found.append("signatures")
    if after.environment.deletion.prune and not terms.allow_prune:
        found.append("what is on record, of which too much may go")
    changed = acceptance.moved(before.environment, after.environment) if before is not None else ()
    if changed:
        found.append(
            f"whether a controller runs, which refuses a changed {' and '.join(changed)} until it is restarted"
        )
    return tuple(found)


def _environment_change(name: str, before: Loaded | None, after: Loaded) -> Change | None:
    """With how long its windows close, where they change: cron expressions do not say that."""
    old, new = before.environment if before else None, after.environment
    change = environment_change(name, old, new, ENVIRONMENT_CATEGORIES)
    closed = windows.described(new) if old is not None and old.windows != new.windows else ""
    return replace(change, reason=f"{change.reason}; {closed}") if change is not None and closed else change
