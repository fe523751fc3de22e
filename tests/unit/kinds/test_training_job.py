from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from framework.api.categories import Category
from framework.api.conditions import violations
from framework.api.meta import Ref
from framework.kinds.feature_view.observed import Published
from framework.kinds.training_job import KIND
from framework.kinds.training_job.build import newer_data, read_of, wanted
from framework.kinds.training_job.evaluation import Evaluation
from framework.kinds.training_job.gates import judge
from framework.kinds.training_job.observed import TrainingJobObserved, TrainingJobState
from framework.kinds.training_job.recipe import kept_code, kept_recipe, kept_spec
from framework.planning.grammar.actions import RegisterModel, StopRun, SubmitRun
from framework.planning.grammar.changes import Change, Status, Verb
from framework.ports import FailureKind, RunPhase, RunState
from framework.scores import Answered
from framework.workloads.training import metrics
from tests.builders import CODE, NOW, STORAGE, desired, model_version, training_spec

REF, VIEW = Ref("TrainingJob", "delay-classifier"), Ref("FeatureView", "departures")
ASKED = desired(REF, training_spec(), upstream={VIEW: "v1"})
COLUMNS = (("flight", "Int64"), ("hour", "Datetime"), ("distance", "Float64"), ("delayed", "Boolean"))
BUILD = "b0b0b0b0b0"


def published(digests: dict[str, str] | None = None, **more: Any) -> Published:
    held = {name: f"{name}-1" for name, _ in COLUMNS} if digests is None else digests
    fields = {
        "uri": "/t", "version": 3, "rows": 9, "identity": "v1", "source_digest": "s", "commit": "c" * 40, "at": NOW,
        "entities": ("flight",), "timestamp": "hour", "columns": COLUMNS, "digests": held,
    }  # fmt: skip
    return Published.model_validate({**fields, **more})


READY = {"departures": published()}
RESULT = {
    "artifact": "/m/model.txt",
    "sha256": "ab",
    "format": "lightgbm-text",
    "signature": {},
    "profile": "/m/profile",
    "metrics": {"auc": 0.7},
}


def look(**more: Any) -> TrainingJobObserved:
    base = {
        "ref": REF, "storage": STORAGE, "versions": (), "run": RunState(RunPhase.ABSENT), "views": READY,
        "build": BUILD,
    }  # fmt: skip
    return TrainingJobObserved(**{**base, **more})


def plan(observed: TrainingJobObserved, status: Status | None = None, *, asked: Any = ASKED) -> Change:
    change: Change = KIND.plan(asked, observed, status, NOW)
    if change.status is not None:
        assert not violations(change.status.conditions)
    return change


def test_training_pins_the_versions_of_its_views() -> None:
    (submit,) = plan(look()).actions
    assert isinstance(submit, SubmitRun)
    view = submit.run.payload["views"]["departures"]
    assert (view["uri"], view["version"], view["timestamp"]) == ("/t", 3, "hour")
    assert submit.run.name == f"train-delay-classifier-{BUILD}"
    assert submit.run.payload["model_folder"].endswith(f"/delay-classifier/{BUILD}")


def test_it_waits_for_its_views_and_says_so() -> None:
    change = plan(look(views={"departures": None}, build=""))
    assert (change.verb, change.category, change.waits_for) == (Verb.WAIT, Category.RETRAIN, (VIEW,))
    assert change.actions == ()


def test_a_finished_run_is_registered_with_its_verdict() -> None:
    (register,) = plan(look(run=RunState(RunPhase.SUCCEEDED, 1, result=RESULT, finished=NOW))).actions
    assert isinstance(register, RegisterModel)
    assert (register.version.version, register.version.identity) == (BUILD, "aaaaaaaaaa")
    assert register.version.deployable
    assert register.version.gates[0]["passed"]


def test_a_version_keeps_how_it_was_trained_but_for_what_makes_no_difference() -> None:
    spec = training_spec(retries={"limit": 5}, seed=4)
    asked = replace(ASKED, spec=spec, code=replace(CODE, files=("mine/fit.py",)), recipe="cccccccccc")
    done = RunState(RunPhase.SUCCEEDED, 1, result=RESULT, finished=NOW)
    (register,) = plan(look(run=done, files={"mine/fit.py": "f" * 40}), asked=asked).actions
    assert isinstance(register, RegisterModel)
    kept = kept_recipe(register.version)
    assert kept is not None
    assert (kept.name, set(kept.spec)) == ("cccccccccc", {"dataset", "trainer", "seed", "evaluation"})
    assert kept_spec(kept) == spec.model_copy(update={"retries": training_spec().retries})
    code = kept_code(kept, "c" * 40)
    assert code is not None
    assert (code, code.files) == (CODE, ("mine/fit.py",))
    assert (kept.code or pytest.fail("no code")).files == {"mine/fit.py": "f" * 40}
    assert kept_recipe(model_version()) is None, "one from before it was kept"


def test_a_version_that_exists_is_not_trained_again() -> None:
    change = plan(look(versions=(model_version(),), build=""))
    assert (change.verb, change.actions) == (Verb.NOOP, ())
    assert change.status is not None
    assert TrainingJobState.model_validate(change.status.state).deployable


def test_a_run_is_told_what_the_model_is_for() -> None:
    asked = replace(ASKED, metadata=ASKED.metadata.model_copy(update={"description": "Tells travellers."}))
    for one, told in ((asked, "Tells travellers."), (ASKED, "")):
        (submit,) = plan(look(), asked=one).actions
        assert isinstance(submit, SubmitRun)
        assert submit.run.payload["description"] == told


def test_a_failed_gate_stalls_with_the_number_and_the_bar() -> None:
    change = plan(look(versions=(model_version(auc=0.6123),), build=""))
    assert change.status is not None
    stalled = change.status.conditions.stalled
    assert (stalled.status, stalled.reason) == (True, "GateFailed")
    assert "0.6123" in stalled.message
    assert "0.65" in stalled.message


def test_lowering_a_gate_needs_no_training() -> None:
    failed = plan(look(versions=(model_version(auc=0.6),), build="")).status
    lower = replace(ASKED, spec=training_spec(evaluation={"gates": [{"metric": "auc", "min": 0.5}]}), digest="other")
    change = plan(look(versions=(model_version(auc=0.6),), build=""), failed, asked=lower)
    assert change.status is not None
    assert change.status.conditions.ready.status
    assert change.actions == ()


def test_a_newer_commit_supersedes_the_run_under_way() -> None:
    running = plan(look()).status
    newer = replace(ASKED, identity="bbbbbbbbbb", digest="other")
    stop, submit = plan(look(build="b1b1b1b1b1"), running, asked=newer).actions
    assert stop == StopRun(STORAGE, f"train-delay-classifier-{BUILD}")
    assert isinstance(submit, SubmitRun)


def test_a_revert_to_a_known_identity_trains_nothing_and_stops_what_runs() -> None:
    newer = replace(ASKED, identity="bbbbbbbbbb", digest="other")
    running = plan(look(), asked=newer).status
    change = plan(look(versions=(model_version(),), build=""), running)
    assert change.actions == (StopRun(STORAGE, f"train-delay-classifier-{BUILD}"),)


def test_a_run_that_failed_for_good_is_told_with_its_reason() -> None:
    running = plan(look()).status
    failed = RunState(RunPhase.FAILED, 1, failure=FailureKind.USER, reason="ValueError", message="boom", finished=NOW)
    change = plan(look(run=failed), running)
    assert change.status is not None
    assert change.status.conditions.stalled.reason == "ValueError"
    assert [item.reason for item in change.events] == ["ValueError"]


def test_gates_compare_with_the_live_model_on_the_same_rows() -> None:
    evaluation = Evaluation.model_validate({"gates": [{"metric": "auc", "comparedTo": "live", "maxDrop": 0.005}]})
    assert judge(evaluation, {"auc": 0.70}, {"champion_metrics": {"auc": 0.704}})[0]["passed"]
    assert not judge(evaluation, {"auc": 0.70}, {"champion_metrics": {"auc": 0.706}})[0]["passed"]
    assert judge(evaluation, {"auc": 0.1})[0]["passed"]


def test_a_live_model_that_was_asked_other_rows_is_compared_on_these_and_says_so() -> None:
    evaluation = Evaluation.model_validate({"gates": [{"metric": "auc", "comparedTo": "live", "maxDrop": 0.01}]})
    told = (
        "on 90 of 100 test rows as the tables have them that it was trained on (weather version 3), for it needs rain"
    )
    known = {"champion_metrics": {"auc": 0.8}, "champion_told": told, "paired_metrics": {"auc": 0.81}}
    (row,) = judge(evaluation, {"auc": 0.7}, known)
    assert (row["value"], row["passed"]) == (0.81, True)
    assert f"(live, {told})" in row["message"]


@pytest.mark.parametrize(("recorded", "passed"), [("delay", True), (None, True), ("delay-eu", False)])
def test_a_bar_is_not_passed_by_a_comparison_with_another_deployments_model(recorded: str | None, passed: bool) -> None:
    gate = {"metric": "auc", "comparedTo": "live", "maxDrop": 0.01, "deployment": "delay"}
    known = {"champion_metrics": {"auc": 0.8}, "champion_deployment": recorded}
    (row,) = judge(Evaluation.model_validate({"gates": [gate]}), {"auc": 0.8}, known)
    assert row["passed"] is passed
    assert ("of ModelDeployment/delay-eu, not of delay" in row["message"]) is not passed


def test_a_metric_that_was_not_measured_lets_nothing_through() -> None:
    evaluation = Evaluation.model_validate({"gates": [{"metric": "accuracy", "min": 0.1}]})
    assert not judge(evaluation, {"auc": 0.9})[0]["passed"]


def test_slices_with_enough_rows_are_judged() -> None:
    bar = {"by": "carrier", "metric": "auc", "min": 0.55, "minRows": 200}
    evaluation = Evaluation.model_validate({"slices": [bar]})
    measured = [
        {"by": "carrier", "value": "AA", "metric": "auc", "score": 0.5, "rows": 500},
        {"by": "carrier", "value": "HA", "metric": "auc", "score": 0.1, "rows": 20},
    ]
    rows = judge(evaluation, {}, {"slices": measured})
    assert [(row["passed"], "AA" in row["gate"]) for row in rows] == [(False, True)]


@pytest.mark.parametrize(
    ("measured", "largest"),
    [
        ([], 0),
        ([{"by": "carrier", "value": "HA", "metric": "auc", "score": 0.99, "rows": 20}], 20),
        ([{"by": "carrier", "value": None, "metric": "auc", "score": None, "rows": 150}], 150),
        ([{"by": "origin", "value": "JFK", "metric": "auc", "score": 0.99, "rows": 900}], 0),
        ([{"by": "carrier", "value": "AA", "metric": "accuracy", "score": 0.99, "rows": 900}], 0),
    ],
)
def test_a_slice_bar_that_nothing_could_be_measured_against_fails(measured: list[dict[str, Any]], largest: int) -> None:
    bar = {"by": "carrier", "metric": "auc", "min": 0.55, "minRows": 200}
    (row,) = judge(Evaluation.model_validate({"slices": [bar]}), {"auc": 0.9}, {"slices": measured})
    assert (row["gate"], row["value"], row["passed"]) == ("auc by carrier", None, False)
    assert f"no part has 200 test rows, the largest has {largest}" in row["message"]


@pytest.mark.parametrize(
    ("metric", "bound"), [("auc", "min"), ("accuracy", "min"), ("log_loss", "max"), ("brier", "max")]
)
def test_a_bar_bounds_the_side_on_which_a_model_is_bad(metric: str, bound: str) -> None:
    """For a slice there is that side only; a gate may bound the other one as well."""
    other = {"min": "max", "max": "min"}[bound]
    sliced = Evaluation.model_validate({"slices": [{"by": "c", "metric": metric, bound: 0.5}]})
    passing = {score for score in (0.4, 0.6) if judge(sliced, {}, {"slices": [_of("c", metric, score)]})[0]["passed"]}
    assert passing == ({0.6} if bound == "min" else {0.4})
    Evaluation.model_validate({"gates": [{"metric": metric, "min": 0.1, "max": 0.9}]})
    for wrong in (
        {"slices": [{"by": "c", "metric": metric, other: 0.5}]},
        {"slices": [{"by": "c", "metric": metric, "min": 0.1, "max": 0.9}]},
        {"slices": [{"by": "c", "metric": metric}]},
        {"gates": [{"metric": metric, other: 0.5}]},
    ):
        with pytest.raises(ValidationError, match=f"bound it with {bound}|gives min and max|exactly one"):
            Evaluation.model_validate(wrong)


def _of(by: str, metric: str, score: float) -> dict[str, Any]:
    return {"by": by, "value": "a", "metric": metric, "score": score, "rows": 900}


def test_a_model_that_answers_with_no_number_passes_no_bar_and_is_never_deployable() -> None:
    """The count comes with the metrics, as the workload gives it."""
    scores = np.array([0.2, np.nan, 0.4, -np.inf] * 50)
    measured = metrics.measure(Answered(np.array([1.0, 1, 0, 0] * 50), scores))
    evaluation = Evaluation.model_validate(
        {
            "gates": [{"metric": "auc", "min": 0.1}, {"metric": "log_loss", "max": 9}],
            "slices": [{"by": "c", "metric": "auc", "min": 0.1}],
        }
    )
    nothing = {"by": "c", "value": "a", "metric": "auc", "score": None, "rows": 200}
    rows = judge(evaluation, measured, {"slices": [nothing]})
    assert [row["passed"] for row in rows] == [False] * 4
    assert all("100 answers to test rows are not finite" in row["message"] for row in rows)
    asked = replace(ASKED, spec=training_spec(evaluation={}))
    result = {**RESULT, "metrics": measured}
    (register,) = plan(look(run=RunState(RunPhase.SUCCEEDED, 1, result=result, finished=NOW)), asked=asked).actions
    assert isinstance(register, RegisterModel)
    assert not register.version.deployable


# -- builds: what is trained, as against what is asked for -------------------------------------------------------------


def test_equal_rows_trained_in_the_same_way_are_taken_and_not_trained_again() -> None:
    newer = replace(ASKED, identity="bbbbbbbbbb", digest="other")
    before = plan(look(versions=(model_version(BUILD),), build="")).status
    change = plan(look(equal=model_version(BUILD)), before, asked=newer)
    (register,) = change.actions
    assert isinstance(register, RegisterModel)
    assert (register.version.version, register.version.identity) == (BUILD, "bbbbbbbbbb")
    assert change.category is Category.NOOP
    assert [item.reason for item in change.events] == ["VersionTaken"]


def test_the_newest_build_that_passes_is_the_one() -> None:
    change = plan(look(versions=(model_version("new", auc=0.6), model_version("old", auc=0.7)), build=""))
    assert change.status is not None
    state = TrainingJobState.model_validate(change.status.state)
    assert (state.version, state.deployable, state.build_of("aaaaaaaaaa")) == ("old", True, "old")
    failing = plan(look(versions=(model_version("new", auc=0.6), model_version("old", auc=0.5)), build=""))
    assert failing.status is not None
    assert TrainingJobState.model_validate(failing.status.state).version == "new"


def test_a_version_of_before_builds_had_names_is_that_of_its_identity() -> None:
    assert TrainingJobState(version="aaaaaaaaaa").build_of("aaaaaaaaaa") == "aaaaaaaaaa"
    assert TrainingJobState(version="aaaaaaaaaa").build_of("bbbbbbbbbb") is None


def test_a_build_is_named_by_the_values_of_what_is_read_and_by_nothing_else() -> None:
    """The spine gives its label and keys here; ``distance`` is not read."""
    before = wanted(ASKED, READY)
    held = published().digests
    same = [
        published(uri="/elsewhere", version=9, identity="v2", commit="d" * 40, build="made-otherwise"),
        published(digests={**held, "distance": "distance-2"}),
        published(columns=(*COLUMNS, ("added", "Int64")), digests={**held, "added": "added-1"}),
        published(columns=tuple(reversed(COLUMNS))),
    ]
    other = [
        *(published(digests={**held, name: "2"}) for name in ("delayed", "flight", "hour")),
        published(columns=tuple((n, "Int8" if n == "delayed" else d) for n, d in COLUMNS)),
        published(entities=("distance",)),
    ]
    assert {wanted(ASKED, {"departures": view}) for view in same} == {before}
    assert before not in {wanted(ASKED, {"departures": view}) for view in other}
    assert wanted(replace(ASKED, recipe="another"), READY) != before
    assert wanted(replace(ASKED, identity="another", commit="d" * 40), READY) == before


def test_values_that_are_not_known_are_told_apart_by_their_version() -> None:
    unknown = [published(digests={}, version=number) for number in (3, 3, 4)]
    names = [wanted(ASKED, {"departures": view}) for view in unknown]
    assert names[0] == names[1] != names[2]


def test_newer_data_is_what_differs_in_what_is_read() -> None:
    read = read_of(ASKED.spec, READY)
    held = published().digests
    assert newer_data(ASKED.spec, read, READY) == ()
    unread = published(version=4, digests={**held, "distance": "2"})
    assert newer_data(ASKED.spec, read, {"departures": unread}) == ()
    relabelled = published(version=4, digests={**held, "delayed": "2"})
    assert newer_data(ASKED.spec, read, {"departures": relabelled}) == ("departures",)
    unknown = read_of(ASKED.spec, {"departures": published(digests={})})
    assert newer_data(ASKED.spec, unknown, {"departures": published(version=4)}) == ("departures",)
    assert newer_data(ASKED.spec, unknown, {"departures": published(uri="/elsewhere", version=4)}) == ()
    assert newer_data(ASKED.spec, read, {}) == ()


@pytest.mark.parametrize(
    ("made", "passes"),
    [
        ({"passed": True, "reason": "", "deviation": 1e-7, "bound": 1e-4}, True),
        ({"passed": False, "reason": "it answers up to 0.2 in probability otherwise", "deviation": 0.2}, False),
        ({"passed": False, "reason": "no graph can be written of it"}, False),
        (None, False),
    ],
)
def test_a_form_that_is_required_is_a_gate(made: dict[str, Any] | None, passes: bool) -> None:
    asked = desired(REF, training_spec(export={"onnx": "required"}), upstream={VIEW: "v1"})
    lineage = {"forms": {"onnx": made}} if made else {}
    run = RunState(RunPhase.SUCCEEDED, attempt=1, result={**RESULT, "lineage": lineage})
    (register,) = plan(look(run=run), asked=asked).actions
    assert isinstance(register, RegisterModel)
    gate = register.version.gates[-1]
    assert (gate["gate"], gate["passed"], register.version.deployable) == ("onnx", passes, passes)
    again = plan(look(versions=(register.version,)), asked=asked)
    assert again.status is not None
    assert again.status.conditions.ready.status is passes
    reason = (made or {"reason": "it was not made"})["reason"]
    told = f"may not serve: {reason}" if reason else "answers as the model does"
    assert gate["message"] == f"the graph of ONNX {told}"


def test_a_form_that_nobody_requires_is_none() -> None:
    lineage = {"forms": {"onnx": {"passed": False, "reason": "no"}}}
    for onnx in ("auto", "never"):
        asked = desired(REF, training_spec(export={"onnx": onnx}), upstream={VIEW: "v1"})
        run = RunState(RunPhase.SUCCEEDED, attempt=1, result={**RESULT, "lineage": lineage})
        (register,) = plan(look(run=run), asked=asked).actions
        assert isinstance(register, RegisterModel)
        assert [gate["gate"] for gate in register.version.gates] == ["auc"]


def test_fairness_that_was_passed_and_hints_are_told_with_the_version() -> None:
    bar = {"attribute": "origin", "metric": "demographic_parity_difference", "max": 0.6}
    groups = [{"group": "EWR", "rows": 9, "values": {"selection_rate": 0.75}},
              {"group": None, "rows": 5, "values": {"selection_rate": 0.25}}]  # fmt: skip
    measured = {"attribute": "origin", "metric": bar["metric"], "loss": None, "minRows": 1, "value": 0.5,
                "groups": groups, "problem": ""}  # fmt: skip
    result = {**RESULT, "fairness": [measured], "hints": ["paid alone reaches auc 0.9900"]}
    asked = replace(ASKED, spec=training_spec(evaluation={"fairness": [bar]}))
    (register,) = plan(look(run=RunState(RunPhase.SUCCEEDED, 1, result=result, finished=NOW)), asked=asked).actions
    assert isinstance(register, RegisterModel)
    assert register.version.deployable
    change = plan(look(versions=(register.version,), build=""), asked=asked)
    assert change.status is not None
    assert "difference by origin = 0.5000 (selection_rate EWR 0.7500, no value 0.2500), bar <= 0.6" in (
        change.status.conditions.ready.message
    )
    assert change.status.conditions.ready.message.endswith("; hint: paid alone reaches auc 0.9900")
    assert "hint: paid" in change.events[0].message
    strict = replace(ASKED, spec=training_spec(evaluation={"fairness": [{**bar, "max": 0.4}]}))
    change = plan(look(versions=(register.version,), build=""), asked=strict)
    assert change.status is not None
    assert change.status.conditions.stalled.reason == "GateFailed"
