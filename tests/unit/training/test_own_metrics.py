"""Metrics of a spec's own: measured wherever others are, and told of where they cannot be."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from framework.answers import ModelOutput
from framework.api.metrics import CALLED_WITH, own_measures
from framework.api.tasks import Task
from framework.kinds.training_job.evaluation import Evaluation
from framework.kinds.training_job.gates import judge
from framework.kinds.training_job.question import question
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.training import evaluation, metrics
from framework.workloads.training.comparison import compare
from framework.workloads.training.fairness import fairness
from framework.workloads.training.judging import wanted
from framework.workloads.training.look import look
from framework.workloads.training.own_metrics import own_metrics
from framework.workloads.training.robustness import robustness
from framework.workloads.training.stopping import Stopping
from framework.workloads.training.trainer import FitSettings, Part, StopRule, TrainingData
from framework.workloads.training.trainers import TRAINERS
from framework.workloads.training.tuning import checked_metric
from framework.workloads.training.tuning.trials import TrialWatch
from tests.unit.training.test_stopping import Watching, eager
from tests.unit.training.test_tasks import data

KPI = "tests.unit.training.kpi"
FRAME = pl.DataFrame({"price": [10.0, 20.0, 5.0, 40.0], "city": ["Zürich", "Bern", None, "Bern"], "a b": [1, 2, 3, 4]})
TRUTH, ANSWERS = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.9, 0.8, 0.4, 0.1])
BINARY = ModelOutput("late")


def asked(name: str, better: str = "larger", columns: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    one = {"name": name, "entrypoint": f"{KPI}:{name}", "better": better, "columns": list(columns)}
    return {"metrics": [one], **more}


def known(spec: dict[str, Any], output: ModelOutput = BINARY, truth: Any = TRUTH, answers: Any = ANSWERS) -> Any:
    own = own_metrics(spec, output, FRAME.columns)
    return metrics.answered(output, truth, answers, None, own, own.rows(FRAME))


def test_it_is_measured_beside_the_others_with_the_columns_that_it_names() -> None:
    found = metrics.measure(known(asked("profit", columns=("price",))), "validation_")
    assert found["validation_profit"] == pytest.approx((30 - 10 - 20) / 4)
    assert found["validation_auc"] == 0.75
    assert metrics.measure(known(asked("shape", columns=("city", "a b"))))["shape"] == 4201
    assert metrics.measure(known(asked("error")))["error"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("output", "answers", "ndim"),
    [
        (ModelOutput("late", Task.REGRESSION), ANSWERS, 1),
        (ModelOutput("late", Task.MULTICLASS, classes=(0, 1)), np.column_stack([1 - ANSWERS, ANSWERS]), 2),
        (ModelOutput("late", Task.QUANTILE, quantiles=(0.1, 0.9)), np.column_stack([ANSWERS, ANSWERS + 1]), 2),
    ],
)
def test_answers_are_those_of_the_task(output: ModelOutput, answers: Any, ndim: int) -> None:
    assert metrics.measure(known(asked("shape"), output, answers=answers))["shape"] == ndim


@pytest.mark.parametrize(
    ("name", "reason", "told"),
    [
        ("breaks", "MetricFailed", r"kpi:breaks raised ZeroDivisionError: .*kpi\.py:\d+, in breaks"),
        ("spoils", "MetricFailed", r"kpi:spoils raised ValueError: .*read-only .*kpi\.py:\d+, in spoils"),
        ("lacks", "WrongSignature", r"kpi:lacks cannot be called with .truth, answers, rows.: too many positional"),
        ("words", "WrongType", "kpi:words returned str; a number is expected"),
        ("yes", "WrongType", "kpi:yes returned bool; a number is expected"),
        ("absent", "EntrypointMissing", "absent"),
    ],
)
def test_what_its_code_does_wrong_is_told_with_its_place(name: str, reason: str, told: str) -> None:
    with pytest.raises(WorkloadError, match=told) as caught:
        metrics.measure(known(asked(name)))
    assert caught.value.reason == reason


@pytest.mark.parametrize("name", ["nothing", "endless"])
def test_without_a_finite_number_it_is_not_defined_and_its_gate_fails_with_the_reason(name: str) -> None:
    spec = asked(name, gates=[{"metric": name, "min": 0.0}])
    found = metrics.measure(known(spec))
    assert name not in found
    assert "auc" in found
    (row,) = judge(Evaluation.model_validate(spec), found)
    assert not row["passed"]
    assert row["message"] == f"{name} = not measured ({KPI}:{name} gave no finite number), bar >= 0"


def test_disturbed_rows_are_measured_by_it_and_it_is_given_what_they_really_are() -> None:
    bar = {"perturb": "noise", "amount": 3.0, "metric": "gain", "maxDrop": 1.0, "columns": ["price"]}
    spec = asked("gain", columns=("price",), robustness=[bar])
    frame = pl.DataFrame({"price": [10.0, 20.0, 5.0, 40.0] * 50, "late": [1, 0, 1, 0] * 50})
    predictor = models.Predictor(lambda x: (x[:, 0] < 15) * 1.0, models.signature_of(frame, ["price"], [], BINARY))
    own = own_metrics(spec, BINARY, frame.columns)
    (found,) = robustness([bar], predictor, BINARY, frame, None, 7, own)
    assert (found["clean"], found["problem"]) == (7.5 / 2, "")
    assert 0 < found["value"] < 7.5 / 2 - 1
    (row,) = judge(Evaluation.model_validate(spec), {}, {"robustness": [found]})
    assert not row["passed"]
    assert "gain under noise of 3 = " in row["message"]


def test_without_a_value_on_the_rows_as_they_are_a_bar_on_disturbed_ones_fails_with_the_reason() -> None:
    bar = {"perturb": "noise", "metric": "nothing", "maxDrop": 1.0}
    frame = pl.DataFrame({"price": [10.0, 20.0], "late": [1, 0]})
    predictor = models.Predictor(lambda x: x[:, 0] / 40, models.signature_of(frame, ["price"], [], BINARY))
    own = own_metrics(asked("nothing"), BINARY, frame.columns)
    (found,) = robustness([bar], predictor, BINARY, frame, None, 7, own)
    assert (found["value"], found["problem"]) == (None, "nothing is not defined on these rows")


@pytest.mark.parametrize(
    ("spec", "loss", "each"),
    [
        (asked("error", "smaller"), "error", {"Bern": (0.8 + 0.1) / 2, "Zürich": 0.1, None: 0.6}),
        ({"costs": {"0": {"1": 3}, "1": {"0": 8}}}, "cost", {"Bern": 1.5, "Zürich": 0.0, None: 8.0}),
    ],
)
def test_groups_are_compared_by_it(spec: dict[str, Any], loss: str, each: dict[Any, float]) -> None:
    bar = {"attribute": "city", "metric": "group_loss_difference", "loss": loss, "max": 0.5}
    own = own_metrics(spec, BINARY, FRAME.columns)
    (found,) = fairness([bar], FRAME, known(spec), own.measures)
    assert {row["group"]: row["values"][loss] for row in found["groups"]} == pytest.approx(each)
    assert found["value"] == pytest.approx(max(each.values()) - min(each.values()))
    (row,) = judge(Evaluation.model_validate({**spec, "fairness": [bar]}), {}, {"fairness": [found]})
    assert (row["passed"], row["gate"]) == (False, f"group_loss_difference of {loss} by city")


def test_before_a_fit_bars_on_what_nobody_measures_are_told() -> None:
    for bars in (
        {"robustness": [{"perturb": "noise", "metric": "profit", "maxDrop": 1.0}]},
        {"fairness": [{"attribute": "city", "metric": "group_loss_difference", "loss": "profit", "max": 1.0}]},
    ):
        assert wanted({**asked("profit"), **bars}, Task.BINARY) == []
        with pytest.raises(WorkloadError, match="profit") as caught:
            wanted(bars, Task.BINARY)
        assert caught.value.reason == "UnknownMetric"


def test_a_column_that_is_not_there_is_told() -> None:
    with pytest.raises(WorkloadError, match="metric profit asks for fee, the training set has price, city, a b"):
        known(asked("profit", columns=("fee",)))


def test_it_goes_to_workers_and_back() -> None:
    spec = {**asked("profit", columns=("price",)), "costs": {"1": {"0": 5}}}
    own = own_metrics(spec, BINARY, FRAME.columns)
    again = pickle.loads(pickle.dumps(own))
    first, second = (metrics.answered(BINARY, TRUTH, ANSWERS, None, one, one.rows(FRAME)) for one in (own, again))
    assert metrics.measure(first) == metrics.measure(second)
    assert again.told == {"profit": "larger", "cost": "smaller"}


@pytest.mark.parametrize(
    ("output", "answers", "costs", "cost"),
    [
        (BINARY, ANSWERS, {"0": {"1": 1}, "1": {"0": 10}}, 11 / 4),
        (BINARY, ANSWERS, {"false": {"true": 1}, "true": {"false": 10, "true": -2}}, 9 / 4),
        (replace(BINARY, threshold=0.3), ANSWERS, {"0": {"1": 1}, "1": {"0": 10}}, 1 / 4),
        (
            ModelOutput("late", Task.MULTICLASS, classes=("hoch", "tief")),
            np.column_stack([1 - ANSWERS, ANSWERS]),
            {"hoch": {"tief": 4}},
            4 / 4,
        ),
        (
            ModelOutput("late", Task.MULTICLASS, classes=(3, 7)),
            np.column_stack([1 - ANSWERS, ANSWERS]),
            {"7": {"3": 2.5}},
            2.5 / 4,
        ),
    ],
)
def test_mistakes_cost_what_the_spec_says(output: ModelOutput, answers: Any, costs: Any, cost: float) -> None:
    assert metrics.measure(known({"costs": costs}, output, answers=answers))["cost"] == pytest.approx(cost)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (BINARY, r"evaluation.costs names 'late' \(allowed: 0, 1, false, true\)"),
        (ModelOutput("late", Task.MULTICLASS, classes=("a", "b")), r"names 'late' \(allowed: a, b\)"),
        (ModelOutput("late", Task.REGRESSION), "evaluation.costs are of classes, and the task is regression"),
    ],
)
def test_costs_of_what_there_is_not_are_told(output: ModelOutput, told: str) -> None:
    with pytest.raises(WorkloadError, match=told):
        own_metrics({"costs": {"late": {"late": 1}}}, output, [])


def test_it_is_compared_with_the_live_model_by_the_same_draws() -> None:
    spec = asked("profit", columns=("price",), gates=[{"metric": "profit", "comparedTo": "live", "maxDrop": 1}])
    rows = np.tile(np.arange(4), 50)
    ours = known(spec).of(rows)
    theirs = replace(ours, given=1 - ours.given)
    own = own_measures(spec)
    found = evaluation.comparisons(spec["gates"], ours, theirs, 7, own=own)
    alone = metrics.measure(ours)["profit"] - metrics.measure(theirs)["profit"]
    assert found["profit"]["difference"] == pytest.approx(alone)
    assert found["profit"]["quantiles"][0] < alone < found["profit"]["quantiles"][-1]
    parts = evaluation.slices([{"by": "city", "metric": "profit", "min": 0}], FRAME, known(spec), own=own)
    assert {row["value"]: row["score"] for row in parts} == {"Bern": -10.0, "Zürich": 20.0, "None": 0.0}


def test_of_a_ranking_whole_lists_are_drawn() -> None:
    output = ModelOutput("late", Task.RANKING)
    own = own_metrics(asked("error", "smaller"), output, [])
    groups = np.repeat(np.arange(20.0), 5)
    truth = np.repeat(np.arange(20.0) % 3, 5)
    ours = metrics.answered(output, truth, truth + 1, groups, own, own.rows(FRAME.select()))
    found = compare("error", ours, replace(ours, given=truth + groups), 3)
    assert found is not None
    assert found["quantiles"][0] < found["difference"] == 1 - groups.mean() < found["quantiles"][-1]


def measured(better: str) -> TrainingData:
    given = data(Task.BINARY)
    own = own_metrics(asked("error", better), given.output, [])
    part = given.validation
    return replace(given, own=own, validation=Part(part.x, part.y, rows=own.rows(pl.DataFrame({"x": part.y}))))


def test_a_fit_stops_by_it_and_trials_are_compared_by_it() -> None:
    given, told = measured("smaller"), list[dict[str, Any]]()
    watch = TrialWatch(given, checked_metric("validation_error", Task.BINARY, given.own.measures), "min", told.append)
    asked_for = eager("lightgbm", Task.BINARY, StopRule("error", 3))
    artifact = TRAINERS["lightgbm"].fit(given, asked_for, watch)
    assert artifact.best is not None
    assert told[-1] == {"rounds": artifact.best.rounds, "validation_error": pytest.approx(artifact.best.value)}
    assert TRAINERS["lightgbm"].fit(measured("larger"), asked_for, Watching()).best != artifact.best
    stopping = Stopping(given, FitSettings({}, 9, 0, stop=StopRule("error", 3)))
    assert stopping.see(1, given.validation.y)
    with pytest.raises(WorkloadError, match=r"no metric 'eror'; did you mean 'error'\? \(allowed: error, auc"):
        checked_metric("validation_eror", Task.BINARY, given.own.measures)


def test_a_trial_without_a_value_is_told() -> None:
    given = measured("smaller")
    own = own_metrics(asked("nothing"), given.output, [])
    watch = TrialWatch(replace(given, own=own), "validation_nothing", "max", lambda found: None)
    with pytest.raises(WorkloadError, match="validation_nothing is not defined on the validation rows"):
        watch.report(1, given.validation.y, lambda: pytest.fail("not asked"))


CODE = """
def good(truth, answers, rows): ...
def more(truth, answers, rows, price=3, *, fee=1): ...
def any_of(*all): ...
def short(truth, answers): ...
def long(truth, answers, rows, price): ...
def keyed(truth, answers, rows, *, fee): ...
@wrapped
def decorated(truth): ...
value = 3
"""


@pytest.mark.parametrize("place", ["shop/kpi.py", "shop/kpi/__init__.py"])
@pytest.mark.parametrize("name", ["good", "more", "any_of", "decorated", "value", "absent", "short", "long", "keyed"])
def test_before_a_run_its_signature_is_read_and_nothing_is_run(tmp_path: Path, place: str, name: str) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True)
    file.write_text(CODE)
    found = list(
        look({"root": str(tmp_path), "spec": {"trainer": {}, "calls": {"spec.x": (f"shop.kpi:{name}", CALLED_WITH)}}})
    )
    if name not in ("short", "long", "keyed"):
        assert found == []
        return
    (mistake,) = found
    assert (mistake.path, mistake.files) == ("spec.x", (place,))
    assert mistake.message.startswith(f"{place}:{ {'short': 5, 'long': 6, 'keyed': 7}[name] } {name}(truth, answers")
    assert mistake.message.endswith("cannot be called with (truth, answers, rows)")


def test_what_is_no_python_is_told_by_others(tmp_path: Path) -> None:
    (tmp_path / "kpi.py").write_text("def (")
    assert (
        list(look({"root": str(tmp_path), "spec": {"trainer": {}, "calls": {"spec.x": ("kpi:good", CALLED_WITH)}}}))
        == []
    )


@pytest.mark.parametrize("trainer", ["{lightgbm: {params: {num_leaves: 5}}}", '{torch: {entrypoint: "a.b:c"}}'])
def test_whoever_validates_asks_for_it(trainer: str) -> None:
    spec = {
        "trainer": yaml.safe_load(trainer), "dataset": {},
        "evaluation": {"metrics": [{"name": "x", "entrypoint": "shop.kpi:good", "better": "larger"}]},
    }  # fmt: skip
    asked = question(spec, lambda ref: None)
    assert asked is not None
    path = "spec.evaluation.metrics[0].entrypoint"
    assert asked.asked["spec"]["calls"][path] == ("shop.kpi:good", ("truth", "answers", "rows"))
    assert set(asked.files) >= {"shop/kpi.py", "shop/kpi/__init__.py"}


@pytest.mark.parametrize(
    ("trainer", "arguments"), [("function", ("data", "params", "seed")), ("torch", ("data", "params"))]
)
def test_functions_that_train_are_read_before_a_run_likewise(
    tmp_path: Path, trainer: str, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "fits.py").write_text("def fits(data): ...\n")
    spec = {"trainer": {trainer: {"entrypoint": "fits:fits"}}, "dataset": {"task": "regression"}}
    asked = question(spec, lambda ref: None)
    assert asked is not None
    (mistake,) = look({"root": str(tmp_path), **asked.asked})
    assert mistake.path == f"spec.trainer.{trainer}.entrypoint"
    assert mistake.message == f"fits.py:1 fits(data) cannot be called with ({', '.join(arguments)})"
