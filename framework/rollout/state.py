"""What a canary remembers between two looks, what it is told, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from framework.api.meta import Stored
from framework.planning.grammar import reasons
from framework.ports import AppPhase, ReplicaCounters
from framework.rollout.analysis.verdict import Verdict
from framework.rollout.analysis.window import AnalysisWindow

HISTORY = 20
"""Verdicts kept of windows that are over."""


class CanaryPhase(StrEnum):
    STARTING = "Starting"
    """The candidate's app is coming up; it gets no traffic."""
    STEPPING = "Stepping"


class Reason(StrEnum):
    """Why a canary is where it is. CamelCase constants for machines."""

    STARTING = "Starting"
    SHIFTING = reasons.SHIFTING_TRAFFIC
    ANALYZING = "Analyzing"
    PAUSED = reasons.PAUSED
    TIMED_PAUSE = "WaitingInPause"
    INCONCLUSIVE = "Inconclusive"
    UNHEALTHY = "CandidateUnhealthy"
    STABLE_UNAVAILABLE = reasons.STABLE_UNAVAILABLE
    STABLE_LOST = reasons.STABLE_LOST
    PROMOTED = reasons.PROMOTED
    START_FAILED = "CandidateFailedToStart"
    START_DEADLINE = "StartDeadlineExceeded"
    ANALYSIS_FAILED = "AnalysisFailed"
    ANALYSIS_INCONCLUSIVE = "AnalysisInconclusive"
    DIED = "CandidateFailed"
    ABORTED = "Aborted"


class CanaryState(Stored):
    """``weight`` is the candidate's share in percent. ``steps`` names the plan that ``step`` counts in."""

    phase: CanaryPhase = CanaryPhase.STARTING
    since: datetime
    """When the phase began."""
    steps: str = ""
    step: int = 0
    step_since: datetime | None = None
    """When the holding step (analyze or pause) began; None before it does."""
    weight: int = 0
    window: AnalysisWindow | None = None
    present: bool = True
    """False while its app is yet to be let in: the start deadline counts from when it is there."""
    unhealthy_since: datetime | None = None
    returning: bool = False
    """It served before: it takes over without analysis as soon as it runs."""
    called: str = ""
    """Who said that it takes over as soon as it runs, whatever step it is in."""
    held: str = ""
    """Who said that it goes no further than the step that it is in."""
    reason: Reason = Reason.STARTING
    message: str = ""
    history: tuple[Verdict, ...] = ()

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Every verdict kept, the current window's last."""
        return (*self.history, *(self.window.verdicts if self.window else ()))


@dataclass(frozen=True)
class Signals:
    """``candidate_phase`` is None where the app does not exist. ``applied``: the live traffic table is the one that the
    state asks for, and every router replica has acknowledged it."""

    candidate: str
    stable: str
    """Empty where nothing serves yet: there is nothing to compare with, and nothing to protect."""
    candidate_phase: AppPhase | None
    candidate_message: str
    applied: bool
    replicas: tuple[ReplicaCounters, ...]
    deployment: str = "NAME"
    """For messages that say what to do."""
    stable_lost: datetime | None = None
    """Since when stable has not answered; None while it does."""
    stable_message: str = ""


class Course(StrEnum):
    CONTINUE = "Continue"
    PROMOTE = "Promote"
    ABORT = "Abort"


@dataclass(frozen=True)
class Decision:
    """What becomes of the candidate now, why, and the verdicts that say so."""

    course: Course
    reason: Reason
    message: str
    verdicts: tuple[Verdict, ...] = ()
