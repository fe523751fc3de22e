"""What a plan is made of, gathered: what git changes, what that may run into, and what nobody looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from controllers.revision import acceptance
from controllers.revision.acceptance import Terms
from controllers.revision.snapshot import Snapshot
from framework.api.meta import Ref
from framework.kinds.environment import windows
from framework.kinds.environment.spec import CATEGORIES as ENVIRONMENT_CATEGORIES
from framework.planning.grammar.changes import Change, Plan
from framework.planning.grammar.kind import Kind
from framework.planning.plan.compare import compare, environment_change
from framework.planning.plan.estimate import Known
from framework.planning.plan.planner import Compared, Inputs, build_plan


def between(
    environment: str,
    before: Snapshot | None,
    after: Snapshot,
    kinds: Mapping[str, Kind],
    created: datetime,
    terms: Terms | None = None,
) -> Plan:
    """What changes from one commit to the next, and what a controller would say with ``before`` in force. Nothing live
    is looked at, so nothing is said of what exists."""
    git, terms = compared(environment, before, after, kinds), terms or Terms()
    recorded = list(before.desired) if before else []
    return build_plan(
        environment, git, None, kinds, Known(same_cluster=same_cluster(before, after)), created,
        refusals=acceptance.refusals(environment, before, after, git.changes, recorded, kinds, None, terms),
        unseen=_unseen(before, after, terms),
    )  # fmt: skip


def compared(environment: str, before: Snapshot | None, after: Snapshot, kinds: Mapping[str, Kind]) -> Compared:
    """What git changes, the Environment itself included."""
    changes = compare(before.desired if before else {}, after.desired, kinds)
    return Compared(before, after, changes, _environment_change(environment, before, after))


def same_cluster(before: Snapshot | None, after: Snapshot) -> bool:
    return before is None or before.environment.ray == after.environment.ray


def requests(inputs: Iterable[Inputs]) -> dict[Ref, int]:
    """Requests that the routers of each endpoint have counted since they started."""
    serving = ((item, item.kind.serving) for item in inputs)
    counted = ((item.ref, kind.requests(item.observed)) for item, kind in serving if kind is not None)
    return {ref: requests for ref, requests in counted if requests is not None}


def _unseen(before: Snapshot | None, after: Snapshot, terms: Terms) -> tuple[str, ...]:
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


def _environment_change(name: str, before: Snapshot | None, after: Snapshot) -> Change | None:
    """With how long its windows close, where they change: cron expressions do not say that."""
    old, new = before.environment if before else None, after.environment
    change = environment_change(name, old, new, ENVIRONMENT_CATEGORIES)
    closed = windows.described(new) if old is not None and old.windows != new.windows else ""
    return replace(change, reason=f"{change.reason}; {closed}") if change is not None and closed else change
