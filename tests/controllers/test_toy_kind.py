"""A sixth kind is registered by a line beside the others, and everything works with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controllers.commands.history import report_of
from controllers.commands.lineage import lineage, lineage_of
from controllers.commands.project import Project
from controllers.commands.rollback import Rollbacks
from controllers.host.wiring import OBSERVERS
from framework.api.errors import SpecError
from framework.api.meta import Ref
from framework.kinds import KINDS, table
from framework.planning.admission.restore import Way
from framework.planning.grammar.changes import Change, Verb
from framework.planning.reports.health import Sync
from framework.planning.reports.lineage import Sort
from framework.planning.reports.overview import StatusRow, rows
from framework.planning.reports.why import why
from framework.ports import FailureKind
from framework.render.history import history_text
from framework.render.lineage import lineage_text
from tests.controllers import toy_kind
from tests.controllers.test_passes import project as passes
from tests.world import DEPARTURES, VIEW, World, environment

EXPORT = """
apiVersion: mlops/v1alpha1
kind: Export
metadata: {name: nightly}
spec: {view: departures}
"""
LARGER = EXPORT.replace("departures}", "departures, cpus: 2}")
QUOTA = environment("quotas: {cpus: 1}")
COPY = Ref("Export", "nightly")


@pytest.fixture
def world() -> World:
    others = (kind for kind in KINDS.values() if kind.name != "Environment")
    return World(
        {"mlops_specs/departures.yaml": DEPARTURES, "mlops_specs/nightly.yaml": EXPORT},
        kinds=table(*others, toy_kind.KIND),
        observers={**OBSERVERS, "Export": toy_kind.OBSERVER},
    )


def project(world: World) -> Project:
    return replace(passes(world), clock=world.clock)


def planned(world: World) -> Change:
    return next(change for change in project(world).plan().changes if change.ref == COPY)


def row(world: World) -> StatusRow:
    found = rows(world.source.desired, world.ports.state.records(), world.now)
    return next(row for row in found if row.ref == COPY)


def test_it_is_planned_run_and_found_done(world: World) -> None:
    assert (planned(world).verb, planned(world).waits_for) == (Verb.CREATE, (VIEW,))
    world.run()
    assert planned(world).verb is Verb.NOOP
    assert [event.reason for event in world.ports.state.events(COPY)] == ["RunStarted", "Exported"]
    world.commit(nightly=LARGER)
    forecast = project(world).plan().forecast
    assert forecast is not None
    assert [(item.ref, item.what, item.cpus, item.seconds) for item in forecast.work] == [(COPY, "export", 2.0, 1.0)]


def test_status_and_why_tell_how_it_stands(world: World) -> None:
    world.pass_()
    assert row(world).sync is not Sync.SYNCED
    reason = why(COPY, rows(world.source.desired, world.ports.state.records(), world.now))
    assert [cause.ref for cause in reason.causes] == [VIEW]
    world.run()
    status = row(world).status
    assert status is not None
    assert (row(world).sync, status.summary.partition(" ")[0]) == (Sync.SYNCED, "copy")


def test_history_tells_its_versions(world: World) -> None:
    world.run()
    first = world.read(world.head).desired[COPY].identity
    world.commit(nightly=LARGER)
    world.run()
    report = report_of("local", world.ports, world.kinds, COPY, None, 20)
    second = world.read(world.head).desired[COPY].identity
    assert [one.version for one in report.history.lives[0].services] == [f"nightly@{first}", f"nightly@{second}"]
    assert f"nightly@{second}" in history_text(report)


def test_lineage_tells_what_it_came_from(world: World) -> None:
    world.run()
    found = lineage_of(str(COPY), world.source.desired, world.ports, world.observers)
    assert [node.ref for node in found.nodes if node.sort is Sort.TABLE] == [VIEW, COPY]
    assert [node.ref for node in found.ends] == [COPY]
    assert lineage(world.source.desired, world.ports, world.observers) == found
    assert lineage_text(found).startswith("Export/nightly")


def test_its_log_is_that_of_its_run(world: World) -> None:
    world.run()
    (run,) = [name for name in world.ports.runs.runs() if name.startswith("export-")]
    world.ports.runs.write(run.rpartition("-")[0], "copying")
    assert [log.text for log in project(world).observers["Export"].logs(COPY, world.ports, 10)] == ["copying"]


def test_rollback_knows_what_is_left_of_it(world: World) -> None:
    world.run()
    first = world.head
    world.commit(nightly=LARGER)
    world.run()
    back = Rollbacks("local", world.ports, world.read, "main", "mlops_specs", world.clock, project(world).observers)
    found = {item.ref: (item.way, item.message) for item in back.prospect(first).returns}
    identity = world.read(first).desired[COPY].identity
    assert found[COPY] == (Way.RETURNS, f"copy {identity}")
    world.ports.runs.fail(f"export-nightly-{identity}", FailureKind.USER, "Lost", "gone")
    assert {item.ref: item.way for item in back.prospect(first).returns}[COPY] is Way.BUILDS


def test_a_simulation_takes_it_as_far_as_the_loop_does(world: World) -> None:
    (sequence,) = project(world).simulate(None, None)
    assert [step.ref for step in sequence.steps] == [VIEW, COPY]
    assert {ending.ref: ending.word for ending in sequence.endings} == {VIEW: "ready", COPY: "ready"}


def test_the_environment_holds_it_to_its_quotas(world: World) -> None:
    world.commit(nightly=LARGER, local=QUOTA)
    with pytest.raises(SpecError, match="needs 2 CPUs at its peak"):
        world.read(world.head)
