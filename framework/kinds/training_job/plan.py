"""What to do about a TrainingJob. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from framework.api import layout
from framework.api.categories import Category
from framework.api.conditions import transition
from framework.api.meta import Ref
from framework.api.tasks import TASKS, of_signature
from framework.kinds.training_job import aliases, needs, tasks
from framework.kinds.training_job.asked import Triggers
from framework.kinds.training_job.build import RENEWS, read_of
from framework.kinds.training_job.gates import JUDGED, best, compares, failed, fairness_of, judged
from framework.kinds.training_job.observed import TrainingJobObserved, TrainingJobState
from framework.kinds.training_job.recipe import KEY, recipe_of
from framework.kinds.training_job.spec import CATEGORIES, TrainingJobSpec
from framework.kinds.training_job.triggers import Outlook, decide, item_of
from framework.planning.grammar import reasons
from framework.planning.grammar.actions import Action, DeleteModels, Propose, RegisterModel, StopRun, SubmitRun
from framework.planning.grammar.changes import Change, Desired, NewEvent, Status, Verb
from framework.planning.grammar.remembered import state_of
from framework.planning.plan import runs
from framework.planning.plan.outcomes import Outcome
from framework.ports import ModelVersion, ReadView, RunSpec, TrainRequest

WORKLOAD = "framework.workloads.training.train:run"
_NOT_TOLD: dict[str, Any] = {"read": {}, "identity": "", "triggers": None, "aliases": {}}
"""What may differ in what is remembered of a version and tells nobody anything."""
_HOUR = 3600.0
IN_USE_POLL = timedelta(seconds=5)
"""How soon to look again whether a deployment still serves what is to be deleted."""


def run_name(training: str, build: str) -> str:
    """A run is named by what it would build."""
    return f"train-{training}-{build}"


def built_by(training: str, run: str) -> str:
    """The build that a run of that name makes."""
    return run.removeprefix(run_name(training, ""))


def plan(
    desired: Desired[TrainingJobSpec] | None, observed: TrainingJobObserved, status: Status | None, now: datetime
) -> Change:
    """Train a build of this identity once, judge it, register it; afterwards only the verdict can change, with the
    gates. What was trained stays while its data moves on."""
    if desired is None:
        return _remove(observed, status, now)
    previous = state_of(status, TrainingJobState)
    change = _Training(desired, observed, status, previous, now).decide()
    return aliases.followed(change, desired, observed, previous, now)


@dataclass(frozen=True)
class _Training:
    desired: Desired[TrainingJobSpec]
    observed: TrainingJobObserved
    status: Status | None
    previous: TrainingJobState
    now: datetime

    @property
    def name(self) -> str | None:
        """Of the run that is wanted now, if one is."""
        build = self.observed.build
        return run_name(self.desired.ref.name, build) if build and self.observed.equal is None else None

    @property
    def outcome(self) -> Outcome:
        return Outcome(
            self.desired,
            self.status,
            CATEGORIES,
            self.now,
            Category.NOOP if self.observed.versions or self.observed.equal else Category.RETRAIN,
        )

    @property
    def ready(self) -> bool:
        """Whether some version that passed its gates can serve meanwhile."""
        return self.previous.deployable

    def decide(self) -> Change:
        version = best(self.desired.spec.evaluation, self.observed.versions)
        if version is not None:
            return self._judged(version)
        missing = tuple(Ref("FeatureView", name) for name, view in self.observed.views.items() if view is None)
        stop = self._supersede()
        if missing:
            message = f"waits for {', '.join(map(str, missing))}"
            return self.outcome.waiting(
                self._keeping(None),
                self._summary,
                reasons.UPSTREAM_NOT_READY,
                message,
                ready=self.ready,
                waits_for=missing,
                actions=stop,
            )
        return self._train(stop) if self.observed.equal is None else self._take(self.observed.equal, stop)

    def _take(self, version: ModelVersion, stop: tuple[Action, ...]) -> Change:
        """What git asks for comes to what was trained already: from the same rows, in the same way."""
        taken = version.model_copy(update={"identity": self.desired.identity})
        message = f"takes version {version.version}: it was trained in the same way on equal rows"
        return self.outcome.acting(
            self._keeping(None),
            self._summary,
            reasons.REGISTERING,
            message,
            (*stop, RegisterModel(taken)),
            ready=self.ready,
            events=(NewEvent(reasons.VERSION_TAKEN, message, {"version": version.version}),),
        )

    def _judged(self, version: ModelVersion) -> Change:
        gates = judged(self.desired.spec.evaluation, version)
        wrong = failed(gates)
        state = TrainingJobState(
            version=version.version,
            identity=self.desired.identity,
            deployable=not wrong,
            gates=gates,
            read=dict(version.read),
        )
        hints = [f"hint: {hint}" for hint in version.lineage.get("hints") or ()]
        summary, noted = _told(version), [*fairness_of(self.desired.spec.evaluation, gates), *hints]
        decision = self._triggered(version, summary)
        state = state.model_copy(update={"triggers": decision.state})
        changed = state.model_copy(update=_NOT_TOLD) != self.previous.model_copy(update=_NOT_TOLD)
        told = {"seconds": version.lineage["seconds"]} if "seconds" in version.lineage else {}
        more: dict[str, Any] = {
            "actions": (*self._supersede(), *self._proposals(decision)),
            "requeue_after": decision.again,
            "meanwhile": None
            if decision.meanwhile is None
            else state.model_copy(update={"triggers": decision.meanwhile}),
        }
        if wrong:
            failure = f"version {version.version} failed {len(wrong)} of {len(gates)} gates: {'; '.join(wrong)}"
            event = NewEvent(reasons.GATE_FAILED, failure, {"version": version.version, **told})
            events = (*((event,) if changed else ()), *decision.events)
            message = "; ".join(filter(None, (failure, decision.words)))
            change = self.outcome.stalled(
                state, summary, reasons.GATE_FAILED, message, ready=False, events=events, **more
            )
            # In a plan, where the field that differs is no more than Metadata, this is what the reader has to see.
            return replace(change, reason=f"GateFailed: {message}")
        facts = {"version": version.version, "metrics": version.metrics, **told}
        event = NewEvent(reasons.MODEL_READY, "; ".join([summary, *noted]), facts)
        events = (*((event,) if changed else ()), *decision.events)
        if decision.refused:
            return self.outcome.stalled(
                state, summary, reasons.NO_WRITE_ACCESS, decision.refused, ready=True, events=events, **more
            )
        message = "; ".join(filter(None, [*noted, decision.words]))
        change = self.outcome.converged(state, summary, reasons.MODEL_READY, message, events=events, **more)
        if decision.asks is None:
            return change
        return replace(
            change, verb=Verb.UPDATE, category=max(change.category, Category.METADATA), reason=decision.asks.why
        )

    def _triggered(self, version: ModelVersion, told: str) -> Outlook:
        """What triggers ask for now that the model is there that git asks for. Without any nothing is remembered."""
        retrain, around = self.desired.spec.retrain, self.observed.surroundings
        if retrain is None or around is None:
            return Outlook(None, "")
        state = self._settled(version.lineage.get("seconds", 0.0), version.created)
        return decide(self.desired, retrain, state, version, told, around, self.now)

    def _settled(self, seconds: float, ended: datetime) -> Triggers:
        """With the GPU-hours of the run that ended then, if a trigger asked for it."""
        spec, known = self.desired.spec, self.previous.triggers or Triggers()
        refresh = spec.dataset.refresh
        asked = next((one for one in known.asked if one.refresh == refresh), None)
        took = seconds if asked is not None and ended >= asked.at else 0.0
        return known.settled(refresh, took / _HOUR * needs(spec).gpus)

    def _proposals(self, decision: Outlook) -> tuple[Action, ...]:
        asks, desired = decision.asks, self.desired
        if asks is None:
            return ()
        before = desired.spec.dataset.refresh
        return (
            Propose(
                str(desired.ref), desired.file, RENEWS, before, 0, asks.refresh, desired.commit, asks.branch,
                asks.message, item_of(asks, desired),
            ),
        )  # fmt: skip

    def _train(self, stop: tuple[Action, ...]) -> Change:
        spec, run, name = self.desired.spec, self.observed.run, run_name(self.desired.ref.name, self.observed.build)
        inventory = frozenset({f"run:{name}"})
        match runs.next_step(run, spec.retries.limit, spec.retries.backoff, self.now):
            case runs.Start(attempt):
                submit = SubmitRun(self._request(attempt))
                message = ", ".join(["trains", *self._task, *([f"attempt {attempt}"] if attempt > 1 else [])])
                event = runs.started(submit.run)
                return self.outcome.acting(
                    self._keeping(name),
                    self._summary,
                    reasons.TRAINING,
                    message,
                    (*stop, submit),
                    ready=self.ready,
                    inventory=inventory,
                    requeue_after=runs.POLL,
                    events=(event,),
                )
            case runs.Await(after, message):
                return self.outcome.waiting(
                    self._keeping(name),
                    self._summary,
                    reasons.TRAINING,
                    message,
                    ready=self.ready,
                    requeue_after=after,
                    inventory=inventory,
                    actions=stop,
                )
            case runs.Finished(result):
                version = self._version(result)
                return self.outcome.acting(
                    self._keeping(None),
                    self._summary,
                    reasons.REGISTERING,
                    f"registers version {version.version}",
                    (*stop, RegisterModel(version)),
                    ready=self.ready,
                )
            case runs.GaveUp(reason, message):
                first = self.previous.run == name
                events = (NewEvent(reason, message, {"run": name}),) if first else ()
                return self.outcome.stalled(
                    self._given_up(runs.took(run).get("seconds", 0.0)),
                    self._summary,
                    reason,
                    message,
                    ready=self.ready,
                    events=events,
                    actions=stop,
                )

    @property
    def _task(self) -> list[str]:
        """What is learned, as far as that is known before it is run."""
        spec = self.desired.spec
        view = self.observed.views.get(spec.dataset.spine)
        dtypes = dict(view.columns) if view is not None else {}
        told = tasks.told(spec, dtypes.get(spec.dataset.label))
        return [told] if told else []

    def _given_up(self, seconds: float) -> TrainingJobState:
        kept = self._keeping(None)
        if kept.triggers is None:
            return kept
        return kept.model_copy(update={"triggers": self._settled(seconds, self.observed.run.finished or self.now)})

    def _supersede(self) -> tuple[Action, ...]:
        """The run of an older identity that nobody waits for any more."""
        old = self.previous.run
        return (StopRun(self.desired.storage, old),) if old not in (None, self.name) else ()

    def _keeping(self, run: str | None) -> TrainingJobState:
        return self.previous.model_copy(update={"run": run})

    @property
    def _summary(self) -> str:
        return f"version {self.previous.version}" if self.previous.version else "no version yet"

    def _request(self, attempt: int) -> RunSpec:
        desired, champion = self.desired, self.observed.champion
        asked = TrainRequest(
            training=desired.ref.name,
            identity=desired.identity,
            build=self.observed.build,
            spec=desired.spec.model_dump(mode="json", by_alias=True),
            views=self._views(),
            model_folder=layout.model_folder(desired.storage, desired.ref.name, self.observed.build),
            commit=desired.commit,
            seed=desired.spec.seed,
            champion=champion.asked() if champion is not None and compares(desired.spec.evaluation) else None,
            live_task=of_signature(champion.model.signature) if champion is not None else "",
            description=desired.metadata.description or "",
        )
        name = run_name(desired.ref.name, self.observed.build)
        return runs.request(desired, name, attempt, WORKLOAD, asked, desired.spec.timeout)

    def _views(self) -> dict[str, ReadView]:
        ready = {name: view for name, view in self.observed.views.items() if view is not None}
        read = read_of(self.desired.spec, ready)
        return {
            name: ReadView(**dict(read[name]), **view.meaning, columns=view.columns) for name, view in ready.items()
        }

    def _version(self, result: Any) -> ModelVersion:
        desired = self.desired
        lineage = {
            **result.get("lineage", {}),
            **{name: result[name] for name in JUDGED if name in result},
            "run": run_name(desired.ref.name, self.observed.build),
            "rows": result.get("rows", {}),
            KEY: recipe_of(desired, self.observed.files),
            **runs.took(self.observed.run),
        }
        version = ModelVersion(
            training=desired.ref.name,
            version=self.observed.build,
            identity=desired.identity,
            commit=desired.commit,
            created=self.observed.run.finished or self.now,
            artifact=result["artifact"],
            sha256=result["sha256"],
            format=result["format"],
            signature=result["signature"],
            profile=result["profile"],
            metrics=result["metrics"],
            parameters=result.get("parameters", {}),
            lineage=lineage,
            trial_rows=result.get("trial_rows", 0),
        )
        gates = judged(desired.spec.evaluation, version)
        return version.model_copy(update={"gates": gates, "deployable": not failed(gates)})


def _told(version: ModelVersion) -> str:
    """``version 024138ba27, binary, auc 0.9572``."""
    task = of_signature(version.signature)
    headline = TASKS[task].headline
    value = version.metrics.get(headline)
    return ", ".join(
        [f"version {version.version}", task.value, *([f"{headline} {value:.4f}"] if value is not None else [])]
    )


def _remove(observed: TrainingJobObserved, status: Status | None, now: datetime) -> Change:
    """Stop what runs. Model versions stay, because a revert may need them, unless the spec said ``deletion: delete``;
    those go only once no deployment serves one."""
    state = state_of(status, TrainingJobState)
    stop: tuple[Action, ...] = (StopRun(observed.storage, state.run),) if state.run else ()
    delete = status is not None and status.spec.get("deletion") == "delete"
    if status is not None and delete and observed.used_by:
        return _still_used(observed, status, state, stop, now)
    folder = layout.training_folder(observed.storage, observed.ref.name)
    models = (DeleteModels(observed.ref.name, folder),) if delete else ()
    reason = f"removed from git; its model versions {'are deleted' if delete else 'stay'}"
    return Change(
        observed.ref,
        Verb.DELETE,
        Category.METADATA,
        reason,
        None,
        actions=(*stop, *models),
        events=(NewEvent(reasons.DELETED, reason),),
    )


def _still_used(
    observed: TrainingJobObserved, status: Status, state: TrainingJobState, stop: tuple[Action, ...], now: datetime
) -> Change:
    users = ", ".join(map(str, observed.used_by))
    message = f"removed from git; its model versions are deleted once {users} no longer serves them"
    conditions = transition(
        status.conditions, now, ready=False, reconciling=True, reason=reasons.MODELS_IN_USE, message=message
    )
    kept = state.model_copy(update={"run": None})
    return Change(
        observed.ref,
        Verb.DELETE,
        Category.METADATA,
        message,
        status.model_copy(update={"conditions": conditions, "state": kept.model_dump(mode="json")}),
        actions=stop,
        requeue_after=IN_USE_POLL,
        waits_for=observed.used_by,
    )
