"""From a request's bytes to predictions and back. Plain Python: Ray and whylogs stay outside."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from framework.workloads.models import check_rows, frame_of

MAX_PROBLEMS = 20
"""Mistakes named in one answer; a request may hold a million."""

_MAX_DIGITS = 20
"""Of a JSON integer: no 64-bit column holds more, and Python's own integers are unbounded."""

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

Rows = list[dict[str, Any]]
Transformer = Callable[[Rows], Sequence[Mapping[str, Any]]]


class BadRequestError(Exception):
    """The caller's mistake. ``problems`` names the fields."""

    def __init__(self, status: int, problems: Sequence[str]) -> None:
        super().__init__(problems[0])
        self.status = status
        self.problems = tuple(problems[:MAX_PROBLEMS])

    def body(self) -> bytes:
        """As the protocol has it: ``{"error": {"type", "message", "problems"}}``."""
        error = {"type": "bad_request", "message": str(self), "problems": self.problems}
        return json.dumps({"error": error}).encode()


@dataclass(frozen=True)
class Prepared:
    """A request that is ready for the model: ``rows`` after the transformer, and as a typed frame of the inputs."""

    keys: tuple[str | None, ...]
    rows: Sequence[Mapping[str, Any]]
    frame: pl.DataFrame


class Preparation:
    """Reads, transforms and checks requests for one model version. Thread-safe if the transformer is."""

    def __init__(self, signature: Mapping[str, Any], transformer: Transformer | None, key: str | None) -> None:
        self._signature = signature
        self._transformer = transformer
        self._key = key

    def prepare(self, body: bytes) -> Prepared:
        """The model's inputs for ``body``, and the key of each row.

        Raises:
            BadRequestError: no JSON (400), another shape, or values that the signature refuses (422).
            Exception: the transformer raised, or made rows that the model cannot take: the version's failure.
        """
        rows = _instances(body)
        keys = tuple(_text(row.get(self._key)) for row in rows) if self._key else (None,) * len(rows)
        if self._transformer is None:
            problems = check_rows(rows, self._signature)
            if problems:
                raise BadRequestError(422, problems)
            return Prepared(keys, rows, frame_of(rows, self._signature))
        made = list(self._transformer([dict(row) for row in rows]))
        if len(made) != len(rows):
            raise ValueError(f"the transformer made {len(made)} rows of {len(rows)}")
        problems = check_rows(made, self._signature)
        if problems:
            self._blame(rows, made, problems)
        return Prepared(keys, made, frame_of(made, self._signature))

    def _blame(self, rows: Rows, made: Sequence[Mapping[str, Any]], problems: Sequence[str]) -> None:
        """A bad value that the transformer only copied is the caller's mistake; any other is the transformer's."""
        theirs: list[str] = []
        for index, (row, new) in enumerate(zip(rows, made, strict=True)):
            copied = [column for column in self._signature["inputs"] if _is_copied(column["name"], row, new)]
            theirs += check_rows([new], {**self._signature, "inputs": copied}, first=index)
        if theirs:
            raise BadRequestError(422, theirs)
        raise ValueError(f"the transformer made rows that the model cannot take: {problems[0]}")


def answer(predictions: NDArray[np.float64], model: str, app: str) -> bytes:
    """A successful answer.

    Raises:
        ValueError: a prediction is not finite, which JSON cannot say and no caller can use.
    """
    if not np.isfinite(predictions).all():
        raise ValueError("the model predicted a value that is not finite")
    return json.dumps({"predictions": predictions.tolist(), "model": model, "app": app}).encode()


def import_transformer(entrypoint: str | None) -> Transformer | None:
    """The function at ``package.module:attribute``.

    Raises:
        ImportError: no such module. AttributeError: no such attribute. TypeError: not callable.
    """
    if entrypoint is None:
        return None
    module, _, attribute = entrypoint.partition(":")
    function = getattr(importlib.import_module(module), attribute)
    if not callable(function):
        raise TypeError(f"{entrypoint} is not a function")
    transformer: Transformer = function
    return transformer


def _instances(body: bytes) -> Rows:
    try:
        value = json.loads(body.decode(), parse_constant=_no_constant, parse_int=_integer)
        if _SURROGATE.search(body):  # half of a pair is valid JSON but no text: no column and no log can hold it
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BadRequestError(400, [f"the body is not JSON: {error}"]) from None
    if not isinstance(value, dict) or not isinstance(value.get("instances"), list):
        raise BadRequestError(422, ['the body must be an object {"instances": [{...}, ...]}'])
    rows: Rows = value["instances"]
    if not rows:
        raise BadRequestError(422, ["instances must not be empty"])
    wrong = [f"instances[{index}] must be an object" for index, row in enumerate(rows) if not isinstance(row, dict)]
    if wrong:
        raise BadRequestError(422, wrong)
    return rows


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON value")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"the number {digits[:_MAX_DIGITS]}... is out of range")
    return int(digits)


def _is_copied(name: str, row: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return name in row and name in new and type(row[name]) is type(new[name]) and row[name] == new[name]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
