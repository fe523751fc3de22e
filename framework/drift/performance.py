"""Whether the live version still predicts as well as when it was tested, once labels have arrived. Pure.

Judged on labels alone. Drift of the inputs is neither a reason nor a substitute for this verdict.
"""

from __future__ import annotations

from enum import StrEnum

from framework.api.meta import Stored
from framework.ports import LabelledWindow


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
    """The lowest value that the spec allows."""
    labelled: int
    predictions: int
    message: str


def judge_performance(
    window: LabelledWindow, baseline: float | None, *, max_drop: float, min_labels: int
) -> PerformanceVerdict:
    """Compare the value on labelled rows with ``baseline``, the same metric on the version's test rows."""
    bound = None if baseline is None else baseline - max_drop
    counted = f"{window.labelled:,} of {window.predictions:,} predictions are labelled"
    if window.value is None or window.labelled < min_labels:
        finding, message = PerformanceFinding.INCONCLUSIVE, f"{counted}; needs {min_labels:,}"
    elif bound is None:
        finding = PerformanceFinding.INCONCLUSIVE
        message = f"{_number(window)}, but the version has no {window.metric} from its test; {counted}"
    elif window.value >= bound:
        finding, message = PerformanceFinding.HOLDS, f"{_number(window)} against {baseline:.3f} when tested; {counted}"
    elif window.high is not None and window.high < bound:
        finding = PerformanceFinding.DEGRADED
        message = (
            f"{_number(window)} against {baseline:.3f} when tested, at most {max_drop:g} less is allowed; {counted}"
        )
    else:
        finding = PerformanceFinding.INCONCLUSIVE
        message = f"{_number(window)} is below {bound:.3f}, but chance is not ruled out; {counted}"
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
        message=message,
    )


def _number(window: LabelledWindow) -> str:
    spread = f" [{window.low:.3f}, {window.high:.3f}]" if window.low is not None and window.high is not None else ""
    return f"{window.metric} {window.value:.3f}{spread}"
