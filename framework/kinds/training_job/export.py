"""Other forms of a model that may serve in its place, as a user writes them, and where there is no sense in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, Field

from framework.api.meta import Strict
from framework.api.trainers import Trainer
from framework.planning.grammar.kind import CrossProblem


class Quantize(Strict):
    """A network with fewer bits a number. It may serve where it is smaller and nearly as good on the test rows."""

    to: Literal["int8", "float16"] = Field(
        description="int8: the matrices of weights, and what goes into them; float16: every number"
    )
    maxDeviation: float = Field(
        0.02,
        gt=0,
        description="The most that an answer may differ: in probability, or in standard deviations of the label",
    )
    maxLoss: float = Field(
        0.01, ge=0, le=1, description="The share by which the metric of the task may get worse on the test rows"
    )


class Export(Strict):
    """Other forms of the model, for serving. The model's own form is stored in any case."""

    onnx: Literal["auto", "never", "required"] = Field(
        "never",
        description="auto: a graph of ONNX beside the model, good for serving where it answers as the model does; "
        "required: a version without one that is cannot be deployed",
    )
    quantize: Quantize | None = Field(None, description="A network with fewer bits a number; default: none")


def problems(export: Export, trainer: Trainer) -> Iterator[CrossProblem]:
    if export.onnx != "never" and trainer.name == "torch":
        told = "a network is stored as a graph of ONNX already, and onnxruntime answers with it"
        yield CrossProblem("spec.export.onnx", f"{told}: leave it out, or see export.quantize")
    if export.quantize is not None and trainer.name != "torch":
        told = "only a network (trainer.torch) is made of numbers that may have fewer bits"
        why = "trees compare inputs with thresholds, which would send rows another way, and get hardly smaller"
        yield CrossProblem("spec.export.quantize", f"{told}: {why}")


def missing(training: str, job: BaseModel | None, form: str) -> str:
    """Why no version of the job has that form; empty where one may have it."""
    export: Export | None = getattr(job, "export", None)
    if export is None or form == "native":
        return ""
    if form == "onnx" and export.onnx == "never":
        return f"TrainingJob/{training} makes no graph of ONNX: set export.onnx there, or leave the form out"
    if form == "quantized" and export.quantize is None:
        return f"TrainingJob/{training} makes no quantized form: set export.quantize there, or leave the form out"
    return ""
