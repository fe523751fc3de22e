"""What to do about a ModelMonitor. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from framework.api import layout
from framework.api.categories import Category
from framework.api.meta import Ref
from framework.kinds.model_monitor import episodes
from framework.kinds.model_monitor.content import report_content
from framework.kinds.model_monitor.judgement import checked, judge, sightings, summary
from framework.kinds.model_monitor.observed import Judging, MonitorObserved, MonitorState, ObservedWindow, window_end
from framework.kinds.model_monitor.spec import CATEGORIES, ModelMonitorSpec
from framework.planning.grammar import reasons
from framework.planning.grammar.actions import Action, SendAlert, WriteReport
from framework.planning.grammar.changes import Change, Desired, NewEvent, Status, Verb
from framework.planning.grammar.remembered import state_of
from framework.planning.plan.outcomes import Outcome, removed
from framework.ports import Alert, Json, ModelVersion

HISTORY = 60
"""Windows that the state and the report look back on."""
SOONEST = timedelta(seconds=1)


def plan(
    desired: Desired[ModelMonitorSpec] | None, observed: MonitorObserved, status: Status | None, now: datetime
) -> Change:
    """Judge each window once when it is over; write the report, and tell what began and what ended."""
    if desired is None:
        return removed(observed.ref)
    previous = state_of(status, MonitorState)
    return _Monitor(desired, observed, Outcome(desired, status, CATEGORIES, now), previous, now).decide()


@dataclass(frozen=True)
class _Told:
    state: MonitorState
    actions: tuple[Action, ...] = ()
    events: tuple[NewEvent, ...] = ()


@dataclass(frozen=True)
class _Monitor:
    desired: Desired[ModelMonitorSpec]
    observed: MonitorObserved
    outcome: Outcome
    previous: MonitorState
    now: datetime

    @property
    def report(self) -> str:
        seen = layout.seen(self.desired.storage, self.desired.environment)
        return layout.report_file(seen, self.desired.ref.name)

    def decide(self) -> Change:
        live, window = self.observed.live, self.observed.window
        if live is None:
            return self._idle()
        told = self._same_version(live)
        if window is not None and self._is_new(told.state, window):
            told = self._judge(told, live, window)
        return self._conclude(told)

    def _idle(self) -> Change:
        deployment = Ref("ModelDeployment", self.desired.spec.deployment)
        message = f"{deployment} serves nothing yet"
        return self.outcome.waiting(
            self.previous, "nothing to watch", reasons.WAITING_FOR_DEPLOYMENT, message,
            ready=False, waits_for=(deployment,),
        )  # fmt: skip

    def _same_version(self, live: ModelVersion) -> _Told:
        """Another version has another reference: what was open about the one before is over."""
        if self.previous.app == self.observed.app:
            return _Told(self.previous)
        why = f"{live.training}@{live.version} is live instead"
        told = episodes.close(self.desired.ref.name, self.previous.episodes, why, self.report, self.now)
        return _Told(MonitorState(app=self.observed.app), self._alerts(told.alerts), told.events)

    def _is_new(self, state: MonitorState, window: ObservedWindow) -> bool:
        return state.judged_until is None or window.until > state.judged_until

    def _judge(self, told: _Told, live: ModelVersion, window: ObservedWindow) -> _Told:
        spec, name = self.desired.spec, self.desired.ref.name
        judged = judge(spec, live, self.observed, window)
        context = self._context(live, window)
        seen = {
            subject: replace(item, evidence={**context, **item.evidence})
            for subject, item in sightings(spec, judged).items()
        }
        fresh = episodes.tell(name, told.state.episodes, seen, self.report, window.until)
        history = (*told.state.history, checked(judged, window))[-HISTORY:]
        state = MonitorState(
            app=self.observed.app,
            judged_until=window.until,
            blind="" if spec.drift is None or self.observed.reference is not None else self._why_blind(),
            drift=judged.drift,
            performance=judged.performance,
            quality=judged.quality,
            remarks=judged.remarks,
            history=history,
            episodes=fresh.episodes,
        )
        content = report_content(self.desired, live, self.observed, window, judged, history, fresh.episodes, self.now)
        # A window that says nothing leaves the last page that did. The page comes first: an alert links to it.
        labelled = judged.performance is not None and judged.performance.value is not None
        telling = judged.rows >= spec.minRows or labelled
        page = (WriteReport(self.report, name, content),) if telling else ()
        actions = (*told.actions, *page, *self._alerts(fresh.alerts))
        return _Told(state, actions, (*told.events, *fresh.events))

    def _why_blind(self) -> str:
        found = f"cannot be read ({self.observed.damage})" if self.observed.damage else "is missing"
        return f"the training profile of {self.observed.app} {found}: drift cannot be judged"

    def _context(self, live: ModelVersion, window: ObservedWindow) -> dict[str, Json]:
        """What every alert says besides its numbers."""
        return {
            "deployment": self.desired.spec.deployment,
            "version": f"{live.training}@{live.version}",
            "commit": live.commit,
            "window": {"since": window.since.isoformat(), "until": window.until.isoformat()},
        }

    def _alerts(self, alerts: tuple[Alert, ...]) -> tuple[Action, ...]:
        targets = [target.model_dump(mode="json", exclude_none=True) for target in self.desired.spec.alerts]
        return tuple(SendAlert(alert, target) for alert in alerts for target in targets)

    def _conclude(self, told: _Told) -> Change:
        state = told.state
        seen = summary(state.drift, state.performance, len(state.quality))
        words = "; ".join([*episodes.open_words(state.episodes), seen])
        more: dict[str, Any] = {
            "actions": told.actions,
            "events": told.events,
            "requeue_after": self._next_window(),
            "meanwhile": self._judging() if told.actions else None,
        }
        if state.blind:
            # The version was registered with the profile that it has, so nothing is under way that could bring one.
            message = "; ".join((state.blind, *state.remarks))
            change = self.outcome.stalled(state, words, reasons.REFERENCE_MISSING, message, ready=False, **more)
        else:
            message = "; ".join((words, *state.remarks))
            change = self.outcome.converged(state, words, _reason(state), message, **more)
        if not told.actions:
            return change
        return replace(change, verb=Verb.UPDATE, category=max(change.category, Category.METADATA))

    def _judging(self) -> MonitorState:
        window = self.observed.window
        judging = Judging(app=self.observed.app, until=window.until) if window is not None else None
        return self.previous.model_copy(update={"judging": judging})

    def _next_window(self) -> timedelta:
        length, flush = self.desired.spec.window, self.observed.flush
        return max(SOONEST, window_end(length, flush, self.now) + length + flush - self.now)


def _reason(state: MonitorState) -> reasons.Reason:
    """The monitor is Ready as long as it watches; the reason says what it sees, what hurts most first."""
    return next((reason for subject, reason in episodes.BEGAN.items() if subject in state.episodes), reasons.WATCHING)
