"""What is built, as against what git asks for: new data moves on, and nothing is made whose inputs are equal."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.commands.lineage import lineage_of
from controllers.host.wiring import OBSERVERS
from framework.api import layout
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.kinds.feature_view.observed import FeatureViewState
from framework.planning.plan.compare import compare
from framework.planning.reports.health import Sync
from framework.planning.reports.lineage import Sort
from framework.planning.reports.newer import newer_data
from framework.planning.reports.overview import StatusRow, report
from framework.ports import MaterializeRequest, ReadTable, TableState
from framework.render.status import resource_text
from tests.builders import model_version
from tests.controllers.test_passes import project
from tests.world import DEPARTURES, DEPLOYMENT, ENDPOINT, JOB, TRAINING, VIEW, World

OVER = Ref("FeatureView", "recent")
EVERY = "  materialization: {every: 1m}\n"
RECENT = (
    DEPARTURES.replace("name: departures", "name: recent").replace(
        "flights: {format: csv, path: data/flights.csv}", "departures: {featureView: departures}"
    )
    + '  transform: {sql: "SELECT * FROM departures"}\n'
)
REFACTORED = DEPARTURES + '  transform: {sql: "SELECT * FROM flights"}\n'
PROJECT = {
    "mlops_specs/departures.yaml": DEPARTURES + EVERY,
    "mlops_specs/recent.yaml": RECENT,
    "mlops_specs/classifier.yaml": TRAINING.replace("spine: departures", "spine: recent"),
    "mlops_specs/delay.yaml": DEPLOYMENT,
}


@pytest.fixture
def world() -> World:
    """A view over a view, a model of it, and what serves that."""
    made = World(PROJECT)
    made.plane.values = lambda asked: holds(made, asked)
    made.run()
    made.ports.calls.clear()
    return made


def holds(world: World, asked: MaterializeRequest) -> str:
    """Rows that depend on the file alone, however they are selected."""
    return world.ports.sources.files["data/flights.csv"]


def submitted(world: World) -> list[str]:
    """The resources whose runs were started since the calls were cleared."""
    runs = [call.subject for call in world.ports.calls.made if call.verb == "runs.submit"]
    return [run.rpartition("-")[0].rpartition("-")[0] for run in runs]


def published(world: World, ref: Ref) -> Any:
    return FeatureViewState.model_validate(world.state(ref)).published


def later(world: World, content: str) -> None:
    """The file holds something else, and it is time to look."""
    world.ports.sources.files["data/flights.csv"] = content
    world.advance(61)
    world.steps(20)


def test_a_view_follows_the_views_it_reads(world: World) -> None:
    later(world, "v2")
    assert submitted(world) == ["features-departures", "features-recent"]
    assert (published(world, VIEW).version, published(world, OVER).version) == (1, 1)
    assert published(world, OVER).upstream["departures"].version == 1


def test_a_model_keeps_its_build_while_data_moves_on(world: World) -> None:
    before = world.state(JOB)["version"]
    later(world, "v2")
    assert world.state(JOB)["version"] == before
    assert world.standing().converged


def test_new_files_that_come_to_the_same_rows_move_nothing_further(world: World) -> None:
    world.plane.values = lambda asked: "always the same"
    later(world, "v2")
    assert submitted(world) == ["features-departures", "features-recent"], "other rows than before"
    world.ports.calls.clear()
    later(world, "v3")
    assert submitted(world) == ["features-departures"]


def test_a_refactoring_that_yields_the_same_rows_retrains_nothing(world: World) -> None:
    model, app = world.state(JOB)["version"], world.state(ENDPOINT)["stable"]["app"]
    world.commit(departures=REFACTORED + EVERY)
    world.run()
    assert submitted(world) == ["features-departures"]
    assert (world.state(JOB)["version"], world.state(ENDPOINT)["stable"]["app"]) == (model, app)
    assert world.standing().converged
    told = [event for event in world.ports.state.events(JOB, limit=100) if event.reason == "VersionTaken"]
    assert [event.data["version"] for event in told] == [model]


def test_a_refactoring_that_yields_other_rows_retrains(world: World) -> None:
    world.plane.values = lambda asked: asked.build
    world.commit(departures=REFACTORED + EVERY)
    world.run()
    assert submitted(world) == ["features-departures", "features-recent", "train-classifier"]


def test_a_revert_builds_nothing_even_where_data_has_moved_on(world: World) -> None:
    files, model = dict(world.files), world.state(JOB)["version"]
    world.plane.values = lambda asked: asked.build
    world.commit(departures=REFACTORED + EVERY)
    world.run()
    assert world.state(JOB)["version"] != model
    world.ports.calls.clear()
    world.files = files
    world.commit()
    world.run()
    assert submitted(world) == []
    assert world.state(JOB)["version"] == model
    assert world.standing().converged


def refreshed(number: int) -> str:
    """What trains again on the data of its day."""
    text = TRAINING.replace("spine: departures", "spine: recent")
    return text.replace("label: delayed", f"label: delayed\n    refresh: {number}")


def test_a_refresh_on_equal_rows_trains_nothing_and_moves_no_request(world: World) -> None:
    model, app = world.state(JOB)["version"], world.state(ENDPOINT)["stable"]["app"]
    world.commit(classifier=refreshed(1))
    world.run()
    assert submitted(world) == []
    assert (world.state(JOB)["version"], world.state(ENDPOINT)["stable"]["app"]) == (model, app)
    assert world.standing().converged


def test_a_refresh_trains_on_the_data_of_its_day_and_its_revert_brings_back_what_was(world: World) -> None:
    files, model = dict(world.files), world.state(JOB)["version"]
    later(world, "v2")
    world.commit(classifier=refreshed(1))
    world.run()
    assert submitted(world).count("train-classifier") == 1
    assert world.state(JOB)["version"] != model
    world.ports.calls.clear()
    world.files = files
    world.commit()
    world.run()
    assert submitted(world) == []
    assert (world.state(JOB)["version"], world.served()) == (model, model)


def test_a_refresh_is_planned_as_what_retrains_only_if_rows_differ(world: World) -> None:
    before = world.source.desired
    world.commit(classifier=refreshed(1))
    change = next(one for one in compare(before, world.read(world.head).desired, KINDS) if one.ref == JOB)
    assert (change.category.label, change.proviso) == ("Retrain", "retrains only if rows differ")


def test_a_revert_finds_what_was_taken_for_another_identity(world: World) -> None:
    """The model was trained for the first commit and taken for the second; its data has moved on since."""
    model = world.state(JOB)["version"]
    world.commit(departures=REFACTORED + EVERY)
    world.run()
    second = dict(world.files)
    world.plane.values = lambda asked: asked.build
    world.commit(classifier=TRAINING.replace("spine: departures", "spine: recent").replace("rounds: 50", "rounds: 60"))
    world.run()
    later(world, "v2")
    assert world.state(JOB)["version"] != model
    world.ports.calls.clear()
    world.files = second
    world.commit()
    world.run()
    assert submitted(world) == []
    assert world.state(JOB)["version"] == model


def test_data_that_comes_back_is_not_computed_again(world: World) -> None:
    later(world, "v2")
    world.ports.calls.clear()
    later(world, "v1")
    assert submitted(world) == []
    assert (published(world, VIEW).version, published(world, OVER).version) == (0, 0)
    later(world, "v3")
    assert submitted(world) == ["features-departures", "features-recent"]
    assert (published(world, VIEW).version, published(world, OVER).version) == (2, 2)


def test_what_takes_longer_than_its_sources_rest_is_published_all_the_same(world: World) -> None:
    """A view that takes half a minute over one that has other rows every few seconds, and over files likewise."""
    world.plane.seconds = lambda run: 25.0 if run.name.startswith("features-recent") else 0.0
    world.commit(departures=DEPARTURES + "  materialization: {every: 5s}\n")
    seen = set()
    for second in range(150):
        if second % 7 == 0:
            world.ports.sources.files["data/flights.csv"] = f"v{second}"
        world.pass_()
        world.advance()
        seen.add(published(world, OVER).version)
    assert len(seen) >= 4, seen
    assert published(world, OVER).upstream["departures"].version <= published(world, VIEW).version
    assert "runs.stop" not in {call.verb for call in world.ports.calls.made}


def test_a_source_that_is_gone_leaves_readers_what_they_have(world: World) -> None:
    """Which need not be the newest version: the data of one before came back."""
    later(world, "v2")
    later(world, "v1")
    before = world.ports.sources.files.pop("data/flights.csv")
    world.advance(61)
    world.pass_()
    assert (published(world, VIEW).version, published(world, OVER).version) == (0, 0)
    later(world, before)
    assert (published(world, VIEW).version, published(world, OVER).version) == (0, 0)


def test_a_training_that_goes_on_is_not_begun_anew_when_data_comes(world: World) -> None:
    world.plane.seconds = lambda run: 600.0 if run.name.startswith("train") else 0.0
    world.commit(classifier=TRAINING.replace("spine: departures", "spine: recent").replace("rounds: 50", "rounds: 60"))
    later(world, "v2")
    later(world, "v3")
    assert submitted(world).count("train-classifier") == 1
    world.advance(600)
    world.run()
    assert submitted(world).count("train-classifier") == 1
    version = world.ports.registry.get("classifier", world.state(JOB)["version"])
    assert version is not None
    assert version.read["recent"].version == 0, "what it was begun with"


def test_what_a_function_gives_is_asked_for_again_each_time() -> None:
    source = "flights: {function: 'shop.rows:everything'}"
    view = DEPARTURES.replace("flights: {format: csv, path: data/flights.csv}", source)
    code = {"shop/__init__.py": "", "shop/rows.py": "def everything():\n    return 1\n"}
    world = World({"mlops_specs/departures.yaml": view + EVERY, **code})
    world.run()
    for number in range(1, 4):
        world.ports.calls.clear()
        world.advance(61)
        world.steps(5)
        assert submitted(world) == ["features-departures"]
        assert published(world, VIEW).version == number


def test_status_says_where_newer_data_exists(world: World) -> None:
    def row(ref: Ref) -> StatusRow:
        desired, records = world.source.desired, world.ports.state.records()
        newer = newer_data(desired, records, KINDS)
        told = report("local", desired, records, world.ports.state.revisions(), world.now, newer=newer)
        return next(item for item in told.rows if item.ref == ref)

    assert [row(ref).newer for ref in (OVER, JOB, ENDPOINT)] == [(), (), ()]
    later(world, "v2")
    assert [row(ref).newer for ref in (OVER, JOB, ENDPOINT)] == [(), (OVER,), ()]
    assert row(JOB).sync is Sync.SYNCED
    assert "newer data" in resource_text(row(JOB), world.now)
    later(world, "v1")
    assert row(JOB).newer == (), "what came back is what it was trained on"


def test_what_was_made_before_builds_had_names_goes_on() -> None:
    """Tables lay at their identity, a version of a model was named by it, and nothing was said of values."""
    world = World(PROJECT)
    world.source.poll()
    asked = world.source.desired
    digest = world.ports.sources.held({"flights": {"path": "data/flights.csv"}}, "/project", world.head).digest
    uris = {ref: layout.feature_table("memory://store", ref.name, asked[ref].identity) for ref in (VIEW, OVER)}
    for ref, found in ((VIEW, digest), (OVER, "")):
        read = {"departures": ReadTable(uri=uris[VIEW], version=0)} if ref == OVER else {}
        world.ports.tables.publish(
            TableState(uris[ref], 0, 9, found, asked[ref].identity, "c" * 40, world.now, upstream=read)
        )
    world.ports.registry.adopt(model_version(asked[JOB].identity, training="classifier"))
    world.run()
    assert submitted(world) == []
    assert world.served() == world.state(JOB)["version"] == asked[JOB].identity
    later(world, "v2")
    assert submitted(world) == ["features-departures", "features-recent"]
    assert world.state(JOB)["version"] == asked[JOB].identity


def test_lineage_tells_the_versions_that_were_read(world: World) -> None:
    model = f"classifier@{world.state(JOB)['version']}"
    later(world, "v2")
    found = lineage_of(model, world.source.desired, world.ports, OBSERVERS)
    tables = {node.key.partition("@")[0]: node for node in found.nodes if node.sort is Sort.TABLE}
    assert {name: node.facts["version"] for name, node in tables.items()} == {"departures": 0, "recent": 0}
    assert len([node for node in found.nodes if node.sort is Sort.SOURCES]) == 1, "those of the version that was read"
    served = lineage_of(str(ENDPOINT), world.source.desired, world.ports, OBSERVERS)
    assert {node.key for node in tables.values()} <= {node.key for node in served.nodes}, "however it is asked for"


def test_a_plan_says_that_only_other_rows_cost_anything(world: World) -> None:
    before = world.read(world.head).desired
    world.commit(departures=REFACTORED + EVERY)
    changes = {change.ref: change for change in compare(before, world.read(world.head).desired, KINDS)}
    assert changes[JOB].reason == "because FeatureView/recent changes; retrains only if rows differ"
    assert changes[OVER].reason == "because FeatureView/departures changes; is computed again only if rows differ"
    assert "rows differ" not in changes[VIEW].reason
    told = {change.ref: change.reason for change in project(world).plan().changes}
    assert told[JOB] == "waits for FeatureView/recent; retrains only if rows differ"
    assert told[OVER] == "waits for FeatureView/departures; is computed again only if rows differ"
