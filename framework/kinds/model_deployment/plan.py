"""What to do about a ModelDeployment. Pure.

Each pass goes the same way, whatever came before: take up what git asks for, move the rollout on, derive the traffic
table and the apps from that, and compare them with what is live. Nothing is done because of how the state came about,
so a pass that was cut short anywhere is simply done again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from framework.api.categories import Category
from framework.api.errors import TerminalError
from framework.api.meta import Ref
from framework.kinds.model_deployment import apps, health, traffic, transitions, words
from framework.kinds.model_deployment.demands import demands, sentence
from framework.kinds.model_deployment.naming import named
from framework.kinds.model_deployment.observed import (
    DeploymentObserved,
    DeploymentState,
    Quarantine,
    ServedVersion,
)
from framework.kinds.model_deployment.removal import remove
from framework.kinds.model_deployment.spec import CATEGORIES, ModelDeploymentSpec
from framework.kinds.model_deployment.target import served, terms
from framework.planning.grammar import reasons
from framework.planning.grammar.actions import Action, DeployApp, TakeBackWord
from framework.planning.grammar.changes import Change, Desired, FieldDiff, NewEvent, Status, Verb
from framework.planning.grammar.remembered import state_of
from framework.planning.plan.outcomes import Outcome
from framework.planning.plan.runs import POLL
from framework.rollout.state import CanaryPhase
from framework.rollout.strategies import Canary

IDLE_POLL = timedelta(seconds=30)
"""At most this long between looks while only a retired app waits for its end."""


def plan(
    desired: Desired[ModelDeploymentSpec] | None, observed: DeploymentObserved, status: Status | None, now: datetime
) -> Change:
    """One step towards serving what git asks for, without a request failing on the way.

    Raises:
        TerminalError: the spec asks for a strategy that is not executed; validation refuses it before.
    """
    if desired is None:
        return remove(observed, status, now)
    canary = desired.spec.strategy.canary
    if canary is None:
        raise TerminalError("StrategyNotSupported", "only the canary strategy is executed")
    previous = state_of(status, DeploymentState)
    adopted = transitions.adopt(previous, observed, now)
    return _Deployment(desired, canary, observed, status, adopted.state, adopted.events, now).decide()


@dataclass(frozen=True)
class _Pass:
    """What one pass came to, before it is put in words."""

    state: DeploymentState
    actions: tuple[Action, ...]
    events: tuple[NewEvent, ...]
    floor: Category
    takes: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class _Deployment:
    desired: Desired[ModelDeploymentSpec]
    canary: Canary
    observed: DeploymentObserved
    status: Status | None
    previous: DeploymentState
    adopted: tuple[NewEvent, ...]
    now: datetime

    def decide(self) -> Change:
        target = self.observed.target
        known = self.previous.identities.union(app.rpartition("-")[2] for app in self.observed.apps)
        wanted = served(self.desired, target, known, self.observed.online) if target is not None else None
        if wanted is not None and self.observed.online_reason:
            wanted = next((version for version in self.previous.members if version.identity == wanted.identity), None)
        return self._conclude(wanted, self._pass(wanted))

    def _pass(self, wanted: ServedVersion | None) -> _Pass:
        observed, now = self.observed, self.now
        looked = transitions.watch_stable(self.previous, observed, now)
        heeded = words.heed(looked, wanted, self.canary, observed.word, now)
        aimed = transitions.aim(heeded.state, wanted, self.canary, terms(self.desired, observed.job), now)
        in_place = self._in_place(aimed.state)
        rolled = transitions.roll(aimed.state, self.canary, observed, in_place=in_place, now=now)
        state = apps.adopt_orphans(rolled.state, observed, now)
        table = traffic.wanted_table(self.desired, self.canary, state)
        if table is None:
            shift = traffic.Shift(traffic.unrouted(state, observed.route))
        else:
            shift = traffic.direct(table, state, observed, now)
        deployed = apps.deploys(self.desired, shift.state, observed, self.previous, now)
        deleted = apps.deletes(deployed.state, observed, self.previous, now)
        watched = health.watch(deleted.state, observed.route, now)
        route = (shift.action,) if shift.action else ()
        moved = (self.adopted, heeded.events, aimed.events, rolled.events, watched.events)
        decided = tuple(replace(item, decided=True) for items in moved for item in items)
        return _Pass(
            state=watched.state,
            actions=(*deployed.actions, *route, *deleted.actions, *self._acted_upon()),
            events=(*decided, *shift.events, *deployed.events),
            floor=_floor(deployed, bool(route)),
            takes=deployed.takes,
        )

    def _acted_upon(self) -> tuple[Action, ...]:
        word = self.observed.word
        return (TakeBackWord(word),) if word is not None and words.key(word) == self.previous.heard else ()

    def _in_place(self, state: DeploymentState) -> bool:
        table = traffic.wanted_table(self.desired, self.canary, state)
        return traffic.applied(table, state, self.observed.route, self.now)

    def _conclude(self, wanted: ServedVersion | None, done: _Pass) -> Change:
        """Say where the deployment stands now."""
        state, outcome = done.state, Outcome(self.desired, self.status, CATEGORIES, self.now, done.floor)
        serves, summary = self._ready(state), _summary(state)
        ready, ills = serves and state.degraded is None, f"; {state.degraded.message}" if state.degraded else ""
        more: dict[str, Any] = {
            "actions": done.actions,
            "inventory": _inventory(state, self.observed),
            "events": done.events,
            "requeue_after": self._next_look(state, done, serves),
            "meanwhile": _meanwhile(state, self.previous) if done.actions else None,
            "takes": done.takes,
        }
        rejected = state.rejected(wanted.identity) if wanted and not _is_stable(state, wanted) else None
        if wanted is None:
            more["waits_for"] = (Ref("TrainingJob", self.desired.spec.model.training),)
            reason = f"{self.observed.target_reason or self.observed.online_reason}{ills}"
            change = outcome.waiting(state, summary, reasons.WAITING_FOR_MODEL, reason, ready=ready, **more)
        elif state.rollout is not None:
            at = state.rollout.canary
            reason = reasons.Reason(at.reason.value)
            change = outcome.waiting(state, summary, reason, f"{at.message}{ills}", ready=ready, **more)
        elif rejected is not None:
            message = f"{self._turned_away(rejected)}{ills}"
            change = outcome.stalled(state, summary, reasons.CANDIDATE_REJECTED, message, ready=ready, **more)
        elif not serves or not self._in_place(state):
            reason, message = self._underway(state)
            change = outcome.waiting(state, summary, reason, f"{message}{ills}", ready=ready, **more)
        elif state.degraded is not None:
            change = outcome.degraded(state, summary, state.degraded.message, **more)
        else:
            change = outcome.converged(state, summary, reasons.SERVING, f"{wanted.label} serves all traffic", **more)
        if wanted is not None and state.stable is not None and rejected is None:
            change = _asking(change, demands(wanted, state.stable))
        return change if not done.actions else self._acting(change)

    def _turned_away(self, rejected: Quarantine) -> str:
        again = "its strategy changes" if rejected.exposed else "its spec or its training job's changes"
        return (
            f"{rejected.label} ({rejected.reason}): {rejected.message}; it is tried again when {again}, "
            f"or with: mlopsctl rollout retry {self.desired.ref.name}"
        )

    def _acting(self, change: Change) -> Change:
        """A pass that acts is a Create or an Update, however converged the resource is meanwhile."""
        verb = Verb.CREATE if self.previous.stable is None else Verb.UPDATE
        return replace(change, verb=verb, category=max(change.category, Category.METADATA))

    def _ready(self, state: DeploymentState) -> bool:
        """Whether requests are answered: the stable app runs, behind a route that names it."""
        route, stable = self.observed.route, state.stable
        if stable is None or route is None or not traffic.serves(self.observed.apps.get(stable.app)):
            return False
        return stable.app in route.spec.weights or route.spec.stable == stable.app

    def _underway(self, state: DeploymentState) -> tuple[reasons.Reason, str]:
        stable = state.stable
        live = self.observed.apps.get(stable.app) if stable else None
        if stable is not None and not traffic.serves(live):
            how = f"is {live.phase}: {live.message}".rstrip(": ") if live else "is gone"
            return reasons.STABLE_UNAVAILABLE, f"{stable.app} {how}"
        return reasons.SHIFTING_TRAFFIC, "waits for the routers to take the traffic table"

    def _next_look(self, state: DeploymentState, done: _Pass, ready: bool) -> timedelta | None:
        serving = state.stable is None or (ready and self._in_place(state))
        if done.actions or state.rollout is not None or self.observed.word is not None or not serving:
            return POLL
        if not state.retiring:
            return None
        due = min(item.since + item.delay for item in state.retiring)
        return min(max(due - self.now, POLL), IDLE_POLL)


def _meanwhile(state: DeploymentState, previous: DeploymentState) -> DeploymentState:
    """Which version is where is decided, and stays so, before anything is done about it: a candidate that was rejected
    gets no more traffic because somebody was killed. What was asked of the cluster last is still what it was."""
    asked = ("digests", "repaired", "generation", "table", "table_since")
    return state.model_copy(update={name: getattr(previous, name) for name in asked})


def _asking(change: Change, asked: tuple[FieldDiff, ...]) -> Change:
    """``change`` with what the version on its way asks of callers, so that a plan shows it beside the fields."""
    if not asked:
        return change
    category = max(change.category, *(item.category for item in asked))
    return replace(
        change, diffs=(*change.diffs, *asked), category=category, reason=f"{change.reason}; {sentence(asked)}"
    )


def _is_stable(state: DeploymentState, wanted: ServedVersion) -> bool:
    return state.stable is not None and state.stable.identity == wanted.identity


def _floor(deployed: apps.Deploys, shifts: bool) -> Category:
    """What the pass costs where no field of the spec tells, because a model or the world changed."""
    if deployed.fresh:
        return Category.REDEPLOY
    if any(isinstance(action, DeployApp) for action in deployed.actions):
        return Category.RELOAD
    return Category.REROUTE if shifts else Category.NOOP


def _summary(state: DeploymentState) -> str:
    stable, rollout = state.stable, state.rollout
    candidate = rollout.version if rollout else None
    serving = f"{named(stable, candidate)} serves" if stable else "nothing serves"
    if state.degraded is not None:
        serving += ", degraded"
    if rollout is None:
        return serving
    at, label = rollout.canary, named(rollout.version, stable)
    share = f"{at.weight} % on {label}" if at.phase is CanaryPhase.STEPPING else label
    return f"{serving}; {share}, {at.reason}"


def _inventory(state: DeploymentState, observed: DeploymentObserved) -> frozenset[str]:
    owned = {f"app:{version.app}" for version in state.members} | {f"app:{item.app}" for item in state.retiring}
    if state.stable is not None or observed.route is not None:
        owned.add(f"route:{observed.ref.name}")
    return frozenset(owned)
