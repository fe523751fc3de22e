"""Other forms of a model that may serve in its place: made beside it, and good for that only where they answer as it
does. See docs/adr/0046."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from framework import storage
from framework.answers import Matrix, ModelOutput
from framework.api.metrics import measure_of
from framework.api.tasks import TASKS, Task
from framework.scores import score
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line
from framework.workloads.formats import known, onnx_graph
from framework.workloads.formats.form import Score
from framework.workloads.training import labels, metrics, onnx_export
from framework.workloads.training.trainer import Artifact

LARGEST_DEVIATION = 1e-4
"""Between what a model and its graph answer: in probability, or in standard deviations of the label, of rankings of the
scores."""
_ROWS, _WITH_GAPS = 20_000, 200
"""How many rows both are asked at most; and of how many each gap is tried, fewer where there are many inputs."""
_PROBABILITIES = (Task.BINARY, Task.MULTICLASS)
_ASKED, _FOR_SECONDS = 50, 0.5
"""Of how many single rows the time is the median, and for how long they are asked at most."""


def ready(spec: Mapping[str, Any]) -> None:
    """
    Raises:
        WorkloadError: "PackageMissing": a form without which no version may serve could not be made.
    """
    if (spec.get("export") or {}).get("onnx") == "required":
        onnx_graph.require(*onnx_export.PACKAGES)


def made(
    spec: Mapping[str, Any], folder: str, artifact: Artifact, signature: models.Signature, parts: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """By name of the form, ``onnx`` or ``quantized``, what came of it, for those that ``spec["export"]`` asks for:
    {passed, reason, format, rows, deviation, bound, unit, bytes, milliseconds, metric}, where a form was made, and
    {artifact, sha256} where it passed; ``bytes``, ``milliseconds`` (for one row) and ``metric`` (of the test rows) are
    of the model itself and of the form: {native, form}. ``parts`` are frames of validation and test rows.

    What cannot be made, or answers otherwise, fails nothing here: ``reason`` says why it may not serve.
    """
    export = spec.get("export") or {}
    asked: dict[str, tuple[Any, _Bar]] = {}
    if export.get("onnx", "never") != "never":
        inputs = len(signature["inputs"])
        asked["onnx"] = (lambda: onnx_export.as_onnx(artifact, inputs), _Bar("model.onnx", LARGEST_DEVIATION))
    if (fewer := export.get("quantize")) is not None:
        to = fewer["to"]
        bar = _Bar(f"model.{to}.safetensors", fewer["maxDeviation"], fewer["maxLoss"])
        asked["quantized"] = (lambda: onnx_export.quantized(artifact, to), bar)
    if not asked:
        return {}
    trial = _Trial.of(spec, artifact, signature, parts)
    return {name: _judged(make, bar, folder, trial) for name, (make, bar) in asked.items()}


@dataclass(frozen=True)
class _Bar:
    """``loss`` is the share by which the metric may get worse; None: it is not asked, for answers are the same."""

    file: str
    deviation: float
    loss: float | None = None


@dataclass(frozen=True)
class _Trial:
    """The model, and the rows that a form of it is compared with it on. ``unit`` is what a deviation is told in."""

    artifact: Artifact
    native: Score
    output: ModelOutput
    rows: Matrix
    test: Matrix
    truth: Matrix
    lists: Matrix | None
    unit: float

    @classmethod
    def of(cls, spec: Mapping[str, Any], artifact: Artifact, signature: models.Signature, parts: Any) -> _Trial:
        output, encoder = ModelOutput.of(signature), models.Encoder(signature)
        test: pl.DataFrame = parts["test"]
        seen = _spread(np.concatenate([encoder.matrix(parts["validation"]), encoder.matrix(test)]), _ROWS)
        native = known(artifact.format).load(artifact.data, output)
        rows = _with_gaps(seen, signature)
        truth = output.truth(test)
        spread = native(seen) if output.task is Task.RANKING else truth
        unit = 1.0 if output.task in _PROBABILITIES else float(np.std(spread))
        lists = labels.lists(test, spec["dataset"].get("query"), output.task)
        return cls(artifact, native, output, rows, encoder.matrix(test), truth, lists, unit or 1.0)

    def metric(self, answers: Matrix) -> float:
        return score(TASKS[self.output.task].headline, metrics.answered(self.output, self.truth, answers, self.lists))


def _judged(make: Any, bar: _Bar, folder: str, trial: _Trial) -> dict[str, Any]:
    try:
        form: Artifact = make()
        ask = known(form.format).load(form.data, trial.output)
        answers = ask(trial.test)
        deviation = _deviation(trial.native(trial.rows), ask(trial.rows), trial.unit)
    except WorkloadError as error:
        return {"passed": False, "reason": str(error)}
    except Exception as error:  # whatever a library says of a graph that it cannot compute
        return {"passed": False, "reason": f"it cannot be asked: {type(error).__name__}: {first_line(error)}"}
    name = TASKS[trial.output.task].headline
    values = {"native": trial.metric(trial.native(trial.test)), "form": trial.metric(answers)}
    sizes = {"native": len(trial.artifact.data), "form": len(form.data)}
    unit = "in probability" if trial.output.task in _PROBABILITIES else "standard deviations"
    reason = _reason(bar, deviation, unit, sizes, name, values)
    found = {
        "passed": not reason, "reason": reason, "format": form.format, "rows": len(trial.rows),
        "deviation": _finite(deviation), "bound": bar.deviation, "unit": unit, "bytes": sizes,
        "milliseconds": {"native": _milliseconds(trial.native, trial.test), "form": _milliseconds(ask, trial.test)},
        "metric": {"name": name, **{which: _finite(value) for which, value in values.items()}},
    }  # fmt: skip
    if reason:
        return found
    artifact = f"{folder}/{bar.file}"
    storage.write_bytes(artifact, form.data)
    return {**found, "artifact": artifact, "sha256": hashlib.sha256(form.data).hexdigest()}


def _reason(
    bar: _Bar, deviation: float, unit: str, sizes: Mapping[str, int], name: str, values: Mapping[str, float]
) -> str:
    """Why it may not serve; empty where it may. What is no number passes nothing."""
    if not deviation <= bar.deviation:
        told = "with no number" if not np.isfinite(deviation) else f"up to {deviation:.3g} {unit} otherwise"
        return f"it answers {told}, and at most {bar.deviation:g} is allowed"
    if bar.loss is None:
        return ""
    if sizes["form"] >= sizes["native"]:
        return f"it has {sizes['form']:,} bytes, and the model itself {sizes['native']:,}"
    before, after = values["native"], values["form"]
    lost = (after - before if measure_of(name).loss else before - after) / (abs(before) or 1.0)
    if not lost <= bar.loss:
        return f"{name} is {after:.4f} where the model itself has {before:.4f}: more than {bar.loss:.2%} is lost"
    return ""


def _deviation(native: Matrix, form: Matrix, unit: float) -> float:
    """The largest, infinite where one of them gives no number, or other ones."""
    if native.shape != form.shape or not np.isfinite(form).all():
        return float("inf")
    return float(np.abs(native - form).max(initial=0.0)) / unit


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _spread(matrix: Matrix, rows: int) -> Matrix:
    return matrix[np.unique(np.linspace(0, len(matrix) - 1, min(rows, len(matrix))).astype(np.int64))]


def _with_gaps(matrix: Matrix, signature: models.Signature) -> Matrix:
    """With rows in which what callers may leave out is left out, and what they may say that no row of the training set
    said: each such input in turn, and all of them at once."""
    inputs = signature["inputs"]
    may = [index for index, column in enumerate(inputs) if column["nullable"] or "categories" in column]
    some = _spread(matrix, max(1, min(_WITH_GAPS, _ROWS // max(1, len(may)))))
    found = [matrix]
    for gap in (*([index] for index in may), may):
        rows = some.copy()
        rows[:, gap] = np.nan
        found.append(rows)
    return np.concatenate(found)


def _milliseconds(ask: Score, rows: Matrix) -> float:
    """Of the answer to one row, without what is done to a request before: the median."""
    taken: list[float] = []
    ends = time.perf_counter() + _FOR_SECONDS
    for index in range(_ASKED + 1):
        started = time.perf_counter()
        ask(rows[index % len(rows)][None, :])
        taken.append(time.perf_counter() - started)
        if time.perf_counter() > ends:
            break
    return float(f"{1000 * float(np.median(taken[1:] or taken)):.4g}")
