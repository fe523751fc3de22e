"""A graph of ONNX, asked by onnxruntime. No operation of one runs code that a file brings along: docs/adr/0041."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from framework import installed
from framework.workloads.context import WorkloadError


def require(*packages: str) -> None:
    """
    Raises:
        WorkloadError: "PackageMissing", with what to install.
    """
    lacking = [package for package in packages if not installed.is_there(package)]
    if lacking:
        raise WorkloadError("PackageMissing", installed.advice(lacking))


def opened(graph: Any) -> Any:
    """An ``onnxruntime.InferenceSession`` of an ``onnx.ModelProto``, on one thread of a CPU. Thread-safe.

    Raises:
        ValueError: it names other files, which onnxruntime would read.
    """
    import onnx
    import onnxruntime

    if any(onnx.external_data_helper.uses_external_data(tensor) for tensor in _tensors(graph.graph)):
        raise ValueError("its graph names other files")
    options = onnxruntime.SessionOptions()
    # One thread: a request has few rows, and replicas share the machine's cores.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def without_traces(graph: Any) -> None:
    """Where in which file a node was written is no matter of the model's, and differs between machines."""
    del graph.metadata_props[:]
    for one in _graphs(graph.graph):
        del one.metadata_props[:]
        one.doc_string = ""
        for part in (*one.node, *one.input, *one.output, *one.value_info, *one.initializer):
            del part.metadata_props[:]
            part.doc_string = ""


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph, and those that its loops and branches have."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _graphs(inner)


def _tensors(graph: Any) -> Iterator[Any]:
    for one in _graphs(graph):
        yield from one.initializer
        for node in one.node:
            for attribute in node.attribute:
                yield from (*attribute.tensors, *([attribute.t] if attribute.HasField("t") else []))
