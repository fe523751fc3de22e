"""Models of libraries as graphs of ONNX, by skl2onnx and onnxmltools, and networks of fewer bits, by onnxruntime. What
comes of it is no more than a proposal: ``serving_forms`` compares its answers."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from framework.workloads.context import WorkloadError
from framework.workloads.formats import onnx_file, onnx_graph, skops, torch_safetensors
from framework.workloads.training.trainer import Artifact

_OPSET = {"": 15, "ai.onnx.ml": 3}
"""Of the operations that a graph is written in: old enough for both libraries, and for every onnxruntime of today."""
_INPUT = "inputs"
PACKAGES = (*onnx_file.PACKAGES, "onnxmltools", "skl2onnx")


def as_onnx(artifact: Artifact, inputs: int) -> Artifact:
    """The model as a graph, in the form "onnx".

    Raises:
        WorkloadError: "PackageMissing"; "NotExportable", with what no graph can be written of.
    """
    if artifact.format not in _CONVERTERS:
        raise WorkloadError("NotExportable", f"a model in the form {artifact.format} has no graph of ONNX")
    onnx_graph.require(*PACKAGES)
    try:
        with _quiet():
            return Artifact(onnx_file.dump(_CONVERTERS[artifact.format](artifact.data, inputs)), "onnx")
    except Exception as error:  # whatever a library says of a model that it does not know
        told = " ".join(str(error).split())[:200]
        raise WorkloadError(
            "NotExportable", f"no graph can be written of it: {type(error).__name__}: {told}"
        ) from error


def _lightgbm(data: bytes, inputs: int) -> Any:
    import lightgbm
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType

    booster = lightgbm.Booster(model_str=data.decode())
    form = [(_INPUT, FloatTensorType([None, inputs]))]
    return convert_lightgbm(booster, "model", form, target_opset=_OPSET[""], zipmap=False)


def _xgboost(data: bytes, inputs: int) -> Any:
    import xgboost
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    booster = xgboost.Booster(model_file=bytearray(data))
    return convert_xgboost(booster, "model", [(_INPUT, FloatTensorType([None, inputs]))], target_opset=_OPSET[""])


def _sklearn(data: bytes, inputs: int) -> Any:
    """What prepares the inputs of a pipeline computes in float64, as scikit-learn does, and only what comes of it is
    narrowed: trees compare that in float32 themselves, and a number that is scaled in float32 may fall on the other
    side of a threshold."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
    from skl2onnx.sklapi import CastTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline

    estimator = skops.opened(data)
    kind, more = FloatTensorType, {}
    if isinstance(estimator, Pipeline):
        (*prepare, last) = estimator.steps
        estimator, kind = Pipeline([*prepare, ("narrow", CastTransformer(dtype=np.float32)), last]), DoubleTensorType
        more = {
            "custom_conversion_functions": {SimpleImputer: _imputed},
            "custom_shape_calculators": {SimpleImputer: _as_wide},
        }
    if hasattr(estimator, "predict_proba"):
        more["options"] = {id(estimator): {"zipmap": False}}
    return convert_sklearn(estimator, "model", [(_INPUT, kind([None, inputs]))], target_opset=_OPSET, **more)


def _imputed(scope: Any, operator: Any, container: Any) -> None:
    """What skl2onnx writes instead is computed by nobody in float64."""
    from skl2onnx.algebra.onnx_ops import OnnxIsNaN, OnnxWhere

    imputer, (asked,) = operator.raw_operator, operator.inputs
    fill = np.asarray(imputer.statistics_, dtype=np.float64)
    if imputer.add_indicator or np.isnan(fill).any():
        raise ValueError("an imputer that adds or drops columns")
    opset = container.target_opset
    gaps = OnnxIsNaN(asked, op_version=opset)
    filled = OnnxWhere(gaps, fill[None, :], asked, op_version=opset, output_names=operator.outputs[:1])
    filled.add_to(scope, container)


def _as_wide(operator: Any) -> None:
    operator.outputs[0].type = operator.inputs[0].type.__class__([None, operator.inputs[0].type.shape[1]])


_CONVERTERS: Mapping[str, Callable[[bytes, int], Any]] = {
    "lightgbm-text": _lightgbm,
    "skops": _sklearn,
    "xgboost-ubj": _xgboost,
}


def quantized(artifact: Artifact, to: str) -> Artifact:
    """A network whose numbers have fewer bits, in the form that it had: ``int8`` with a scale for each matrix of
    weights and for what goes into it; ``float16`` throughout, with float32 at both ends.

    Raises:
        WorkloadError: "PackageMissing"; "NotExportable".
    """
    graph, preparation = torch_safetensors.parts_of(artifact.data)
    try:
        with _quiet():
            fewer = _QUANTIZERS[to](graph)
            return Artifact(torch_safetensors.dump(fewer, preparation), artifact.format)
    except Exception as error:
        told = " ".join(str(error).split())[:200]
        raise WorkloadError("NotExportable", f"{to} of it cannot be had: {type(error).__name__}: {told}") from error


def _int8(graph: Any) -> Any:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        quantize_dynamic(graph, f"{folder}/model.onnx", weight_type=QuantType.QInt8)
        return onnx.load(f"{folder}/model.onnx")


def _float16(graph: Any) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return convert_float_to_float16(graph, keep_io_types=True)


_QUANTIZERS: Mapping[str, Callable[[Any], Any]] = {"float16": _float16, "int8": _int8}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Converters tell everybody of versions that they know better, and of what they might do besides."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)
