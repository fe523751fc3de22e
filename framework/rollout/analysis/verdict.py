"""What an analysis says, with every number it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from framework.api.meta import Stored


class AnalysisOutcome(StrEnum):
    PASS = "Pass"  # noqa: S105 (a verdict, not a secret)
    """Enough traffic, and the candidate's estimate keeps within the bound."""
    FAIL = "Fail"
    """Beyond the bound, and chance is ruled out at the level of this look."""
    INCONCLUSIVE = "Inconclusive"
    """Too little traffic, or beyond the bound by no more than chance explains."""


class Estimate(Stored):
    """One version's side of a comparison: ``value`` from ``count`` requests, within ``low`` to ``high``.

    Each limit alone holds with the confidence of the look. ``high`` None means that the data set no upper limit.
    """

    count: int
    value: float | None
    low: float
    high: float | None


class Verdict(Stored):
    """One metric at one look. ``bound`` is the spec's word for it (``maxIncrease 0.01``), ``limit`` what it allows the
    candidate given stable's estimate, ``alpha`` the chance of a false Fail spent at this look."""

    metric: str
    outcome: AnalysisOutcome
    candidate: Estimate
    stable: Estimate
    bound: str
    limit: float | None
    look: int
    alpha: float
    time: datetime
    message: str


def overall(verdicts: Sequence[Verdict]) -> AnalysisOutcome:
    """Fail if any fails, Pass if all pass; nothing measured is Inconclusive, never a silent pass."""
    outcomes = {verdict.outcome for verdict in verdicts}
    if AnalysisOutcome.FAIL in outcomes:
        return AnalysisOutcome.FAIL
    return AnalysisOutcome.PASS if outcomes == {AnalysisOutcome.PASS} else AnalysisOutcome.INCONCLUSIVE
