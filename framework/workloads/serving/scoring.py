"""From a request's bytes to predictions and back. Plain Python: Ray and whylogs stay outside."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from framework.answers import Matrix, ModelOutput
from framework.workloads.models import check_rows, frame_of
from framework.workloads.serving.blame import Blame
from framework.workloads.serving.online import Enriched, FoundInputs, OnlineInputs

MAX_PROBLEMS = 20
"""Mistakes named in one answer; a request may hold a million."""

_MAX_DIGITS = 20
"""Of a JSON integer: no 64-bit column holds more, and Python's own integers are unbounded."""

_ROW, _FOUND = re.compile(r"^instances\[\d+\][. ]?"), re.compile(r"(, found \S+) .*$", re.DOTALL)
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

    @property
    def gist(self) -> str:
        """The first problem, without which row it was and which value was found there."""
        return "the body is not JSON" if self.status == 400 else _gist(str(self))


@dataclass(frozen=True)
class Prepared:
    """A request that is ready for the model: ``rows`` with what was looked up, after the transformer, and as a
    typed frame of the inputs."""

    keys: tuple[str | None, ...]
    rows: Sequence[Mapping[str, Any]]
    frame: pl.DataFrame
    missing: Mapping[str, int] = field(default_factory=dict)
    """By view for how many rows nothing was found online."""


class Preparation:
    """Reads, transforms and checks requests for one model version. Thread-safe if the transformer is.

    ``known`` are rows that the transformer is known to take; they help to tell whose mistake a failure is.
    """

    def __init__(
        self,
        signature: Mapping[str, Any],
        transformer: Transformer | None,
        key: str | None,
        known: Sequence[Mapping[str, Any]] = (),
        online: OnlineInputs | None = None,
    ) -> None:
        self._signature = signature
        self._online = online
        self._transformer = transformer
        self._key = key
        self._known = tuple(known)

    def knowing(self, rows: Sequence[Mapping[str, Any]]) -> Preparation:
        """The same, with rows that the transformer is known to take."""
        return Preparation(self._signature, self._transformer, self._key, rows, self._online)

    def prepare(self, body: bytes) -> Prepared:
        """The model's inputs for ``body``, and the key of each row.

        Raises:
            BadRequestError: no JSON (400), another shape, values that the signature or the transformer cannot take, or
                a key that is not there, is none, or that nothing is known of where that is refused (422).
            NotOnlineError: inputs that are looked up cannot be had now.
            Exception: the transformer raised, or made rows that the model cannot take, and no field of the request
                explains it: the version's failure.
        """
        rows = instances(body)
        keys = tuple(_text(row.get(self._key)) for row in rows) if self._key else (None,) * len(rows)
        found = None if self._online is None else self._looked_up(rows, self._online)
        if self._online is not None and found is not None and self._transformer is None:
            problems = check_rows(rows, self._online.rest)
            if problems:
                raise BadRequestError(422, problems)
            frame = self._together(rows, self._online, found)
            return Prepared(keys, Enriched(rows, found.columns), frame, found.missing)
        given = rows if found is None else [dict(row) for row in Enriched(rows, found.columns)]
        made = given if self._transformer is None else self._transformed(given, self._transformer)
        problems = check_rows(made, self._signature)
        if problems:
            self._blame(given, made, problems)
        return Prepared(keys, made, frame_of(made, self._signature), found.missing if found is not None else {})

    def _looked_up(self, rows: Rows, online: OnlineInputs) -> FoundInputs:
        problems = online.problems(rows)
        if problems:
            raise BadRequestError(422, problems)
        found = online.find(rows)
        if found.refused:
            raise BadRequestError(422, found.refused)
        return found

    def _together(self, rows: Rows, online: OnlineInputs, found: FoundInputs) -> pl.DataFrame:
        """The model's inputs, of which some were sent and some were found."""
        sent = {series.name: series for series in frame_of(rows, online.rest)}
        return pl.DataFrame([{**sent, **found.columns}[column["name"]] for column in self._signature["inputs"]])

    def inputs(self, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        """The model's inputs for rows that are nobody's request: whatever is wrong with them is raised as it is.

        Raises:
            ValueError: the model cannot take what the transformer makes of them. Exception: the transformer raised.
        """
        if self._online is not None and not self._online.given(rows):
            rows = list(Enriched(rows, self._looked_up([dict(row) for row in rows], self._online).columns))
        made = rows if self._transformer is None else _made(self._transformer, rows)
        problems = check_rows(made, self._signature)
        if problems:
            raise ValueError(f"{self._maker} the model cannot take: {_gist(problems[0])}")
        return frame_of(made, self._signature)

    @property
    def _maker(self) -> str:
        return "these are rows that" if self._transformer is None else "the transformer made rows that"

    def _transformed(self, rows: Rows, transformer: Transformer) -> list[Any]:
        try:
            return _made(transformer, rows)
        except Exception as error:
            mistakes = self._theirs(Blame(self._signature, transformer, self._known).raised(rows))
            if mistakes:
                raise BadRequestError(422, mistakes) from error
            raise

    def _blame(self, rows: Rows, made: Sequence[Any], problems: Sequence[str]) -> None:
        if self._transformer is None:
            raise BadRequestError(422, problems)
        mistakes = self._theirs(Blame(self._signature, self._transformer, self._known).unfit(rows, made))
        if mistakes:
            raise BadRequestError(422, mistakes)
        raise ValueError(f"{self._maker} the model cannot take: {_gist(problems[0])}")

    def _theirs(self, mistakes: Sequence[str]) -> list[str]:
        """Those of the caller: what was looked up is nobody's mistake."""
        names = tuple(f"{name} " for name in self._online.names) if self._online is not None else ()
        return [one for one in mistakes if not (names and _ROW.sub("", one).startswith(names))]


def _made(transformer: Transformer, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    made = list(transformer([dict(row) for row in rows]))
    if len(made) != len(rows):
        raise ValueError(f"the transformer made {len(made)} rows of {len(rows)}")
    return made


def answer(
    answers: Matrix, output: ModelOutput, model: str, app: str, missing: Mapping[str, int] = MappingProxyType({})
) -> bytes:
    """A successful answer. ``missing`` says by view for how many rows nothing was found online.

    Raises:
        ValueError: an answer is not finite, which JSON cannot say and no caller can use.
    """
    if not np.isfinite(answers).all():
        raise ValueError("the model predicted a value that is not finite")
    told = {"missing": dict(missing)} if missing else {}
    return json.dumps({**output.told(answers), "model": model, "app": app, **told}).encode()


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


def instances(body: bytes) -> Rows:
    """The rows of a request.

    Raises:
        BadRequestError: no JSON (400), or JSON of another shape (422).
    """
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


def _gist(problem: str) -> str:
    """A problem as the log may have it: with the kind of what was found, and not what it was."""
    return _FOUND.sub(r"\1", _ROW.sub("", problem))


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON value")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"the number {digits[:_MAX_DIGITS]}... is out of range")
    return int(digits)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
