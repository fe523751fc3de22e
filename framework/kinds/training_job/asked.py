"""What is remembered of the retrainings that triggers asked for. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from framework.api.meta import Stored
from framework.kinds.training_job.retrain import Retrain, RetrainBudget
from framework.planning.grammar.instants import DatedElsewhere

MOST_KEPT = 1_000
"""Retrainings that are looked back on: as many as a budget can allow."""


class Retraining(Stored):
    """One that a trigger asked for at ``at``: the commit that raises ``dataset.refresh`` to ``refresh``, on ``branch``,
    or, where that is empty, on the one that is followed. ``data`` names what the views held. ``episodes`` are those
    that it answers, by monitor. ``gpu_hours`` is None until its run has ended."""

    refresh: int
    at: datetime
    data: str = ""
    branch: str = ""
    why: str = ""
    message: str = ""
    episodes: dict[str, str] = {}  # noqa: RUF012 (pydantic copies it)
    gpu_hours: float | None = None


class Triggers(Stored):
    """Of one job. ``asking`` is what is being asked for: until that is known to be done it is asked for again, as it
    was."""

    highest: int = 0
    """Of ``dataset.refresh``, what git has asked for at most: a number that was reverted is not given twice."""
    schedule: str = ""
    """The expression and the time zone that ``handled`` is about; others start afresh."""
    handled: DatedElsewhere | None = None
    """Whatever was due until then is dealt with. It is a time of the calendar and does not move with our clock, or else
    a time that was due would come twice, or never."""
    answered: dict[str, str] = {}  # noqa: RUF012
    """By monitor the episode that a retraining was asked for."""
    fruitless: dict[str, str] = {}  # noqa: RUF012
    """By monitor the episode of which was told that nothing differs."""
    asking: Retraining | None = None
    asked: tuple[Retraining, ...] = ()
    """Oldest first: those that a budget or a cooldown looks back on, and the last one."""
    over_budget: bool = False
    """That the budget is used up was told."""
    last: str = ""
    """What became of the last trigger that asked for nothing."""

    def after(self, done: Retraining, spec: Retrain) -> Triggers:
        """Once it was asked for. What else was due until then is dealt with by it."""
        since = done.at - (spec.budget.per if spec.budget else timedelta(0))
        recent = tuple(one for one in self.asked if one.at > since and one.refresh != done.refresh)
        return self.model_copy(
            update={
                "asking": None,
                "asked": (*recent[-MOST_KEPT + 1 :], done.model_copy(update={"message": ""})),
                "handled": done.at if self.schedule else None,
                "answered": {**self.answered, **done.episodes},
                "over_budget": False,
                "last": "",
            }
        )

    def settled(self, refresh: int, gpu_hours: float) -> Triggers:
        """Once the run for ``refresh`` has ended, if a trigger asked for it."""
        if not any(one.refresh == refresh and one.gpu_hours is None for one in self.asked):
            return self
        asked = tuple(
            one.model_copy(update={"gpu_hours": gpu_hours}) if one.refresh == refresh and one.gpu_hours is None else one
            for one in self.asked
        )
        return self.model_copy(update={"asked": asked})

    @property
    def newest(self) -> Retraining | None:
        """What was asked for last."""
        return self.asked[-1] if self.asked else None

    @property
    def standing(self) -> Retraining | None:
        """What was asked for last, where git did not ask for it yet."""
        return self.newest if self.newest is not None and self.newest.refresh > self.highest else None


def cools_until(spec: Retrain, state: Triggers, now: datetime) -> datetime | None:
    """When the next one may be asked for, None where it may now."""
    if not spec.cooldown or not state.asked:
        return None
    until = min(state.asked[-1].at, now) + spec.cooldown
    return until if until > now else None


def spent(budget: RetrainBudget, state: Triggers, now: datetime) -> tuple[Retraining, ...]:
    """What counts against the budget now, oldest first."""
    return tuple(one for one in state.asked if one.at > now - budget.per)


def affordable_at(budget: RetrainBudget, state: Triggers, now: datetime) -> datetime | None:
    """When the budget allows another one, None where it does now."""
    counted = spent(budget, state, now)
    for index in range(len(counted) + 1):
        left = counted[index:]
        runs_left = budget.runs is None or len(left) < budget.runs
        hours_left = budget.gpuHours is None or sum(one.gpu_hours or 0.0 for one in left) < budget.gpuHours
        if runs_left and hours_left:
            return None if index == 0 else min(counted[index - 1].at, now) + budget.per
    return None
