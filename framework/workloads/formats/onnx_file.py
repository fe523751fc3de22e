"""A model of another library's as a graph of ONNX: from float32 or float64 (rows, inputs), as the signature encodes
them, to what that library answers. It is made beside the model's own form, which stays what counts; see docs/adr/0046.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.answers import Matrix, ModelOutput
from framework.api.tasks import Task
from framework.workloads.formats import onnx_graph
from framework.workloads.formats.form import Score

PACKAGES = ("onnx", "onnxruntime")
_LARGEST = float(np.finfo(np.float32).max)


def load(data: bytes, output: ModelOutput) -> Score:
    """
    Raises:
        WorkloadError: "PackageMissing", with what to install.
        ValueError: these are no bytes of a model.
    """
    onnx_graph.require(*PACKAGES)
    import onnx

    graph = onnx.ModelProto.FromString(data)
    (asked,), (answered,) = graph.graph.input, graph.graph.output
    exact = asked.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
    session = onnx_graph.opened(graph)

    def score(matrix: Matrix) -> Matrix:
        if not len(matrix):
            return output.empty()
        rows = matrix if exact else np.clip(matrix, -_LARGEST, _LARGEST).astype(np.float32)
        return _answers(session.run([answered.name], {asked.name: rows})[0], output)

    return score


def dump(graph: Any) -> bytes:
    """``graph`` is an ``onnx.ModelProto`` of which the last output counts. Equal models give equal bytes."""
    import onnx

    alone = onnx.ModelProto()
    alone.CopyFrom(graph)
    del alone.graph.output[:-1]
    onnx_graph.without_traces(alone)
    return bytes(alone.SerializeToString(deterministic=True))


def _answers(found: NDArray[Any], output: ModelOutput) -> Matrix:
    """As the task has them. Of a binary label libraries give both probabilities, or the one of 1."""
    answers = np.asarray(found, dtype=np.float64)
    if output.task is Task.BINARY and answers.ndim == 2 and answers.shape[1] == 2:
        return answers[:, 1]
    if output.task is Task.QUANTILE:
        return np.sort(answers, axis=1)
    return answers.reshape(len(answers)) if output.width is None and answers.size == len(answers) else answers
