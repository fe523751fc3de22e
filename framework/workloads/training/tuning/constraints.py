"""Bounds that the best trial has to keep, and which trial is the best beside them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from framework.answers import Matrix, ModelOutput
from framework.api.fields import parse_duration
from framework.api.metrics import VALIDATION
from framework.workloads.formats import FORMATS, known
from framework.workloads.training.trainer import Artifact

LATENCY = "latency_ms"
"""How a trial tells how long the answer to a single row takes, in milliseconds."""
_WARM, _TIMED = 5, 50


class Bound(NamedTuple):
    """On what a trial tells by ``name``."""

    name: str
    least: float | None
    most: float | None

    def missed(self, found: Mapping[str, Any]) -> float:
        """By how much of the bound it is missed; 0 where it holds, infinite where nothing was measured.

        >>> Bound("validation_recall", 0.5, None).missed({"validation_recall": 0.25})
        0.5
        """
        value: float | None = found.get(self.name)
        if value is None or not math.isfinite(value):
            return math.inf
        sides = ((self.least, 1), (self.most, -1))
        return max(
            0.0, *(round(sign * (end - value) / (abs(end) or 1.0), 12) for end, sign in sides if end is not None)
        )

    def told(self, found: Mapping[str, Any]) -> str:
        """``validation_recall 0.58, at least 0.6 is asked for``."""
        value = found.get(self.name)
        sides = ((self.least, "at least"), (self.most, "at most"))
        asked = " and ".join(f"{word} {end:g}" for end, word in sides if end is not None)
        return f"{self.name} {'not measured' if value is None else format(value, '.4g')}, {asked} is asked for"


def bounds_of(constraints: Iterable[Mapping[str, Any]]) -> tuple[Bound, ...]:
    """From a spec's ``tune.constraints`` (JSON by alias), the metrics as trials tell them."""
    return tuple(_bound(one) for one in constraints)


def _bound(form: Mapping[str, Any]) -> Bound:
    if form.get("latency") is not None:
        return Bound(LATENCY, None, 1000 * parse_duration(form["latency"]["max"]).total_seconds())
    return Bound(form["metric"], form.get("min"), form.get("max"))


def metrics_of(bounds: Iterable[Bound]) -> list[str]:
    """What has to be measured for them."""
    return [bound.name.removeprefix(VALIDATION) for bound in bounds if bound.name.startswith(VALIDATION)]


def missed(found: Mapping[str, Any], bounds: Sequence[Bound]) -> tuple[float, ...]:
    return tuple(bound.missed(found) for bound in bounds)


def worth(found: Mapping[str, Any], metric: str, mode: str, bounds: Sequence[Bound]) -> tuple[float, float]:
    """What is better is larger: first of all how little bounds are missed by, then the metric."""
    return -sum(missed(found, bounds)), found[metric] if mode == "max" else -found[metric]


def latency_ms(artifact: Artifact, x: Matrix, output: ModelOutput) -> float | None:
    """How long the model takes to answer a single row, in milliseconds: the median over rows of the matrix ``x``
    (rows, inputs). Without reading a request or writing an answer. None for a form that only its trainer reads."""
    if artifact.format not in FORMATS:
        return None
    score = known(artifact.format).load(artifact.data, output)
    rows = [x[at % len(x)][None, :] for at in range(_WARM + _TIMED)]
    taken = []
    for row in rows:
        began = time.perf_counter()
        score(row)
        taken.append(time.perf_counter() - began)
    return 1000 * median(taken[_WARM:])
