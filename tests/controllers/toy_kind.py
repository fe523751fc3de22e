"""Export: a kind of no use to anybody, written as any other is. A run of its own copies what a view has published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel

from controllers.kinds.observer import Observer, Specs
from controllers.kinds.tables import published_view
from controllers.kinds.trail import LineagePart, Trail
from framework.api.categories import Category
from framework.api.meta import Name, Ref, Stored, Strict
from framework.kinds.feature_view.observed import FeatureViewState, Published
from framework.planning.admission.restore import Kept
from framework.planning.grammar import reasons
from framework.planning.grammar.actions import SubmitRun
from framework.planning.grammar.changes import Change, Desired, NewEvent, Status
from framework.planning.grammar.kind import CrossProblem, Kind, Needs, Reference, Runs, Says, Versions
from framework.planning.grammar.reasons import Reason
from framework.planning.grammar.remembered import state_of
from framework.planning.plan import runs
from framework.planning.plan.outcomes import Outcome, removed
from framework.planning.reports.lineage import Edge, Node, Sort
from framework.ports import Json, Ports, Record, Request, RunPhase, RunState

CATEGORIES = {"": Category.MATERIALIZE}
WORKLOAD = "framework.workloads.export:run"
EXPORTING, EXPORTED = Reason("Exporting"), Reason("Exported")


class ExportSpec(Strict):
    view: Name
    cpus: float = 1.0


class Copy(Request):
    table: str


class ExportState(Stored):
    exported: str | None = None


@dataclass(frozen=True)
class ExportObserved:
    ref: Ref
    run: RunState
    view: Published | None = None


def _plan(desired: Desired[ExportSpec] | None, seen: ExportObserved, status: Status | None, now: datetime) -> Change:
    if desired is None:
        return removed(seen.ref)
    outcome = Outcome(desired, status, CATEGORIES, now)
    before = state_of(status, ExportState)
    view, run = Ref("FeatureView", desired.spec.view), _run(desired)
    if seen.view is None:
        return outcome.waiting(
            before, "", reasons.UPSTREAM_NOT_READY, f"waits for {view}", ready=False, waits_for=(view,)
        )
    match runs.next_step(seen.run, 0, timedelta(0), now):
        case runs.Start(attempt):
            copy = Copy(build=desired.identity, table=seen.view.uri)
            asked = runs.request(desired, run, attempt, WORKLOAD, copy)
            started = (runs.started(asked),)
            return outcome.acting(
                before, "", EXPORTING, "exports", (SubmitRun(asked),), ready=False,
                inventory=frozenset({f"run:{run}"}), events=started,
            )  # fmt: skip
        case runs.Await(after, message):
            return outcome.waiting(before, "", EXPORTING, message, ready=False, requeue_after=after)
        case runs.Finished():
            state = ExportState(exported=desired.identity)
            events = () if state == before else (NewEvent(EXPORTED, "copied", {"copy": desired.identity}),)
            return outcome.converged(state, f"copy {desired.identity}", EXPORTED, events=events)
        case runs.GaveUp(reason, message):
            return outcome.stalled(before, "", reason, message, ready=False)


def _run(desired: Desired[Any]) -> str:
    return f"export-{desired.ref.name}-{desired.identity}"


def _observe(
    ref: Ref, desired: Desired[Any] | None, status: Status | None, ports: Ports, now: datetime
) -> ExportObserved:
    if desired is None:
        return ExportObserved(ref, RunState(RunPhase.ABSENT))
    (view, identity), *_ = desired.upstream.items()
    return ExportObserved(ref, ports.runs.observe(ports.storage, _run(desired)), published_view(view, identity, ports))


def _left(asked: Desired[Any], specs: Specs, ports: Ports) -> Kept:
    run = ports.runs.observe(ports.storage, _run(asked))
    if run.phase is RunPhase.SUCCEEDED:
        return Kept(True, f"copy {asked.identity}")
    return Kept(False, "is copied again", Category.MATERIALIZE)


def _traces(record: Record, trail: Trail) -> Iterator[LineagePart]:
    copy = trail.state(record.ref, ExportState).exported
    if copy is not None:
        table = Node(Sort.TABLE, f"{record.ref.name}@{copy}", {"build": copy, "version": 0}, record.ref)
        yield table
        for view in record.upstream:
            read = trail.state(view, FeatureViewState).published
            if read is not None:
                yield Edge(f"{Sort.TABLE}:{view.name}@{read.name} v{read.version}", table.id)


def _references(spec: ExportSpec) -> tuple[Reference, ...]:
    return (Reference(Ref("FeatureView", spec.view), "spec.view"),)


def _entrypoints(spec: ExportSpec) -> Mapping[str, str]:
    return {}


def _unsupported(spec: ExportSpec) -> tuple[str, ...]:
    return ()


def _check(spec: ExportSpec, specs: Mapping[Ref, BaseModel]) -> tuple[CrossProblem, ...]:
    return ()


def _needs(spec: ExportSpec) -> Needs:
    return Needs(spec.cpus)


def _label(ref: Ref, data: Mapping[str, Json]) -> str:
    return f"{ref.name}@{data['copy']}"


KIND = Kind(
    name="Export",
    spec=ExportSpec,
    categories=CATEGORIES,
    plan=_plan,
    references=_references,
    entrypoints=_entrypoints,
    unsupported=_unsupported,
    check=_check,
    workload_version="1",
    rebuild=Category.MATERIALIZE,
    state=ExportState,
    needs=_needs,
    sized_by="spec.cpus",
    runs=Runs("export", done=frozenset({EXPORTED})),
    versions=Versions({EXPORTED: Says.COUNTS}, _label),
)
OBSERVER = Observer(_observe, left=_left, traces=_traces)
