"""What a plan comes to: stages, durations, GPU-hours, the peak, the cluster, and who notices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.kinds.model_deployment.spec import ModelDeploymentSpec
from framework.planning.grammar.actions import SubmitRun
from framework.planning.grammar.changes import Change, Desired, Verb
from framework.planning.grammar.forecast import Endpoint, Forecast
from framework.planning.plan.durations import Durations
from framework.planning.plan.estimate import FIRST_ANSWER, Known, forecast
from framework.ports import Capacity, RunSpec
from tests.builders import desired, feature_view_spec, training_spec

A, B = Ref("FeatureView", "a"), Ref("FeatureView", "b")
JOB, ENDPOINT, OTHER = Ref("TrainingJob", "job"), Ref("ModelDeployment", "delay"), Ref("ModelDeployment", "other")
STEPS: list[dict[str, Any]] = [
    {"setWeight": 10},
    {"analyze": {"for": "1m"}},
    {"pause": {"for": "30s"}},
    {"setWeight": 100},
]
ROLLOUT_SECONDS = 90.0
DURATIONS = Durations({A: (10.0,), B: (100.0,), JOB: (40.0,)})
RUN = SubmitRun(RunSpec("r", 1, "w:run", {}, "/store", "r"))

Specs = dict[Ref, Desired[Any]]


def serving(
    ref: Ref, *, gpus: float = 0.0, replicas: int = 1, steps: list[dict[str, Any]] = STEPS, **strategy: Any
) -> Desired[Any]:
    chosen = strategy or {"canary": {"steps": steps}}
    spec = {
        "model": {"training": "job"},
        "serving": {
            "route": f"/{ref.name}",
            "replicas": {"min": 1, "max": replicas},
            "resources": {"cpus": 0.5, "gpus": gpus},
        },
        "strategy": chosen,
    }
    return desired(ref, ModelDeploymentSpec.model_validate(spec), upstream={JOB: "1"})


def project(*, gpus: float = 1.0, **endpoint: Any) -> Specs:
    """Two views side by side, the second reading the first; a job on both; an endpoint."""
    job = training_spec(resources={"workers": 2, "cpusPerWorker": 1, "gpusPerWorker": gpus})
    items = [
        desired(A, feature_view_spec()),
        desired(B, feature_view_spec()),
        desired(JOB, job, upstream={A: "1", B: "1"}),
        serving(ENDPOINT, **endpoint),
    ]
    return {item.ref: item for item in items}


def change(ref: Ref, category: Category, verb: Verb = Verb.UPDATE, **more: Any) -> Change:
    return Change(ref, verb, category, "", None, **more)


ALL = (
    change(A, Category.MATERIALIZE),
    change(B, Category.MATERIALIZE),
    change(JOB, Category.RETRAIN),
    change(ENDPOINT, Category.REDEPLOY),
)
SPECS = project()


def of(
    changes: tuple[Change, ...] = ALL,
    *,
    before: Mapping[Ref, Desired[Any]] = SPECS,
    after: Mapping[Ref, Desired[Any]] = SPECS,
    known: Known = Known(DURATIONS),
) -> Forecast:
    return forecast(changes, before, after, KINDS, known)


# ------------------------------------------------------------------- work


def test_work_is_staged_by_dependency() -> None:
    assert [(item.ref, item.what, item.stage, item.seconds) for item in of().work] == [
        (A, "materialise", 1, 10.0),
        (B, "materialise", 1, 100.0),
        (JOB, "train", 2, 40.0),
        (ENDPOINT, "roll out", 3, ROLLOUT_SECONDS),
    ]


def test_a_resource_without_work_takes_no_stage() -> None:
    found = of((change(A, Category.MATERIALIZE), change(JOB, Category.METADATA), change(ENDPOINT, Category.REDEPLOY)))
    assert [(item.ref, item.stage) for item in found.work] == [(A, 1), (ENDPOINT, 2)]


def test_the_longest_chain_counts_not_the_sum() -> None:
    assert of().seconds == 100.0 + 40.0 + ROLLOUT_SECONDS
    assert of(()).seconds == 0.0


def test_one_unknown_duration_makes_the_whole_unknown() -> None:
    found = of(known=Known(Durations({A: (10.0,)})))
    assert found.seconds is None
    assert [item.basis for item in found.work] == [
        "its only run",
        "one run of other FeatureViews",
        "never ran",
        "analysis and pauses of its strategy",
    ]


def test_a_run_that_the_plan_starts_is_work_whatever_its_category() -> None:
    found = of((change(A, Category.NOOP, actions=(RUN,)),))
    assert [(item.ref, item.what) for item in found.work] == [(A, "materialise")]


def test_what_is_unchanged_removed_or_only_renamed_is_no_work() -> None:
    assert of((change(A, Category.NOOP, Verb.NOOP), change(JOB, Category.METADATA))).work == ()
    gone = forecast((change(A, Category.METADATA, Verb.DELETE),), SPECS, {}, KINDS, Known(DURATIONS))
    assert gone.work == ()


def test_a_breaking_change_materialises() -> None:
    assert [item.what for item in of((change(A, Category.BREAKING),)).work] == ["materialise"]


# ------------------------------------------------------------------- rollouts


def test_the_first_version_waits_for_nothing() -> None:
    found = of((change(ENDPOINT, Category.REDEPLOY, Verb.CREATE),), before={})
    assert (found.work[0].seconds, found.endpoints[0].first_weight) == (FIRST_ANSWER, 100)
    assert "5 to 30 s" in found.work[0].basis


def test_a_pause_without_end_waits_for_a_person() -> None:
    specs = project(steps=[{"setWeight": 5}, {"pause": {}}, {"setWeight": 100}])
    found = of((change(ENDPOINT, Category.REDEPLOY),), before=specs, after=specs)
    assert (found.work[0].seconds, found.work[0].basis) == (None, "waits for a person")
    assert (found.seconds, found.endpoints[0].first_weight) == (None, 5)


@pytest.mark.parametrize(
    ("strategy", "first_weight", "seconds"),
    [
        ({"blueGreen": {"analyze": {"for": "2m"}}}, 100, 120.0),
        ({"blueGreen": {"autoPromote": False}}, 100, None),
        ({"shadow": {"for": "3m"}}, 100, 180.0),
        ({"abTest": {"weight": 30, "for": "1h", "sticky": {"header": "x"}}}, 30, 3600.0),
        ({"recreate": {}}, 100, 0.0),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_every_strategy_says_how_callers_meet_it(
    strategy: dict[str, Any], first_weight: int, seconds: float | None
) -> None:
    specs = project() | {ENDPOINT: serving(ENDPOINT, **strategy)}
    found = of((change(ENDPOINT, Category.REDEPLOY),), before=specs, after=specs)
    assert (found.endpoints[0].first_weight, found.work[0].seconds) == (first_weight, seconds)


# ------------------------------------------------------------------- needs


def test_gpu_hours_are_those_of_runs_and_rollouts() -> None:
    found = of((change(JOB, Category.RETRAIN),))
    assert found.gpu_hours == pytest.approx(2 * 40 / 3600)
    both = project(replicas=3)
    both[ENDPOINT] = serving(ENDPOINT, gpus=0.5, replicas=3)
    found = of(before=both, after=both)
    assert found.gpu_hours == pytest.approx((2 * 40 + 1.5 * ROLLOUT_SECONDS) / 3600)


def test_gpu_hours_are_unknown_where_a_run_on_gpus_is() -> None:
    assert of(known=Known(Durations({A: (1.0,)}))).gpu_hours is None
    assert of(after=project(gpus=0.0), known=Known(Durations({A: (1.0,)}))).gpu_hours == 0.0


def test_the_peak_is_that_of_the_dearest_stage() -> None:
    found = of()
    assert (found.extra_cpus, found.extra_gpus) == (2.0, 2.0)


def test_a_rollout_holds_both_versions_and_a_larger_one_stays_larger() -> None:
    after = project() | {ENDPOINT: serving(ENDPOINT, gpus=1.0, replicas=4)}
    before = project() | {ENDPOINT: serving(ENDPOINT, gpus=1.0, replicas=2)}
    found = of((change(ENDPOINT, Category.REDEPLOY),), before=before, after=after)
    assert found.extra_gpus == 4.0
    reload = of((change(ENDPOINT, Category.RELOAD),), before=before, after=after)
    assert (reload.work, reload.extra_gpus) == ((), 2.0)


def test_what_stands_from_a_stage_on_counts_in_the_later_ones() -> None:
    second = replace(serving(OTHER, gpus=1.0), upstream={ENDPOINT: "1"})
    after = project() | {ENDPOINT: serving(ENDPOINT, gpus=4.0), OTHER: second}
    changes = (change(ENDPOINT, Category.REDEPLOY, Verb.CREATE), change(OTHER, Category.REDEPLOY, Verb.CREATE))
    assert of(changes, before={}, after=after).extra_gpus == 5.0


@pytest.mark.parametrize(
    ("total", "free", "lacking"),
    [
        (4.0, 2.0, ()),
        (4.0, 1.0, ("2 GPUs at the peak, of which 1 of 4 are free now",)),
        (1.0, 1.0, ("2 GPUs at the peak, and the cluster has 1",)),
    ],
)
def test_what_the_cluster_lacks(total: float, free: float, lacking: tuple[str, ...]) -> None:
    capacity = Capacity({"CPU": 8.0, "GPU": total}, {"CPU": 8.0, "GPU": free})
    found = of(known=Known(DURATIONS, capacity))
    assert (found.lacking, found.capacity) == (lacking, capacity)


def test_each_work_that_does_not_fit_says_so_itself() -> None:
    capacity = Capacity({"CPU": 8.0, "GPU": 4.0}, {"CPU": 8.0, "GPU": 1.0})
    told = {work.ref: work.lacking for work in of(known=Known(DURATIONS, capacity)).work}
    assert {text for text in told.values() if text} == {"2 GPUs, of which 1 of 4 are free now"}
    assert {work.lacking for work in of().work} == {""}


def test_an_unknown_cluster_lacks_nothing_that_we_know_of() -> None:
    assert of().lacking == ()
    assert of().capacity is None


# ------------------------------------------------------------------- who notices


def test_endpoints_with_their_share_of_the_requests() -> None:
    found = of(known=Known(DURATIONS, requests={ENDPOINT: 75, OTHER: 25}))
    assert found.endpoints == (Endpoint(ENDPOINT, "/delay", 0.75, 10),)
    assert of().endpoints == (Endpoint(ENDPOINT, "/delay", None, 10),)


def routed(**routes: str) -> Specs:
    """Endpoints by name, and their routes."""
    found = {}
    for name, route in routes.items():
        base = serving(Ref("ModelDeployment", name))
        raw = base.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        spec = {**raw, "serving": {**raw["serving"], "route": route}}
        found[base.ref] = replace(base, spec=ModelDeploymentSpec.model_validate(spec), digest=route)
    return found


@pytest.mark.parametrize(
    ("before", "after", "same", "notes"),
    [
        ({"a": "/x"}, {"a": "/x"}, True, {"a": ""}),
        ({"a": "/x"}, {}, True, {"a": "nothing answers at /x any more"}),
        ({"a": "/x"}, {"a": "/y"}, True, {"a": "moves to /y; nothing answers at /x any more"}),
        (
            {"a": "/x"},
            {"b": "/x"},
            True,
            {
                "a": "/x is handed over to ModelDeployment/b",
                "b": "handed over from ModelDeployment/a, which serves until this one does",
            },
        ),
        (
            {"a": "/x"},
            {"b": "/x"},
            False,
            {
                "a": "/x is handed over to ModelDeployment/b",
                "b": "OUTAGE: ModelDeployment/a serves it on another Ray, and nobody does until this one runs",
            },
        ),
        (
            {"a": "/x"},
            {"a": "/y", "b": "/x"},
            True,
            {
                "a": "/x is handed over to ModelDeployment/b",
                "b": "taken over from ModelDeployment/a, which moves to /y",
            },
        ),
        (
            {"a": "/x", "b": "/y"},
            {"a": "/y", "b": "/x"},
            True,
            {
                "a": "taken over from ModelDeployment/b, which moves to /x; /x is handed over to ModelDeployment/b",
                "b": "taken over from ModelDeployment/a, which moves to /y; /y is handed over to ModelDeployment/a",
            },
        ),
    ],
)
def test_what_becomes_of_routes(
    before: dict[str, str], after: dict[str, str], same: bool, notes: dict[str, str]
) -> None:
    old, new = routed(**before), routed(**after)
    changes = [
        change(ref, Category.REROUTE, Verb.DELETE if ref not in new else Verb.CREATE if ref not in old else Verb.UPDATE)
        for ref in sorted({*old, *new})
    ]
    found = forecast(changes, old, new, KINDS, Known(DURATIONS, same_cluster=same))
    assert {item.ref.name: item.note for item in found.endpoints} == notes


@pytest.mark.parametrize(
    ("category", "verb", "noticed"),
    [
        (Category.METADATA, Verb.UPDATE, False),
        (Category.REROUTE, Verb.UPDATE, True),
        (Category.RELOAD, Verb.UPDATE, False),
        (Category.REDEPLOY, Verb.NOOP, False),
        (Category.METADATA, Verb.DELETE, True),
    ],
)
def test_who_notices(category: Category, verb: Verb, noticed: bool) -> None:
    after = {} if verb is Verb.DELETE else SPECS
    found = forecast((change(ENDPOINT, category, verb),), SPECS, after, KINDS, Known(DURATIONS))
    assert [item.first_weight for item in found.endpoints] == ([100] if noticed else [])
