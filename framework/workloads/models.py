"""Trained models as files: saved, verified, loaded and asked, the same way in training, in serving and in batch.

Models see a float64 matrix: numbers as they are, Booleans as 0 and 1, strings as their position in the signature's
categories, dates as days and times as seconds since 1970 (see ``temporal``), and NaN for what is missing or was never
seen in training.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from framework import storage
from framework.answers import Matrix, ModelOutput
from framework.workloads import temporal
from framework.workloads.context import WorkloadError
from framework.workloads.features.dtypes import DTYPES
from framework.workloads.formats import known
from framework.workloads.formats.form import Score
from framework.workloads.missing import nan_as_null

Signature = Mapping[str, Any]
"""{"inputs": [{"name", "dtype", "nullable", "categories" (of a String), "encoding" (of a date or time)}], "output": see
``answers.ModelOutput``}"""

NUMBERS = frozenset({
    "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64",
})  # fmt: skip
INPUT_DTYPES = NUMBERS | {"Boolean", "String", *temporal.ENCODINGS}
"""Dtypes that a model input can have: those that a FeatureView declares."""


def signature_of(
    frame: pl.DataFrame, inputs: Sequence[str], nullable: Sequence[str], output: ModelOutput
) -> dict[str, Any]:
    """The signature of a model trained on ``frame``: categories are the sorted distinct strings of its rows.

    A column is nullable if it is in ``nullable`` or has nulls, NaN included, in ``frame``: JSON has no NaN, so a row
    like that can only be asked about with null.

    Raises:
        WorkloadError: "WrongType" for an input of a dtype that no FeatureView declares, or with dates that no request
            could have.
    """
    columns: list[dict[str, Any]] = []
    known = nan_as_null(frame.select(list(dict.fromkeys(inputs))))
    for name in inputs:
        dtype = str(known.schema[name].base_type())
        if dtype not in INPUT_DTYPES:
            told = f"{name} is {dtype}; a model input is a number, Boolean, a String, Date or Datetime"
            raise WorkloadError("WrongType", told)
        column: dict[str, Any] = {
            "name": name,
            "dtype": dtype,
            "nullable": name in nullable or known[name].null_count() > 0,
        }
        if dtype == "String":
            column["categories"] = known[name].drop_nulls().unique().sort().to_list()
        if dtype in temporal.ENCODINGS:
            temporal.check(known[name])
            column["encoding"] = temporal.ENCODINGS[dtype]
        columns.append(column)
    return {"inputs": columns, "output": output.to_json()}


class Encoder:
    """Frames to matrices by one signature. Built once, used for every request."""

    def __init__(self, signature: Signature) -> None:
        self._columns: list[tuple[str, Callable[[pl.Series], Matrix]]] = [
            (column["name"], _encoded(column)) for column in signature["inputs"]
        ]

    def matrix(self, frame: pl.DataFrame) -> Matrix:
        """float64 (rows, inputs), C-contiguous; NaN for null and for strings that are no category."""
        matrix = np.empty((frame.height, len(self._columns)), dtype=np.float64)
        for index, (name, encode) in enumerate(self._columns):
            matrix[:, index] = encode(frame.get_column(name))
        return matrix


def _encoded(column: Mapping[str, Any]) -> Callable[[pl.Series], Matrix]:
    """How a column of a signature becomes float64 (rows,)."""
    if "encoding" in column:
        return temporal.ENCODED[column["encoding"]]
    categories = pl.Enum(column["categories"]) if column["dtype"] == "String" else None

    def numbers(series: pl.Series) -> Matrix:
        if categories is not None:
            series = series.cast(categories, strict=False).to_physical()
        found: Matrix = series.cast(pl.Float64).to_numpy()
        return found

    return numbers


class Predictor:
    """A loaded model. Thread-safe: asking it changes nothing."""

    def __init__(self, score: Score, signature: Signature) -> None:
        self.signature = signature
        self.output = ModelOutput.of(signature)
        self._score = score
        self._encoder = Encoder(signature)

    def predict(self, frame: pl.DataFrame) -> Matrix:
        """The answers (see ``answers.ModelOutput``), float64 (rows,) or (rows, numbers of an answer). ``frame`` has the
        signature's inputs."""
        return self.answer(self.encode(frame))

    def encode(self, frame: pl.DataFrame) -> Matrix:
        """The signature's inputs as the model sees them, each by itself: see ``Encoder.matrix``."""
        return self._encoder.matrix(frame)

    def answer(self, matrix: Matrix) -> Matrix:
        """The answers to rows as ``encode`` has them."""
        return self._score(matrix) if len(matrix) else self.output.empty()


def save(folder: str, data: bytes, format: str) -> tuple[str, str]:
    """Write the artefact's bytes under ``folder``; returns (URI, SHA-256)."""
    artifact = f"{folder}/{known(format).file}"
    storage.write_bytes(artifact, data)
    return artifact, hashlib.sha256(data).hexdigest()


def load(artifact: str, sha256: str, format: str, signature: Signature) -> Predictor:
    """Read, verify and open a model.

    Raises:
        WorkloadError: "ArtifactMissing"; "ArtifactMismatch" when the bytes are not those that were registered;
            "UnknownFormat"; "UntrustedTypes" when a skops file names types outside scikit-learn and numpy;
            "ArtifactUnreadable".
    """
    loader = known(format).load
    data = storage.read_bytes(artifact)
    if data is None:
        raise WorkloadError("ArtifactMissing", f"no model file at {artifact}")
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise WorkloadError(
            "ArtifactMismatch", f"{artifact} has SHA-256 {found}, registered was {sha256}; it is not loaded"
        )
    try:
        score = loader(data, ModelOutput.of(signature))
    except WorkloadError:
        raise
    except Exception as error:
        raise WorkloadError("ArtifactUnreadable", f"{artifact} is no valid {format} file: {error}") from error
    return Predictor(score, signature)


def check_rows(rows: Sequence[Any], signature: Signature, first: int = 0) -> list[str]:
    """What is wrong with request rows, one sentence per field; empty when all fit. Unknown fields are ignored,
    because a request also carries keys (flight_id) that only the prediction log reads. ``first`` is the index by which
    the first row is named.

    JSON holds Python's own numbers; a transformer's rows may hold those of numpy, and NaN for what is missing."""
    problems: list[str] = []
    for index, row in enumerate(rows, start=first):
        if not isinstance(row, Mapping):
            problems.append(f"instances[{index}] must be an object, found {kind_of(row)}")
            continue
        for column in signature["inputs"]:
            name, dtype = column["name"], column["dtype"]
            value = row.get(name)
            if _missing(value):
                if not column["nullable"]:
                    word = "is missing" if name not in row else "is null" if value is None else "is NaN"
                    problems.append(f"instances[{index}].{name} {word}; {dtype} is required")
            elif isinstance(value, str) and not _is_unicode(value):
                problems.append(
                    f"instances[{index}].{name} holds half a surrogate pair, which is no text: {shown(value)}"
                )
            elif not _fits(value, dtype):
                problems.append(
                    f"instances[{index}].{name} must be {required(dtype)}, found {kind_of(value)} {shown(value)}"
                )
    return problems


def required(dtype: str) -> str:
    """What a request has to have for ``dtype``, as a message says it."""
    return f"{dtype} (ISO 8601, as {temporal.EXAMPLES[dtype]})" if dtype in temporal.EXAMPLES else dtype


def frame_of(rows: Sequence[Mapping[str, Any]], signature: Signature) -> pl.DataFrame:
    """Checked rows as a frame of the signature's inputs at their dtypes; a missing nullable field is null.

    An integer beyond 2**53 becomes the nearest number that a Float64 column can hold, as everywhere else with doubles.
    """
    return pl.DataFrame([_series(column["name"], column["dtype"], rows) for column in signature["inputs"]])


def _series(name: str, dtype: str, rows: Sequence[Mapping[str, Any]]) -> pl.Series:
    values = [row.get(name) for row in rows]
    if any(isinstance(value, _FLOATS) and value != value for value in values):
        values = [None if _missing(value) else value for value in values]
    if dtype in temporal.ENCODINGS:
        values = [temporal.parsed(value, dtype) for value in values]
    return pl.Series(name, values, dtype=DTYPES[dtype], strict=False)


_RANGES = {
    f"{prefix}{bits}": (
        0 if prefix == "UInt" else -(2 ** (bits - 1)),
        2 ** (bits if prefix == "UInt" else bits - 1) - 1,
    )
    for prefix in ("Int", "UInt")
    for bits in (8, 16, 32, 64)
}


_FLOATS = (float, np.floating)
_BOOLEANS = (bool, np.bool_)
_REALS = (int, float, np.integer, np.floating)
_FLOAT32_LIMIT = 2.0**128 - 2.0**103
"""From here on a number is nearer to infinity than to the largest Float32."""


def _is_unicode(value: str) -> bool:
    """Python's text may hold what no encoding can write, and no frame can hold."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, _FLOATS) and value != value)


def _fits(value: Any, dtype: str) -> bool:
    if dtype == "String":
        return isinstance(value, str)
    if dtype == "Boolean":
        return isinstance(value, _BOOLEANS)
    if dtype in temporal.ENCODINGS:
        return temporal.parsed(value, dtype) is not None
    if isinstance(value, _BOOLEANS) or not isinstance(value, _REALS):
        return False
    try:
        if not math.isfinite(value):
            return False
    except OverflowError:  # Python's integers are unbounded, and this one is beyond every float
        return False
    if dtype in _RANGES:
        low, high = _RANGES[dtype]
        return float(value).is_integer() and low <= value <= high
    return dtype != "Float32" or abs(float(value)) < _FLOAT32_LIMIT


def shown(value: Any) -> str:
    """A value as a message quotes it, 40 characters at most."""
    try:
        return repr(str(value)[:40])
    except ValueError:  # Python refuses to write out integers of more than 4,300 digits
        return f"of {value.bit_length()} bits"


def kind_of(value: Any) -> str:
    """What a value is in JSON, or else the name of its type."""
    names = {
        dict: "object",
        list: "list",
        str: "text",
        bool: "Boolean",
        int: "number",
        float: "number",
        type(None): "null",
    }
    if type(value) in names:
        return names[type(value)]
    module, name = type(value).__module__, type(value).__qualname__
    return name if module == "builtins" else f"{module}.{name}"
