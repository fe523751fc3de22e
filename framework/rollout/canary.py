"""The canary: traffic in steps, each judged before the next. A pure state machine: time and counters are arguments."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from framework.api.fields import format_duration
from framework.ports import AppPhase
from framework.rollout.analysis.comparison import judged
from framework.rollout.analysis.verdict import Outcome, Verdict, overall
from framework.rollout.analysis.window import open_window
from framework.rollout.state import HISTORY, CanaryPhase, CanaryState, Course, Decision, Reason, Signals
from framework.rollout.strategies import Canary, Step

Move = tuple[CanaryState, Decision]


def begin(spec: Canary, now: datetime, *, returning: bool = False) -> CanaryState:
    """A candidate that is yet to start."""
    return CanaryState(since=now, steps=fingerprint(spec), returning=returning)


def fingerprint(spec: Canary) -> str:
    """Names the steps: a plan edited in mid-rollout starts over instead of being continued at the wrong place."""
    return hashlib.sha256(repr([step.model_dump(mode="json") for step in spec.steps]).encode()).hexdigest()[:10]


def advance(spec: Canary, state: CanaryState, signals: Signals, now: datetime) -> Move:
    """One look: the next state and what to do with the candidate. With nothing changed, it changes nothing.

    The weight moves only here, only in steps, and stays within 0 to 100. A step counts once the routers have taken it.
    """
    if state.steps != fingerprint(spec):
        state = begin(spec, now, returning=state.returning).model_copy(update={"history": state.verdicts[-HISTORY:]})
    phase = signals.candidate_phase
    if state.phase is CanaryPhase.STARTING:
        return _start(spec, state, signals, now)
    if phase in (None, AppPhase.DELETING):
        lost = begin(spec, now, returning=state.returning).model_copy(update={"history": state.verdicts[-HISTORY:]})
        return _stay(lost, Reason.STARTING, "the candidate's app is gone: it starts again")
    if phase is AppPhase.FAILED:
        return _abort(state, Reason.DIED, signals.candidate_message or "the candidate's app failed")
    if phase is not AppPhase.RUNNING:
        return _unhealthy(spec, state, signals, now)
    return _walk(spec, state.model_copy(update={"unhealthy_since": None}), signals, now)


def _start(spec: Canary, state: CanaryState, signals: Signals, now: datetime) -> Move:
    if signals.candidate_phase is None:
        return _stay(
            state.model_copy(update={"present": False}), Reason.STARTING, "waits for the candidate's app to run"
        )
    if not state.present:
        state = state.model_copy(update={"present": True, "since": now})
    if signals.candidate_phase is AppPhase.FAILED:
        return _abort(state, Reason.START_FAILED, signals.candidate_message or "the candidate's app failed to start")
    if signals.candidate_phase is AppPhase.RUNNING:
        if state.returning:
            return _promote(state, "it served before and runs again")
        started = state.model_copy(update={"phase": CanaryPhase.STEPPING, "since": now})
        return _walk(spec, started, replace(signals, applied=False), now)
    if now - state.since > spec.startDeadline:
        message = f"not running {format_duration(spec.startDeadline)} after its start"
        return _abort(state, Reason.START_DEADLINE, f"{message}; {signals.candidate_message}".rstrip("; "))
    return _stay(state, Reason.STARTING, "waits for the candidate's app to run")


def _unhealthy(spec: Canary, state: CanaryState, signals: Signals, now: datetime) -> Move:
    """A replica that died comes back by itself; one that does not within the start deadline will not."""
    since = state.unhealthy_since or now
    detail = signals.candidate_message or f"the candidate's app is {signals.candidate_phase}"
    if now - since > spec.startDeadline:
        return _abort(state, Reason.DIED, f"unhealthy for {format_duration(spec.startDeadline)}; {detail}")
    return _stay(state.model_copy(update={"unhealthy_since": since}), Reason.UNHEALTHY, detail)


def _walk(spec: Canary, state: CanaryState, signals: Signals, now: datetime) -> Move:
    while state.step < len(spec.steps):
        step = spec.steps[state.step]
        if step.setWeight is not None:
            last = state.step == len(spec.steps) - 1
            if step.setWeight == 100 and last:
                break
            if state.weight != step.setWeight or not signals.applied:
                state = state.model_copy(update={"weight": step.setWeight})
                return _stay(state, Reason.SHIFTING, f"{step.setWeight} % of the traffic goes to the candidate")
            state = _next(state)
            continue
        if not signals.applied:
            return _stay(state, Reason.SHIFTING, "waits for the routers to take the traffic table")
        state = _hold(spec, state, signals, now)
        move = _analyze(spec, state, step, now) if step.analyze is not None else _pause(state, step, now)
        if isinstance(move, CanaryState):
            state = move
            continue
        return move
    return _promote(state, f"passed all {len(spec.steps)} steps")


def _hold(spec: Canary, state: CanaryState, signals: Signals, now: datetime) -> CanaryState:
    """Watch the traffic of a step that holds: a pause is judged as well, because a candidate may fail at any time."""
    since, window = state.step_since or now, state.window
    if window is None:
        window = open_window(signals.replicas, signals.candidate, signals.stable, now)
    window = window.follow(signals.replicas)
    closing = _ended(spec.steps[state.step], since, now) and not window.closed
    new = window.asked() > window.looked_at
    if spec.analysis and (window.look_due(spec.minRequests) or (closing and new)):
        window = window.look(spec, alarm_share(spec), now)
    if closing:
        window = window.model_copy(update={"closed": True})
    return state.model_copy(update={"step_since": since, "window": window})


def alarm_share(spec: Canary) -> float:
    """The chance of a false alarm that one metric may spend in one holding step, so that all together keep the rate."""
    holding = sum(step.setWeight is None for step in spec.steps)
    return spec.falseAlarmRate / (max(1, holding) * max(1, len(judged(spec))))


def _analyze(spec: Canary, state: CanaryState, step: Step, now: datetime) -> Move | CanaryState:
    assert state.window is not None
    assert state.step_since is not None
    assert step.analyze is not None
    verdicts = state.window.verdicts
    outcome = overall(verdicts)
    if outcome is Outcome.FAIL:
        return _abort(state, Reason.ANALYSIS_FAILED, _words(verdicts, Outcome.FAIL), verdicts)
    if not _ended(step, state.step_since, now):
        until = _until(state.step_since, step.analyze.for_)
        return _stay(state, Reason.ANALYZING, f"{until}{_so_far(verdicts)}", verdicts)
    if outcome is Outcome.PASS or (outcome is Outcome.INCONCLUSIVE and spec.onInconclusive == "promote"):
        return _next(state)
    message = _words(verdicts, Outcome.INCONCLUSIVE) or f"no traffic yet; needs {spec.minRequests:,} requests"
    if spec.onInconclusive == "rollback":
        return _abort(state, Reason.ANALYSIS_INCONCLUSIVE, message, verdicts)
    return _stay(state, Reason.INCONCLUSIVE, message, verdicts)


def _pause(state: CanaryState, step: Step, now: datetime) -> Move | CanaryState:
    assert state.window is not None
    assert state.step_since is not None
    assert step.pause is not None
    verdicts, duration = state.window.verdicts, step.pause.for_
    if overall(verdicts) is Outcome.FAIL:
        return _abort(state, Reason.ANALYSIS_FAILED, _words(verdicts, Outcome.FAIL), verdicts)
    if duration is None:
        return _stay(state, Reason.PAUSED, "waits for a person", verdicts)
    if _ended(step, state.step_since, now):
        return _next(state)
    return _stay(state, Reason.TIMED_PAUSE, _until(state.step_since, duration), verdicts)


def _ended(step: Step, since: datetime, now: datetime) -> bool:
    hold = step.analyze or step.pause
    return hold is not None and hold.for_ is not None and now - since >= hold.for_


def _next(state: CanaryState) -> CanaryState:
    return state.model_copy(
        update={"step": state.step + 1, "step_since": None, "window": None, "history": state.verdicts[-HISTORY:]}
    )


def _stay(state: CanaryState, reason: Reason, message: str, verdicts: Sequence[Verdict] = ()) -> Move:
    state = state.model_copy(update={"reason": reason, "message": message})
    return state, Decision(Course.CONTINUE, reason, message, tuple(verdicts))


def _promote(state: CanaryState, message: str) -> Move:
    state = state.model_copy(update={"weight": 100, "reason": Reason.PROMOTED, "message": message})
    return state, Decision(Course.PROMOTE, Reason.PROMOTED, message, state.verdicts)


def _abort(state: CanaryState, reason: Reason, message: str, verdicts: Sequence[Verdict] = ()) -> Move:
    state = state.model_copy(update={"weight": 0, "reason": reason, "message": message})
    return state, Decision(Course.ABORT, reason, message, tuple(verdicts))


def _words(verdicts: Sequence[Verdict], outcome: Outcome) -> str:
    return "; ".join(verdict.message for verdict in verdicts if verdict.outcome is outcome)


def _so_far(verdicts: Sequence[Verdict]) -> str:
    return "".join(f"; {verdict.metric} {verdict.outcome}" for verdict in verdicts)


def _until(since: datetime, duration: timedelta) -> str:
    """A time rather than what is left: a status that ticks would be written at every look."""
    return f"until {since + duration:%H:%M:%S}"
