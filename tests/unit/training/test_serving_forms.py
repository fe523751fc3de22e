"""Forms that may serve in a model's place: they answer as it does, or it is told why they may not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
import sklearn.ensemble
import sklearn.linear_model
import xgboost

from framework.answers import ModelOutput
from framework.api.tasks import Task
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.formats import skops, xgboost_ubj
from framework.workloads.formats.torch_safetensors import NetworkInputs
from framework.workloads.training import onnx_export, serving_forms, torch_network
from framework.workloads.training.sklearn import _pipeline
from framework.workloads.training.trainer import Artifact, Part, TrainingData

ROWS = 600
TASKS = [Task.BINARY, Task.MULTICLASS, Task.REGRESSION]


def frame(task: Task) -> pl.DataFrame:
    """A String, a number with gaps and one without, which is large, and the label."""
    generator = np.random.default_rng(7)
    carrier = generator.choice(["AA", "B6", "ÜA x"], ROWS)
    hour, distance = generator.integers(0, 24, ROWS), generator.normal(0, 1e6, ROWS)
    delay = generator.normal(size=ROWS)
    truth = delay + (carrier == "B6") + hour / 12 + generator.normal(0, 0.3, ROWS)
    label = {Task.BINARY: truth > 1, Task.MULTICLASS: np.digitize(truth, [0.5, 1.5]), Task.REGRESSION: 3 * truth}[task]
    gaps = [None if gap else value for gap, value in zip(generator.random(ROWS) < 0.2, delay.tolist(), strict=True)]
    names = [None if gap else name for gap, name in zip(generator.random(ROWS) < 0.1, carrier.tolist(), strict=True)]
    return pl.DataFrame(
        {"carrier": names, "hour": hour, "delay": gaps, "distance": distance, "label": label},
        schema_overrides={"delay": pl.Float64, "carrier": pl.String},
    )


class Learnt:
    """What a model of that task is learned from."""

    def __init__(self, task: Task) -> None:
        self.frame, classes = frame(task), (0, 1, 2) if task is Task.MULTICLASS else ()
        self.output = ModelOutput("label", task, classes)
        inputs = ("carrier", "hour", "delay", "distance")
        self.signature = models.signature_of(self.frame, inputs, (), self.output)
        part = Part(models.Encoder(self.signature).matrix(self.frame), self.output.truth(self.frame))
        self.data = TrainingData(part, part, inputs, {0: 3}, self.output)
        self.parts = {"validation": self.frame[:300], "test": self.frame[300:]}

    def forms(self, artifact: Artifact, folder: Path, **export: Any) -> Mapping[str, Any]:
        spec = {"dataset": {}, "export": {"onnx": "never", "quantize": None, **export}}
        return serving_forms.made(spec, str(folder), artifact, self.signature, self.parts)

    def sklearn(self, estimator: Any) -> Artifact:
        pipeline = _pipeline(self.data, estimator)
        return Artifact(skops.dump(pipeline.fit(self.data.train.x, self.data.train.y)), "skops")

    def lightgbm(self, **params: Any) -> Artifact:
        objective = {Task.BINARY: "binary", Task.MULTICLASS: "multiclass", Task.REGRESSION: "regression"}
        known = {"objective": objective[self.output.task], "verbosity": -1, "num_threads": 1, **params}
        if self.output.task is Task.MULTICLASS:
            known["num_class"] = 3
        rows = lightgbm.Dataset(self.data.train.x, self.data.train.y, categorical_feature=[0])
        return Artifact(lightgbm.train(known, rows, 30).model_to_string().encode(), "lightgbm-text")

    def xgboost(self) -> Artifact:
        objective = {
            Task.BINARY: "binary:logistic",
            Task.MULTICLASS: "multi:softprob",
            Task.REGRESSION: "reg:squarederror",
        }
        params: dict[str, Any] = {"objective": objective[self.output.task], "nthread": 1}
        if self.output.task is Task.MULTICLASS:
            params["num_class"] = 3
        rows = xgboost.DMatrix(
            xgboost_ubj.narrowed(self.data.train.x), self.data.train.y, feature_types=["c", "q", "q", "q"],
            enable_categorical=True,
        )  # fmt: skip
        return Artifact(xgboost_ubj.dump(xgboost.train(params, rows, 30)), "xgboost-ubj")


def forest(task: Task) -> Any:
    if task is Task.REGRESSION:
        return sklearn.ensemble.RandomForestRegressor(20, random_state=0)
    return sklearn.ensemble.RandomForestClassifier(20, random_state=0)


def linear(task: Task) -> Any:
    return sklearn.linear_model.Ridge() if task is Task.REGRESSION else sklearn.linear_model.LogisticRegression()


MODELS = {
    "lightgbm": lambda learnt: learnt.lightgbm(),
    "xgboost": lambda learnt: learnt.xgboost(),
    "forest": lambda learnt: learnt.sklearn(forest(learnt.output.task)),
    "linear": lambda learnt: learnt.sklearn(linear(learnt.output.task)),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("model", MODELS)
def test_a_graph_answers_as_the_model_does_whatever_is_missing_or_was_never_seen(
    model: str, task: Task, tmp_path: Path
) -> None:
    learnt = Learnt(task)
    artifact = MODELS[model](learnt)
    found = learnt.forms(artifact, tmp_path, onnx="auto")["onnx"]
    assert (found["passed"], found["reason"]) == (True, "")
    assert found["deviation"] <= found["bound"] == serving_forms.LARGEST_DEVIATION
    assert found["metric"]["form"] == pytest.approx(found["metric"]["native"], abs=1e-6)
    assert found["milliseconds"]["form"] > 0
    native = models.load(*models.save(str(tmp_path), artifact.data, artifact.format), artifact.format, learnt.signature)
    graph = models.load(found["artifact"], found["sha256"], found["format"], learnt.signature)
    odd = [
        {"carrier": None, "hour": 3, "delay": None, "distance": 1e9},
        {"carrier": "none that was seen", "hour": 0, "delay": 0.25, "distance": -1e9},
        {"carrier": "ÜA x", "hour": 23, "delay": None, "distance": 0.0},
    ]
    rows = models.frame_of(odd, learnt.signature)
    unit = 1.0 if task is not Task.REGRESSION else 3.0
    assert np.abs(native.predict(rows) - graph.predict(rows)).max() <= 1e-3 * unit
    assert graph.predict(rows[:0]).shape == native.predict(rows[:0]).shape
    again = onnx_export.as_onnx(artifact, 4)
    assert again == onnx_export.as_onnx(artifact, 4), "equal models give equal bytes"


def test_where_float32_sends_rows_another_way_it_may_not_serve_and_nothing_is_stored(tmp_path: Path) -> None:
    """Times in nanoseconds differ by less than float32 tells apart."""
    learnt = Learnt(Task.REGRESSION)
    base = 1.7e18
    rows = learnt.frame.with_columns(
        distance=pl.Series(base + np.arange(ROWS) * 1e6), label=pl.int_range(ROWS) % 2 * 9.0
    )
    learnt.frame, learnt.parts = rows, {"validation": rows[:300], "test": rows[300:]}
    matrix = models.Encoder(learnt.signature).matrix(rows)
    part = Part(matrix, learnt.output.truth(rows))
    learnt.data = TrainingData(part, part, learnt.data.names, {0: 3}, learnt.output)
    found = learnt.forms(learnt.lightgbm(min_data_in_leaf=1, min_data_in_bin=1, max_bin=1000), tmp_path, onnx="auto")
    form = found["onnx"]
    assert form["passed"] is False
    assert "standard deviations otherwise, and at most 0.0001 is allowed" in form["reason"]
    assert "artifact" not in form
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("artifact", "told"),
    [
        (lambda learnt: learnt.sklearn(sklearn.ensemble.HistGradientBoostingRegressor(max_iter=5)), "no graph can be"),
        (lambda learnt: Artifact(b"[]", "lightgbm-quantiles"), "a model in the form lightgbm-quantiles has no graph"),
    ],
)
def test_what_no_graph_can_be_written_of_is_told(artifact: Any, told: str, tmp_path: Path) -> None:
    learnt = Learnt(Task.REGRESSION)
    made = artifact(learnt)
    if made.format == "lightgbm-quantiles":
        with pytest.raises(WorkloadError, match=told):
            onnx_export.as_onnx(made, 4)
        return
    form = learnt.forms(made, tmp_path, onnx="required")["onnx"]
    assert form["passed"] is False
    assert told in form["reason"]


def test_nothing_is_made_that_nobody_asked_for(tmp_path: Path) -> None:
    learnt = Learnt(Task.BINARY)
    assert learnt.forms(Artifact(b"never opened", "lightgbm-text"), tmp_path) == {}
    assert serving_forms.made({"dataset": {}}, "", Artifact(b"", ""), {}, {}) == {}


def test_without_a_converter_a_form_is_missed_and_one_that_is_required_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framework.installed.is_there", lambda package: package != "onnxmltools")
    learnt = Learnt(Task.BINARY)
    form = learnt.forms(learnt.lightgbm(), tmp_path, onnx="auto")["onnx"]
    assert form == {"passed": False, "reason": form["reason"]}
    assert "onnxmltools is not installed: pip install 'mlopsctl[onnx]" in form["reason"]
    with pytest.raises(WorkloadError, match="onnxmltools is not installed"):
        serving_forms.ready({"export": {"onnx": "required"}})
    serving_forms.ready({"export": {"onnx": "auto"}})
    serving_forms.ready({})


def test_a_form_that_answers_with_no_number_or_in_another_shape_passes_nothing() -> None:
    deviation = serving_forms._deviation
    one, nan = np.zeros(3), np.array([0.0, np.nan, 0.0])
    assert deviation(one, nan, 1.0) == float("inf")
    assert deviation(one, np.zeros((3, 2)), 1.0) == float("inf")
    assert deviation(nan, one, 1.0) != deviation(nan, one, 1.0), "no number, so that no bar holds it"
    bar, sizes = serving_forms._Bar("f", 1.0), {"native": 1, "form": 1}
    assert serving_forms._reason(bar, float("nan"), "u", sizes, "auc", {})
    assert serving_forms._reason(bar, 0.5, "u", sizes, "auc", {}) == ""


# ------------------------------------------------------------------- fewer bits


def network(learnt: Learnt, width: int) -> Artifact:
    import torch

    torch.manual_seed(0)
    inputs, answers = learnt.data.width, learnt.output.width or 1
    layers = [torch.nn.Linear(inputs, width), torch.nn.ReLU(), torch.nn.Linear(width, width), torch.nn.ReLU()]
    made = torch.nn.Sequential(*layers, torch.nn.Linear(width, answers))
    label = learnt.data.train.y if learnt.output.task is Task.REGRESSION else None
    x = learnt.data.train.x
    prepared = NetworkInputs.learned(lambda index: x[:, index], x.shape[1], {0: 3}, label)
    return torch_network.export(made, learnt.data, prepared, "tests")


@pytest.mark.parametrize(
    ("to", "task"), [("int8", Task.BINARY), ("int8", Task.REGRESSION), ("float16", Task.MULTICLASS)]
)
def test_a_network_of_fewer_bits_is_smaller_and_nearly_as_good(to: str, task: Task, tmp_path: Path) -> None:
    learnt = Learnt(task)
    artifact = network(learnt, 128)
    fewer = {"to": to, "maxDeviation": 0.05, "maxLoss": 0.05}
    found = learnt.forms(artifact, tmp_path, quantize=fewer)["quantized"]
    assert (found["passed"], found["reason"]) == (True, "")
    assert found["bytes"]["form"] < 0.6 * found["bytes"]["native"] == 0.6 * len(artifact.data)
    assert 0 < found["deviation"] <= 0.05
    assert found["artifact"] == f"{tmp_path}/model.{to}.safetensors"
    asked = models.load(found["artifact"], found["sha256"], found["format"], learnt.signature)
    assert asked.predict(learnt.frame).shape == (ROWS,) if task is not Task.MULTICLASS else (ROWS, 3)
    assert onnx_export.quantized(artifact, to) == onnx_export.quantized(artifact, to)


@pytest.mark.parametrize(
    ("width", "bar", "told"),
    [
        (128, {"maxDeviation": 1e-9, "maxLoss": 1.0}, "in probability otherwise, and at most 1e-09 is allowed"),
        (4, {"maxDeviation": 1.0, "maxLoss": 1.0}, "bytes, and the model itself"),
    ],
)
def test_one_that_differs_too_much_or_saves_nothing_may_not_serve(
    width: int, bar: dict[str, float], told: str, tmp_path: Path
) -> None:
    learnt = Learnt(Task.BINARY)
    found = learnt.forms(network(learnt, width), tmp_path, quantize={"to": "int8", **bar})["quantized"]
    assert found["passed"] is False
    assert told in found["reason"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "after", "passes"), [("auc", 0.79, False), ("auc", 0.8, True), ("rmse", 0.81, False)])
def test_what_a_form_loses_of_the_metric_is_held_to_its_bar(name: str, after: float, passes: bool) -> None:
    bar, sizes = serving_forms._Bar("f", 1.0, loss=0.01), {"native": 9, "form": 1}
    told = serving_forms._reason(bar, 0.0, "u", sizes, name, {"native": 0.8, "form": after})
    assert (told == "") is passes
    if not passes:
        assert told == f"{name} is {after:.4f} where the model itself has 0.8000: more than 1.00% is lost"
