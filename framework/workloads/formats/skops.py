"""Scikit-learn without pickle, by skops."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np

from framework.answers import Matrix, ModelOutput
from framework.api.tasks import Task
from framework.workloads.context import WorkloadError
from framework.workloads.formats.form import Score


def load(data: bytes, output: ModelOutput) -> Score:
    """Raises what ``opened`` does."""
    estimator = opened(data)
    return lambda matrix: ask(estimator, matrix, output)


def opened(data: bytes) -> Any:
    """The estimator.

    Raises:
        WorkloadError: "UntrustedTypes" when the file names types outside scikit-learn and numpy.
    """
    from skops.io import loads

    untrusted = _untrusted(data)
    if untrusted:
        raise WorkloadError("UntrustedTypes", f"the model file names types that could run code: {', '.join(untrusted)}")
    return loads(data, trusted=sorted(_HARMLESS))


def ask(estimator: Any, matrix: Matrix, output: ModelOutput) -> Matrix:
    """The answers of a fitted estimator, as its task has them."""
    match output.task:
        case Task.BINARY:
            answers = estimator.predict_proba(matrix)[:, 1]
        case Task.MULTICLASS:
            answers = estimator.predict_proba(matrix)
        case _:
            answers = estimator.predict(matrix)
    return np.asarray(answers, dtype=np.float64)


def dump(estimator: Any) -> bytes:
    """A fitted scikit-learn estimator as skops bytes; equal estimators give equal bytes.

    Raises:
        WorkloadError: "UntrustedTypes" when it could not be loaded again without running foreign code.
    """
    from skops.io import dumps

    data = _canonical(bytes(dumps(estimator)))
    untrusted = _untrusted(data)
    if untrusted:
        raise WorkloadError(
            "UntrustedTypes", f"only scikit-learn's own types can be saved, found {', '.join(untrusted)}"
        )
    return data


_HARMLESS = frozenset(
    {
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
    }
)
"""Not on skops' own list, but plain data: loading them runs nothing that the file brings along."""


def _untrusted(data: bytes) -> list[str]:
    from skops.io import get_untrusted_types

    return sorted(set(get_untrusted_types(data=data)) - _HARMLESS)


def _canonical(data: bytes) -> bytes:
    """skops names objects by memory address and stamps files with the time of day; both go, so that a fingerprint means
    the same bytes."""
    source = zipfile.ZipFile(io.BytesIO(data))
    numbers: dict[str, str] = {}

    def renumbered(value: Any) -> Any:
        if isinstance(value, list):
            return [renumbered(item) for item in value]
        if not isinstance(value, dict):
            return value
        found = {key: renumbered(item) for key, item in value.items()}
        if isinstance(found.get("__id__"), int):
            found["__id__"] = int(numbers.setdefault(str(found["__id__"]), str(len(numbers) + 1)))
        if isinstance(found.get("file"), str):
            stem, dot, suffix = found["file"].partition(".")
            found["file"] = f"{numbers.setdefault(stem, str(len(numbers) + 1))}{dot}{suffix}"
        return found

    schema = renumbered(json.loads(source.read("schema.json")))
    members = {"schema.json": json.dumps(schema, indent=1).encode()}
    for name in source.namelist():
        stem, dot, suffix = name.partition(".")
        if name != "schema.json":
            members[f"{numbers[stem]}{dot}{suffix}"] = source.read(name)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), members[name], zipfile.ZIP_DEFLATED)
    return target.getvalue()
