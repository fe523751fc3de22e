"""Plans as the demo project produces them, fixed to the second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.planning.grammar.actions import (
    DeleteTable,
    DeployApp,
    SetRoute,
    SubmitRun,
)
from framework.planning.grammar.changes import Change, NewEvent, Plan, Refusal, Verb
from framework.planning.grammar.snapshot import Snapshot
from framework.planning.plan.breaking import unacknowledged
from framework.planning.plan.compare import compare
from framework.planning.plan.durations import Durations
from framework.planning.plan.estimate import Known
from framework.planning.plan.planner import Compared, Looked, build_plan, unread_plan
from framework.ports import (
    Capacity,
    RunSpec,
)
from tests.unit.render.samples import (
    ACTIONS,
    AFTER,
    APP,
    BEFORE,
    BROKEN,
    COMMIT,
    DEPARTURES,
    DEPLOYMENT,
    MONITOR,
    NEW,
    NOW,
    OLD_COMMIT,
    OLD_VIEW,
    RANKING,
    ROUTE,
    TRAINING,
    WEATHER,
    status,
)


def change(ref: Ref, verb: Verb, reason: str = "because", **more: Any) -> Change:
    category = more.pop("category", Category.NOOP)
    return Change(ref, verb, category, reason, more.pop("status", None), **more)


KNOWN = Known(
    durations=Durations({WEATHER: (150.0, 185.0, 190.0), TRAINING: (5400.0,)}),
    capacity=Capacity({"CPU": 16.0, "GPU": 2.0}, {"CPU": 12.5, "GPU": 1.0}),
    requests={DEPLOYMENT: 824, RANKING: 176},
)


def plan(
    *changes: Change,
    before: Snapshot[Any] = AFTER,
    after: Snapshot[Any] = AFTER,
    known: Known = KNOWN,
    refusals: tuple[Refusal, ...] = (),
) -> Plan:
    """What a look at what runs comes to, where a pass would make ``changes``."""
    git = Compared(before, after, compare(before.desired, after.desired, KINDS))
    return build_plan("local", git, Looked(changes, "0b0b0b0b0b"), KINDS, known, NOW, refusals=refusals)


CHANGES = (
    change(
        DEPARTURES,
        Verb.NOOP,
        "336,776 rows in version 0 of 1a1a1a1a1a",
        status=status("1a1a1a1a1a", "Published", summary="336,776 rows, version 0"),
    ),
    change(
        WEATHER,
        Verb.UPDATE,
        "the transform changed",
        category=Category.MATERIALIZE,
        status=status("2b2b2b2b2b", "Materializing", reconciling=True),
        actions=(SubmitRun(RunSpec("features-weather-hourly-2b2b2b2b2b", 1, "w:run", {}, "/store", "materialize")),),
        inventory=frozenset({"/store/features/weather-hourly/2b2b2b2b2b", "/store/features/weather-hourly/0"}),
        requeue_after=timedelta(seconds=0.5),
        events=(NewEvent("MaterializationStarted", "attempt 1", {"attempt": 1}),),
    ),
    change(
        TRAINING,
        Verb.WAIT,
        "FeatureView/weather-hourly comes first: its new version is not published yet, and a model must not be trained "
        "on the columns of the old one",
        category=Category.RETRAIN,
        status=status("aa11bb22cc", "WaitsForUpstream", reconciling=True),
        requeue_after=timedelta(seconds=30),
        waits_for=(WEATHER, DEPARTURES),
    ),
    change(
        DEPLOYMENT,
        Verb.REPLACE,
        "aa11bb22cc passed its gates",
        category=Category.REDEPLOY,
        status=status("5e6f7a8b9c", "RollingOut", reconciling=True),
        actions=(DeployApp(APP), SetRoute(ROUTE)),
    ),
    change(
        RANKING,
        Verb.WAIT,
        "needs 14 CPUs; 12.5 of 16 CPUs are free",
        status=status("7d7d7d7d7d", "WaitingForRoom", reconciling=True),
        requeue_after=timedelta(seconds=30),
    ),
    change(
        MONITOR,
        Verb.CREATE,
        "watches delay",
        category=Category.RELOAD,
        status=status("6c6c6c6c6c", "WaitsForTraffic", ready=False, reconciling=True),
    ),
    change(
        OLD_VIEW,
        Verb.DELETE,
        "removed from git",
        category=Category.METADATA,
        actions=(DeleteTable("/store/features/planes/3333333333"),),
        events=(NewEvent("Deleted", "removed from git"),),
    ),
)
MIXED = plan(*CHANGES, before=BEFORE)
CONVERGED = plan(
    change(DEPARTURES, Verb.NOOP, status=status("1a1a1a1a1a", "Published")),
    change(TRAINING, Verb.NOOP, status=status("aa11bb22cc", "Deployable")),
)
EVERY_ACTION = plan(
    change(DEPLOYMENT, Verb.UPDATE, category=Category.REDEPLOY, actions=ACTIONS),
    known=replace(KNOWN, requests={DEPLOYMENT: 4, RANKING: 996}),
)
ODD_DURATION = plan(change(DEPLOYMENT, Verb.WAIT, requeue_after=timedelta(days=3, microseconds=1)))
REFUSED = plan(
    *CHANGES[:-1],
    change(NEW, Verb.CREATE, "deploys aa11bb22cc", category=Category.REDEPLOY),
    CHANGES[-1],
    before=BEFORE,
    after=BROKEN,
    refusals=(
        *unacknowledged(BEFORE.desired, BROKEN.desired, KINDS),
        Refusal(OLD_VIEW, "DeniedByPolicy", "nothing goes in December (a policy denies Delete of FeatureView)"),
    ),
)
COMPARED = build_plan(
    "local",
    Compared(BEFORE, AFTER, compare(BEFORE.desired, AFTER.desired, KINDS)),
    None,
    KINDS,
    Known(),
    NOW,
    unseen=("which commit is in force", "what is on record, of which too much may go"),
)
PLANS: Mapping[str, Plan] = {
    "refused": REFUSED,
    "compared": COMPARED,
    "mixed": MIXED,
    "converged": CONVERGED,
    "every action": EVERY_ACTION,
    "odd duration": ODD_DURATION,
    "empty": plan(),
    "unread": unread_plan("local", COMMIT, OLD_COMMIT, REFUSED.refusals[:1], NOW, live=True),
}
