"""The canary: traffic in steps, each judged before the next. A pure state machine: time and counters are arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from framework.api.fields import format_duration
from framework.api.hashes import text_hash
from framework.planning.grammar.fingerprint import short_hash, spec_json
from framework.ports import AppPhase
from framework.rollout.analysis.comparison import judged
from framework.rollout.analysis.verdict import AnalysisOutcome, Verdict, overall
from framework.rollout.analysis.window import open_window
from framework.rollout.state import HISTORY, CanaryPhase, CanaryState, Course, Decision, Reason, Signals
from framework.rollout.strategies import Canary, Step

Move = tuple[CanaryState, Decision]

STABLE_GRACE = timedelta(seconds=30)
"""So long may stable be away, as after the restart of a node, before a candidate that runs takes its place."""
QUIET = timedelta(minutes=1)
"""Without a request for so long, a candidate that waits for some is said to get none."""


def begin(spec: Canary, now: datetime, *, returning: bool = False) -> CanaryState:
    """A candidate that is yet to start."""
    return CanaryState(since=now, steps=fingerprint(spec), returning=returning)


def fingerprint(spec: Canary) -> str:
    """Names the steps: a plan edited in mid-rollout starts over instead of being continued at the wrong place."""
    return short_hash([spec_json(step) for step in spec.steps])


def _former_fingerprint(spec: Canary) -> str:
    """Of rollouts that began before fields at their default were left out."""
    return text_hash(repr([step.model_dump(mode="json") for step in spec.steps]))


def advance(spec: Canary, state: CanaryState, signals: Signals, now: datetime) -> Move:
    """One look: the next state and what to do with the candidate. With nothing changed, it changes nothing.

    The weight moves only here, only in steps, and stays within 0 to 100. A step counts once the routers have taken it.
    """
    if state.steps != fingerprint(spec) and state.steps != _former_fingerprint(spec):
        state = _anew(spec, state, now)
    phase = signals.candidate_phase
    if state.phase is CanaryPhase.STARTING:
        return _start(spec, state, signals, now)
    if phase in (None, AppPhase.DELETING):
        return _stay(_anew(spec, state, now), Reason.STARTING, "the candidate's app is gone: it starts again")
    if phase is AppPhase.FAILED:
        return _abort(state, Reason.DIED, signals.candidate_message or "the candidate's app failed")
    if phase is not AppPhase.RUNNING:
        return _unhealthy(spec, state, signals, now)
    state = state.model_copy(update={"unhealthy_since": None})
    return _at_once(state, signals, now) or _walk(spec, state, signals, now)


def _anew(spec: Canary, state: CanaryState, now: datetime) -> CanaryState:
    """From the first step on. What was judged is remembered, and so is what people said."""
    kept = {"history": state.verdicts[-HISTORY:], "called": state.called, "held": state.held}
    return begin(spec, now, returning=state.returning).model_copy(update=kept)


def go_on(spec: Canary, state: CanaryState) -> CanaryState | None:
    """Past the step that it waits in, because a person says so; None where it waits in none."""
    if state.phase is not CanaryPhase.STEPPING or state.step >= len(spec.steps) or state.step_since is None:
        return None
    return _next(state)


def _at_once(state: CanaryState, signals: Signals, now: datetime) -> Move | None:
    """A candidate that runs takes over without further steps where there is nothing to protect, or where it may.
    While stable is away for a moment nothing moves."""
    if not signals.stable:
        return _promote(state, "nothing served before it")
    if state.returning:
        return _promote(state, "it served before and runs again")
    if state.called:
        return _promote(state, f"{state.called} said so")
    if signals.stable_lost is None:
        return None
    why = f": {signals.stable_message}" if signals.stable_message else ""
    due = signals.stable_lost + STABLE_GRACE
    if now < due:
        message = f"waits for the stable {signals.stable} to answer again, until {_clock(due, now)}{why}"
        return _stay(state, Reason.STABLE_UNAVAILABLE, message)
    message = f"the stable {signals.stable} has not answered since {_clock(signals.stable_lost, now)}{why}"
    state, decision = _promote(state, message)
    return state, replace(decision, reason=Reason.STABLE_LOST)


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
        moved = _at_once(state, signals, now)
        if moved is not None:
            return moved
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
        analyzes = step.analyze is not None
        move = _analyze(spec, state, step, signals, now) if analyzes else _pause(state, step, signals, now)
        if not isinstance(move, CanaryState):
            return move
        if state.held:
            message = f"{state.held} holds it here; to go on: mlopsctl rollout resume {signals.deployment}"
            return _stay(state, Reason.PAUSED, message, state.window.verdicts if state.window else ())
        state = move
    return _promote(state, f"passed all {len(spec.steps)} steps")


def _hold(spec: Canary, state: CanaryState, signals: Signals, now: datetime) -> CanaryState:
    """Watch the traffic of a step that holds: a pause is judged as well, because a candidate may fail at any time."""
    since, window = state.step_since or now, state.window
    if window is None:
        window = open_window(signals.replicas, signals.candidate, signals.stable, now)
    window = window.follow(signals.replicas, now)
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


def _analyze(spec: Canary, state: CanaryState, step: Step, signals: Signals, now: datetime) -> Move | CanaryState:
    assert state.window is not None
    assert state.step_since is not None
    assert step.analyze is not None
    verdicts = state.window.verdicts
    outcome = overall(verdicts)
    if outcome is AnalysisOutcome.FAIL:
        return _abort(state, Reason.ANALYSIS_FAILED, _words(verdicts, AnalysisOutcome.FAIL), verdicts)
    if not _ended(step, state.step_since, now):
        until = _until(state.step_since, step.analyze.for_, now)
        return _stay(state, Reason.ANALYZING, f"{until}{_so_far(verdicts)}", verdicts)
    if outcome is AnalysisOutcome.PASS or (
        outcome is AnalysisOutcome.INCONCLUSIVE and spec.onInconclusive == "promote"
    ):
        return _next(state)
    message = _words(verdicts, AnalysisOutcome.INCONCLUSIVE)
    if spec.onInconclusive == "rollback":
        message = message or f"no requests, needs {spec.minRequests:,}"
        return _abort(state, Reason.ANALYSIS_INCONCLUSIVE, message, verdicts)
    return _stay(state, Reason.INCONCLUSIVE, f"{_wanting(spec, state, message, now)}; {_choices(signals)}", verdicts)


def _wanting(spec: Canary, state: CanaryState, message: str, now: datetime) -> str:
    """What an analysis is still short of, and since when nothing more came."""
    assert state.window is not None
    last, asked = state.window.fed, state.window.asked()
    quiet = f" since {_clock(last, now)}" if now - last > QUIET else ""
    if not asked or not message:
        share = f"{state.weight} % of the traffic" if state.weight else "the requests that match"
        return f"no requests{quiet}; needs {spec.minRequests:,} requests, and gets {share}: send some to the endpoint"
    return f"{message}; no more{quiet}" if quiet else message


def _choices(signals: Signals) -> str:
    name = signals.deployment
    return f"or mlopsctl rollout promote {name}, mlopsctl rollout abort {name}, or onInconclusive in its strategy"


def _pause(state: CanaryState, step: Step, signals: Signals, now: datetime) -> Move | CanaryState:
    assert state.window is not None
    assert state.step_since is not None
    assert step.pause is not None
    verdicts, duration = state.window.verdicts, step.pause.for_
    if overall(verdicts) is AnalysisOutcome.FAIL:
        return _abort(state, Reason.ANALYSIS_FAILED, _words(verdicts, AnalysisOutcome.FAIL), verdicts)
    if duration is None:
        name = signals.deployment
        message = f"waits for a person: mlopsctl rollout promote {name} goes on, mlopsctl rollout abort {name} ends it"
        return _stay(state, Reason.PAUSED, message, verdicts)
    if _ended(step, state.step_since, now):
        return _next(state)
    return _stay(state, Reason.TIMED_PAUSE, _until(state.step_since, duration, now), verdicts)


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


def _words(verdicts: Sequence[Verdict], outcome: AnalysisOutcome) -> str:
    return "; ".join(verdict.message for verdict in verdicts if verdict.outcome is outcome)


def _so_far(verdicts: Sequence[Verdict]) -> str:
    return "".join(f"; {verdict.metric} {verdict.outcome}" for verdict in verdicts)


def _until(since: datetime, duration: timedelta, now: datetime) -> str:
    """A time rather than what is left: a status that ticks would be written at every look."""
    return f"until {_clock(since + duration, now)}"


def _clock(moment: datetime, now: datetime) -> str:
    """The time of day, and the day where it is not today's."""
    return f"{moment:%H:%M:%S}" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M:%S}"
