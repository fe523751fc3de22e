"""A network of PyTorch's in one file of safetensors: what a matrix goes through first, the weights, and the graph that
they belong to as ONNX. It is asked by onnxruntime, without PyTorch and without the code that it was written in; see
docs/adr/0041."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.answers import Matrix, ModelOutput
from framework.api.tasks import Task
from framework.workloads.formats import onnx_graph
from framework.workloads.formats.form import Score

PACKAGES = ("onnx", "onnxruntime", "safetensors")
"""What such a file is opened with."""
INPUT, OUTPUT = "inputs", "outputs"
"""What the graph calls its one input, float32 (rows, columns), and its one output."""
_GRAPH, _PREPARED, _WEIGHTS = "onnx", "prepare.", "weights."
_NUMBER = float(np.finfo(np.float32).max)
_FARTHEST = 1e6
"""Standard deviations from the mean beyond which a number counts no more, so that none overflows in a network."""


@dataclass(frozen=True)
class NetworkInputs:
    """What a matrix goes through before a network sees it. ``fill``, ``mean`` and ``scale`` are float64 (inputs,), for
    the numbers among them; ``categories`` int64 (inputs,), how many a String has, 0 for a number. ``label`` is (mean,
    scale) of the label in whose terms the network answers, (0, 1) for classes."""

    fill: Matrix
    mean: Matrix
    scale: Matrix
    categories: NDArray[np.int64]
    label: Matrix

    @classmethod
    def learned(
        cls, column: Callable[[int], Matrix], inputs: int, categories: Mapping[int, int], y: Matrix | None
    ) -> NetworkInputs:
        """Of training rows, a ``column`` at a time; ``y`` where the label is a number. An input without any value is 0
        throughout."""
        counts = np.array([categories.get(index, 0) for index in range(inputs)], dtype=np.int64)
        fill, mean, scale = np.zeros(inputs), np.zeros(inputs), np.ones(inputs)
        for index in np.flatnonzero(counts == 0):
            values = np.clip(column(int(index)), -_NUMBER, _NUMBER)
            known = values[~np.isnan(values)]
            fill[index] = np.median(known) if len(known) else 0.0
            mean[index], scale[index] = _moments(np.where(np.isnan(values), fill[index], values))
        return cls(fill, mean, scale, counts, np.array((0.0, 1.0) if y is None else _moments(y)))

    def prepared(self, x: Matrix) -> NDArray[np.float32]:
        """float32 (rows, columns): a number standardised, its gaps filled with the median; in place of a String one
        column for each category, all of them 0 where it is missing or none that was seen in training."""
        columns: list[Matrix] = []
        for index, count in enumerate(self.categories):
            column = x[:, index]
            if count:
                columns += [(column == place).astype(np.float64) for place in range(count)]
                continue
            known = np.where(np.isnan(column), self.fill[index], np.clip(column, -_NUMBER, _NUMBER))
            columns.append(np.clip((known - self.mean[index]) / self.scale[index], -_FARTHEST, _FARTHEST))
        return np.stack(columns, axis=1).astype(np.float32)

    def answers(self, outputs: NDArray[Any], output: ModelOutput) -> Matrix:
        """What a network puts out, as the task has it: float64 (rows,), or (rows, classes)."""
        found = outputs.astype(np.float64)
        if output.task is Task.MULTICLASS:
            risen = np.exp(found - found.max(axis=1, keepdims=True))
            return np.asarray(risen / risen.sum(axis=1, keepdims=True))
        found = found.reshape(len(found))
        if output.task is Task.BINARY:
            return np.asarray(np.exp(-np.logaddexp(0.0, -found)))
        return np.asarray(found * self.label[1] + self.label[0])


def dump(graph: Any, preparation: NetworkInputs) -> bytes:
    """``graph`` is an ``onnx.ModelProto`` with its weights in it. Equal models give equal bytes."""
    import onnx
    from safetensors.numpy import save

    bare = onnx.ModelProto()
    bare.CopyFrom(graph)
    onnx_graph.without_traces(bare)
    tensors: dict[str, NDArray[Any]] = {f"{_PREPARED}{name}": value for name, value in vars(preparation).items()}
    for weight in bare.graph.initializer:
        tensors[f"{_WEIGHTS}{weight.name}"] = np.ascontiguousarray(onnx.numpy_helper.to_array(weight))
    del bare.graph.initializer[:]
    told = base64.b64encode(bare.SerializeToString(deterministic=True)).decode()
    return bytes(save(tensors, metadata={_GRAPH: told}))


def load(data: bytes, output: ModelOutput) -> Score:
    """
    Raises:
        WorkloadError: "PackageMissing", with what to install.
        ValueError: these are no bytes of a model.
    """
    graph, preparation = parts_of(data)
    session = onnx_graph.opened(graph)

    def score(matrix: Matrix) -> Matrix:
        if not len(matrix):
            return output.empty()
        found = session.run([OUTPUT], {INPUT: preparation.prepared(matrix)})[0]
        return preparation.answers(found, output)

    return score


def parts_of(data: bytes) -> tuple[Any, NetworkInputs]:
    """What ``dump`` was given. Raises what ``load`` raises."""
    onnx_graph.require(*PACKAGES)
    import onnx
    from safetensors.numpy import load as opened

    tensors = opened(data)
    graph = onnx.ModelProto.FromString(base64.b64decode(_metadata(data)[_GRAPH], validate=True))
    for name, value in sorted(tensors.items()):
        if name.startswith(_WEIGHTS):
            graph.graph.initializer.append(onnx.numpy_helper.from_array(value, name.removeprefix(_WEIGHTS)))
    preparation = NetworkInputs(
        **{name.removeprefix(_PREPARED): value for name, value in tensors.items() if name.startswith(_PREPARED)}
    )
    return graph, preparation


def _moments(values: Matrix) -> tuple[float, float]:
    """Mean and standard deviation; 1 in place of a deviation that is none."""
    if not len(values):
        return 0.0, 1.0
    deviation = float(values.std())
    return float(values.mean()), deviation if deviation > 0 else 1.0


def _metadata(data: bytes) -> dict[str, str]:
    """Which safetensors gives from files alone: behind eight bytes with its length comes a header of JSON."""
    length = int.from_bytes(data[:8], "little")
    found: dict[str, str] = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    return found
