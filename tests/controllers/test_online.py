"""The newest rows of a view follow its table into the online store, whatever comes between."""

from __future__ import annotations

from datetime import timedelta

import pytest

from framework.api.errors import TransientError
from framework.api.meta import Ref
from framework.backends.memory.faults import FaultInjector
from framework.backends.memory.online import HERE
from framework.kinds.feature_view.online import CHECKED_EVERY
from framework.planning.grammar.reasons import ONLINE_BEHIND, ONLINE_DIFFERS, ONLINE_DROPPED, ONLINE_WRITTEN
from framework.ports import FailureKind, OnlineRequest, OnlineVersion
from tests.world import DEPARTURES, DEPLOYMENT, ENDPOINT, PROJECT, TRAINING, VIEW, World

ONLINE = DEPARTURES + "  online: {ttl: 7d}\n"
VIEW_ALONE = {"mlops_specs/departures.yaml": ONLINE}


def held(world: World, view: str = "departures") -> OnlineVersion:
    found = world.ports.online.describe(view)
    assert found is not None
    return found


def online_world() -> World:
    world = World(VIEW_ALONE)
    world.run()
    assert world.standing().converged
    return world


def submitted(world: World) -> list[str]:
    return [call.subject for call in world.ports.calls.made if call.verb == "runs.submit"]


def test_what_is_published_is_online_by_the_end_of_the_run_that_published_it() -> None:
    world = online_world()

    published = world.state(VIEW)["published"]
    assert (held(world).uri, held(world).version) == (published["uri"], published["version"])
    assert held(world).ttl == timedelta(days=7).total_seconds()
    assert world.reasons(VIEW).count(ONLINE_WRITTEN) == 1
    assert [name for name in submitted(world) if name.startswith("online-")] == []
    assert "online: version 0" in world.status(VIEW).summary
    assert "online:departures" in world.ports.state.load(VIEW).inventory  # type: ignore[union-attr]


def test_it_is_turned_on_and_off_without_another_table() -> None:
    world = World({"mlops_specs/departures.yaml": DEPARTURES})
    world.run()
    assert world.ports.online.describe("departures") is None
    runs = len(submitted(world))

    world.commit(departures=ONLINE)
    world.run()
    assert held(world).version == 0
    assert [name.partition("-")[0] for name in submitted(world)[runs:]] == ["online"]

    world.commit(departures=ONLINE.replace("7d", "1d"))
    world.run()
    assert held(world).ttl == timedelta(days=1).total_seconds(), "other rules are another version"

    world.commit(departures=DEPARTURES)
    world.run()
    assert world.ports.online.describe("departures") is None
    assert world.reasons(VIEW).count(ONLINE_DROPPED) == 1
    assert world.state(VIEW)["online"] is None
    assert world.standing().converged


def test_a_view_that_leaves_git_leaves_the_store() -> None:
    world = online_world()
    world.commit(departures=None, other=DEPARTURES.replace("departures", "other"))
    world.run()
    assert world.ports.online.describe("departures") is None


def test_new_rows_follow() -> None:
    world = World({"mlops_specs/departures.yaml": ONLINE + "  materialization: {every: 10s}\n"})
    world.run()
    world.ports.sources.files["data/flights.csv"] = "v2"
    world.steps(30)
    assert held(world).version == 1
    assert world.reasons(VIEW).count(ONLINE_WRITTEN) == 2


def test_what_was_bringing_an_earlier_version_is_ended() -> None:
    """Or it would put that version back in the place of the newer one."""
    world = World({"mlops_specs/departures.yaml": ONLINE + "  materialization: {every: 10s}\n"})
    world.run()
    world.ports.online.lose("departures")
    world.pass_()
    slow, end = world.state(VIEW)["online_run"], world.plane.end
    world.plane.end = lambda run: end(run) if run.name != slow else None  # type: ignore[method-assign]
    world.ports.sources.files["data/flights.csv"] = "v2"
    world.steps(30)
    assert slow in [call.subject for call in world.ports.calls.made if call.verb == "runs.stop"]
    assert (list(world.ports.runs.active()), held(world).version) == ([], 1)


@pytest.mark.parametrize("then", [None, DEPARTURES])
def test_rows_that_were_written_before_anybody_looked_go_too(then: str | None) -> None:
    world = World(VIEW_ALONE)
    world.pass_()
    (run,) = world.ports.runs.active()
    world.plane.end(run)
    assert held(world).version == 0
    world.commit(departures=then, other=DEPARTURES.replace("departures", "other"))
    world.run()
    assert world.ports.online.describe("departures") is None


def test_what_is_lost_is_written_again() -> None:
    world = online_world()
    world.ports.online.lose("departures")
    world.run()
    world.pass_()
    assert held(world).version == 0
    assert any(name.startswith("online-departures-") for name in submitted(world))


def test_a_run_that_was_killed_between_the_table_and_the_store_is_made_up_for() -> None:
    world = World(VIEW_ALONE)
    world.pass_()
    (run,) = world.ports.runs.active()
    world.plane.end(run)
    world.ports.online.lose("departures")
    world.run()
    assert held(world).version == 0
    assert [name.partition("-")[0] for name in submitted(world)] == ["features", "online"]


def test_while_the_run_that_published_it_is_at_it_no_other_is_started() -> None:
    world = World(VIEW_ALONE)
    world.pass_()
    (run,) = world.ports.runs.active()
    world.plane.end(run)  # the table is there
    world.ports.online.lose("departures")
    world.ports.runs.start(run.name)  # and the run goes on
    world.pass_()
    assert len(submitted(world)) == 1
    assert world.status(VIEW).conditions.ready.status, "readers of the table have it"
    assert world.message(VIEW) == "version 0 is not online yet: it is written with the table"
    world.plane.end(run)
    world.run()
    assert len(submitted(world)) == 1
    assert world.standing().converged


def test_while_the_store_is_down_the_table_is_published_and_it_is_said() -> None:
    world, faults = World(VIEW_ALONE), FaultInjector()
    world.restart(faults.around(world.ports))
    faults.fail_on("online.describe", TransientError("the online store redis://h cannot be used"), times=None)
    world.steps(5)
    ready = world.status(VIEW).conditions.ready
    assert (ready.status, ready.reason) == (True, ONLINE_BEHIND)
    assert "cannot be told: the online store redis://h cannot be used" in ready.message
    assert world.state(VIEW)["published"]["version"] == 0

    faults.revive()
    world.run()
    assert world.standing().converged
    assert held(world).version == 0


@pytest.mark.parametrize("kind", [FailureKind.INFRASTRUCTURE, FailureKind.USER])
def test_a_write_that_fails_is_tried_again_where_that_may_help(kind: FailureKind) -> None:
    world = World({"mlops_specs/departures.yaml": DEPARTURES})
    world.run()
    world.commit(departures=ONLINE)
    world.pass_()
    (run,) = world.ports.runs.active()
    for _ in range(5):
        world.ports.runs.fail(run.name, kind, "TransientError", "the store is down")
        world.now += timedelta(seconds=31)
        world.pass_()
    attempts = len([name for name in submitted(world) if name.startswith("online-")])
    assert attempts == (6 if kind is FailureKind.INFRASTRUCTURE else 1)
    assert world.status(VIEW).conditions.ready.status
    assert world.status(VIEW).conditions.stalled.status == (kind is FailureKind.USER)
    if kind is FailureKind.INFRASTRUCTURE:
        world.run()
        assert held(world).version == 0


def compared(world: World, **found: int) -> None:
    """A comparison is due, and ends so."""
    world.now += CHECKED_EVERY
    world.pass_()
    (run,) = world.ports.runs.active()
    assert run.name.startswith("online-departures-")
    version = OnlineRequest.model_validate(run.payload).version
    result = {"version": version.version, "rows": 9, "checked": 1000, "examples": ["flight=7"], **found}
    world.ports.runs.succeed(run.name, result)
    world.pass_()


def test_it_is_compared_with_the_table_now_and_then() -> None:
    world = online_world()
    compared(world, differing=0, left=0)
    assert ONLINE_DIFFERS not in world.reasons(VIEW)
    assert world.standing().converged
    world.steps(50)
    assert [name.partition("-")[0] for name in submitted(world)] == ["features", "online"]


def test_rows_that_differ_are_an_event_and_a_condition_until_they_do_not() -> None:
    world = online_world()
    compared(world, differing=3, left=3)
    (event,) = (event for event in world.ports.state.events(VIEW, 100) if event.reason == ONLINE_DIFFERS)
    assert event.message == (
        "3 of 1,000 rows that were compared were otherwise online than in version 0, such as flight=7; 3 are so still"
    )
    conditions = world.status(VIEW).conditions
    assert (conditions.stalled.status, conditions.stalled.reason) == (True, ONLINE_DIFFERS)
    world.steps(20)
    assert world.reasons(VIEW).count(ONLINE_DIFFERS) == 1

    compared(world, differing=3, left=0)
    assert world.standing().converged
    assert world.reasons(VIEW).count(ONLINE_DIFFERS) == 2, "that they did until all was written again"


WEATHER = """
apiVersion: mlops/v1alpha1
kind: FeatureView
metadata: {name: weather}
spec:
  entities: [flight]
  timestamp: hour
  sources: {flights: {format: csv, path: data/flights.csv}}
  columns:
    - {name: flight, dtype: Int64}
    - {name: hour, dtype: Datetime}
    - {name: temp, dtype: Float64}
  online: {}
"""
JOINED = TRAINING.replace("    label:", "    features: [{view: weather, maxAge: 2h}]\n    label:")
LOOKED_UP = DEPLOYMENT.replace("{route: /delay}", "{route: /delay, onlineFeatures: [weather], onlineMissing: refuse}")
SERVED = {
    **PROJECT,
    "mlops_specs/weather.yaml": WEATHER,
    "mlops_specs/classifier.yaml": JOINED,
    "mlops_specs/delay.yaml": LOOKED_UP,
}
WEATHER_VIEW = Ref("FeatureView", "weather")


def test_replicas_are_told_what_to_look_up_and_where() -> None:
    world = World(SERVED)
    world.run()
    assert world.standing().converged, world.message(ENDPOINT)
    online = world.state(ENDPOINT)["stable"]["arguments"]["online"]
    assert online == {
        "store": HERE.store,
        "space": HERE.space,
        "views": [
            {
                "view": "weather",
                "entities": [["flight", "Int64"]],
                "columns": [["temp", "Float64"]],
                "maxAge": 7200.0,
                "delay": None,
                "keys": [],
                "prefix": "",
            }
        ],
        "refuses": True,
        "timeoutSeconds": 1.0,
    }


def test_nothing_serves_before_its_rows_are_online_and_what_serves_goes_on() -> None:
    world, faults = World(SERVED), FaultInjector()
    world.restart(faults.around(world.ports))
    faults.fail_on("online.describe", TransientError("the online store is down"), times=None)
    world.steps(30)
    assert world.message(ENDPOINT) == "waits for the online store: the online store is down"
    faults.revive()
    world.run()
    assert world.standing().converged, world.message(ENDPOINT)

    faults.fail_on("online.describe", TransientError("the online store is down"), times=None)
    served, calls = world.served(), len(world.changed())
    world.steps(20)
    assert world.served() == served
    assert world.changed()[calls:] == []


@pytest.mark.parametrize(
    ("files", "path", "told"),
    [
        (
            {"classifier": JOINED.replace("maxAge: 2h", "maxAge: 2h, delay: 1h")},
            "spec.serving.onlineFeatures[0]",
            "FeatureView/weather is joined with 3600 s delay and kept online with no: "
            "say the same in online.delay there",
        ),
        (
            {"weather": WEATHER.replace("  online: {}\n", "")},
            "spec.serving.onlineFeatures[0]",
            "FeatureView/weather keeps no rows online: say online: {enabled: true} there",
        ),
        (
            {
                "weather": WEATHER.replace("entities: [flight]", "entities: [gate]").replace(
                    "name: flight", "name: gate"
                ),
                "gates": WEATHER.replace("weather", "gates").replace("temp, dtype: Float64", "gate, dtype: Int64"),
                "classifier": JOINED.replace("[{view: weather", "[{view: gates}, {view: weather"),
                "delay": LOOKED_UP.replace("[weather]", "[gates, weather]"),
            },
            "spec.serving.onlineFeatures[1]",
            "its key gate comes from FeatureView/gates, which is looked up itself: nobody sends it",
        ),
    ],
)
def test_what_cannot_work_is_refused(files: dict[str, str], path: str, told: str) -> None:
    from framework.api.errors import SpecError

    world = World(SERVED)
    with pytest.raises(SpecError) as caught:
        world.read(world.commit(**files))
    assert [(one.path, one.message) for one in caught.value.problems] == [(path, told)]
