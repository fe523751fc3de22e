"""Promise 11: status never says Synced while git and what runs differ, over random stories."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from controllers.revision.acceptance import withheld
from controllers.revision.snapshot import Snapshot
from framework.api import layout
from framework.api.errors import SpecError
from framework.api.meta import Ref
from framework.planning.reports.health import Sync
from framework.planning.reports.overview import report
from framework.ports import Pin
from framework.render.status import status_text
from tests.controllers.test_promises import syncs
from tests.world import ANOTHER, BETTER, DEPLOYMENT, ENDPOINT, JOB, TRAINING, VIEW, World, environment, reconciled

EDITS: dict[str, dict[str, str]] = {
    "better": {"classifier": BETTER},
    "another": {"classifier": ANOTHER},
    "first": {"classifier": TRAINING, "delay": DEPLOYMENT, "local": environment("")},
    "replicas": {"delay": DEPLOYMENT.replace("{route: /delay}", "{route: /delay, replicas: {min: 1, max: 3}}")},
    "route": {"delay": DEPLOYMENT.replace("/delay", "/late")},
    "wrong": {"classifier": TRAINING.replace("spine: departures", "spine: nowhere")},
    "suspended": {"local": environment("suspend: true")},
    "one run": {"local": environment("quotas: {runs: 1, cpus: 1}")},
    "window": {"local": environment("windows: [{deny: '* 12 * * *'}]")},
    "no prune": {"local": environment("deletion: {prune: false}")},
}
HARMS = ("none", "route", "app", "table", "worse", "bad candidate")


def hurt(world: World, harm: str) -> None:
    weights = world.weights()
    match harm:
        case "route" if weights:
            world.ports.serving.change_route_by_hand("delay", weights={next(iter(weights)): 40})
        case "app" if weights:
            world.ports.serving.remove_by_hand(next(iter(weights)))
        case "table":
            published = world.state(VIEW).get("published")
            if published:
                world.ports.tables.drop_by_hand(published["uri"])
        case "worse":
            world.auc = lambda identity: 0.55
        case "bad candidate":
            stable = next(iter(weights), "")
            world.error_rate = lambda app: 0.0 if app == stable else 0.4


def disagreements(world: World) -> list[str]:
    """Where status says Synced and what git asks for and what is in service differ."""
    try:
        newest = world.read(world.head)
    except SpecError:
        assert world.source.loaded is not None
        newest = world.source.loaded
    synced = [ref for ref, sync in syncs(world).items() if sync is Sync.SYNCED]
    return [f"{ref}: {told}" for ref in synced if (told := lacking(world, ref, newest))]


def lacking(world: World, ref: Ref, newest: Snapshot) -> str:
    """In what the world is not as ``newest`` asks of ``ref``; "" where it is."""
    asked = newest.desired.get(ref)
    if asked is None:
        return "not in git"
    if ref.kind == "FeatureView":
        table = world.ports.tables.describe(layout.feature_table("memory://store", ref.name, asked.identity))
        return "" if table is not None else "no table"
    if ref.kind == "TrainingJob":
        return "" if world.ports.registry.builds(ref.name, asked.identity) else "no model"
    route = world.ports.serving.route(ref.name, "")
    stable = world.state(ref).get("stable")
    if route is None or stable is None or dict(route.spec.weights) != {stable["app"]: 100}:
        return "the traffic is elsewhere"
    if stable["version"] != world.built(newest.commit) or route.spec.route != asked.spec.serving.route:
        return "another version or route serves"
    return "" if stable["app"] in world.ports.serving.apps(ref.name) else "nothing serves"


@settings(max_examples=40, deadline=None)
@given(
    story=st.lists(
        st.tuples(st.sampled_from(sorted(EDITS)), st.sampled_from(HARMS), st.integers(1, 25)), min_size=1, max_size=4
    )
)
def test_11_status_never_says_synced_while_git_and_what_runs_differ(story: list[tuple[str, str, int]]) -> None:
    world = World()
    for edit, harm, rounds in [("first", "none", 20), *story]:
        world.commit(**EDITS[edit])
        assert disagreements(world) == [], "a commit that nobody has taken up"
        for _ in range(rounds):
            world.pass_()
            assert disagreements(world) == []
            world.advance()
        hurt(world, harm)
        world.pass_()
        assert disagreements(world) == []


def test_11_under_a_pin_nothing_that_git_asks_differently_is_synced() -> None:
    world = reconciled()
    first = world.head
    world.commit(classifier=BETTER)
    world.run()
    world.ports.state.set_pin(Pin(commit=first, over=world.head, actor="ana", time=world.now, message="errors"))
    world.run()
    newest, state = world.read(world.head), world.ports.state
    held = withheld(newest, world.source.loaded, state.pin(), world.now)
    found = report("local", newest.desired, state.records(), state.revisions(), world.now, held)
    said = {row.ref: (row.sync, row.health.reason) for row in found.rows}
    assert said[JOB] == (Sync.OUT_OF_SYNC, "PinInForce")
    assert said[ENDPOINT] == (Sync.OUT_OF_SYNC, "PinInForce")
    assert said[VIEW][0] is Sync.SYNCED, "both commits ask for it"
    text = status_text(found)
    assert "is not in force: PinInForce" in text
    assert "ana pinned commit" in text
