"""The forms in which a model is stored. None executes code on loading; pickle is not among them. Adding one: a file
here and a line below."""

from __future__ import annotations

from collections.abc import Mapping

from framework.workloads.context import WorkloadError
from framework.workloads.formats import lightgbm_text, onnx_file, skops, torch_safetensors, xgboost_ubj
from framework.workloads.formats.form import Format

FORMATS: Mapping[str, Format] = {
    "lightgbm-text": Format("model.txt", lightgbm_text.load, lightgbm_text.contributions),
    "lightgbm-quantiles": Format("models.json", lightgbm_text.load_several, lightgbm_text.contributions_of_several),
    "onnx": Format("model.onnx", onnx_file.load),
    "skops": Format("model.skops", skops.load),
    "torch-safetensors": Format("model.safetensors", torch_safetensors.load),
    "xgboost-ubj": Format("model.ubj", xgboost_ubj.load, xgboost_ubj.contributions),
}


def known(format: str) -> Format:
    """
    Raises:
        WorkloadError: "UnknownFormat".
    """
    if format not in FORMATS:
        raise WorkloadError("UnknownFormat", f"{format!r} is not a model format (allowed: {', '.join(FORMATS)})")
    return FORMATS[format]
