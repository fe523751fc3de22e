"""Whether the live version still predicts as well as when it was tested, once labels have arrived. Pure.

Judged on labels alone. Drift of the inputs is neither a reason nor a substitute for this verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import StrEnum

from framework.api.meta import Stored
from framework.api.metrics import measure_of
from framework.drift.quality import CONFIDENCE_ALPHA
from framework.ports import LabelledWindow
from framework.probability import proportion_lower


class PerformanceFinding(StrEnum):
    DEGRADED = "Degraded"
    """Worse than allowed, and the whole interval of the estimate is."""
    HOLDS = "Holds"
    INCONCLUSIVE = "Inconclusive"


class PerformanceVerdict(Stored):
    finding: PerformanceFinding
    metric: str
    value: float | None
    low: float | None
    high: float | None
    baseline: float | None
    bound: float | None
    """The worst value that the spec allows."""
    labelled: int
    predictions: int
    message: str


UNUSABLE = 0.01
"""Where a larger share of the labels is unusable, and not by chance, what is left need not stand for the others."""


def judge_performance(
    window: LabelledWindow, baseline: float | None, *, allowed: float | None, min_labels: int
) -> PerformanceVerdict:
    """Compare the value on labelled rows with ``baseline``, the same metric on the version's test rows. ``allowed`` is
    by how much it may be worse; None where that is not known."""
    sign = -1 if measure_of(window.metric).loss else 1
    bound = None if baseline is None or allowed is None else baseline - sign * allowed
    unusable = sum(item.count for item in window.unusable)
    if proportion_lower(unusable, unusable + window.labelled, CONFIDENCE_ALPHA) > UNUSABLE:
        share = f"{unusable:,} of {unusable + window.labelled:,} labels are unusable, at most {UNUSABLE:.0%} may be"
        window = replace(window, value=None, low=None, high=None, problem=window.problem or share)
    finding, message = _judged(window, baseline, bound, allowed, min_labels)
    return PerformanceVerdict(
        finding=finding,
        metric=window.metric,
        value=window.value,
        low=window.low,
        high=window.high,
        baseline=baseline,
        bound=bound,
        labelled=window.labelled,
        predictions=window.predictions,
        message="; ".join((message, *_notes(window))),
    )


def _judged(
    window: LabelledWindow, baseline: float | None, bound: float | None, allowed: float | None, min_labels: int
) -> tuple[PerformanceFinding, str]:
    counted = f"{window.labelled:,} of {window.predictions:,} predictions are labelled"
    if window.problem:
        return PerformanceFinding.INCONCLUSIVE, window.problem
    if window.labelled < min_labels:
        return PerformanceFinding.INCONCLUSIVE, f"{counted}; needs {min_labels:,}"
    loss, digits = measure_of(window.metric).loss, _digits(window.metric)
    if window.value is None:
        only = "".join(f" ({count:,} of {name})" for name, count in window.classes.items())
        return PerformanceFinding.INCONCLUSIVE, f"only one class has arrived{only}; {counted}"
    if bound is None or baseline is None:
        unknown = f"the version has no {window.metric} from its test"
        if baseline is not None:
            unknown = "performance.maxRise does not say how much more is no loss yet"
        return PerformanceFinding.INCONCLUSIVE, f"{_number(window)}, but {unknown}; {counted}"
    compared = f"{_number(window)} against {baseline:{digits}} when tested"
    if window.value <= bound if loss else window.value >= bound:
        return PerformanceFinding.HOLDS, f"{compared}; {counted}"
    best = window.low if loss else window.high
    if best is not None and (best > bound if loss else best < bound):
        told = f"at most {allowed:g} {'more' if loss else 'less'} is allowed"
        return PerformanceFinding.DEGRADED, f"{compared}, {told}; {counted}"
    side = "above" if loss else "below"
    return (
        PerformanceFinding.INCONCLUSIVE,
        f"{_number(window)} is {side} {bound:{digits}}, but chance is not ruled out; {counted}",
    )


def _notes(window: LabelledWindow) -> Iterator[str]:
    """What else there is to know about where the number comes from, or why there is none."""
    for item in window.unusable:
        labels = "label is" if item.count == 1 else "labels are"
        yield f"{item.count:,} {labels} {item.why} ({item.example})"
    if window.keyless:
        yield f"{window.keyless:,} predictions carry no key"
    if window.apart is not None:
        logged, label = window.apart
        yield f"none of the logged keys, {logged!r} for one, is among those of the labels, {label!r} for one"
    if window.damaged:
        yield files_left_out(window.damaged, "the prediction log")


def files_left_out(names: Sequence[str], of: str, shown: int = 3) -> str:
    """``2 files of the prediction log are damaged and left out: a.parquet, b.parquet``."""
    files = "file" if len(names) == 1 else "files"
    verb = "is" if len(names) == 1 else "are"
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return f"{len(names):,} {files} of {of} {verb} damaged and left out: {', '.join(names[:shown])}{more}"


def _number(window: LabelledWindow) -> str:
    digits = _digits(window.metric)
    known = window.low is not None and window.high is not None
    spread = f" [{window.low:{digits}}, {window.high:{digits}}]" if known else ""
    return f"{window.metric} {window.value:{digits}}{spread}"


def _digits(metric: str) -> str:
    return ".3f" if measure_of(metric).bounded else ".4g"
