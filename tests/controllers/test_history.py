"""What the log tells afterwards: what served when, what came from what, and whether the log itself is whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from itertools import pairwise

import pytest

from controllers.commands.history import newest_events, next_events, report_of
from controllers.commands.lineage import lineage, lineage_of
from controllers.host.wiring import OBSERVERS
from framework.api.errors import ConfigurationError
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.planning.reports.history import Life, history
from framework.planning.reports.lineage import Sort
from framework.ports import Event
from framework.render.history import history_json, history_text
from framework.render.lineage import lineage_json, lineage_mermaid, lineage_text
from tests.builders import NOW
from tests.world import BETTER, ENDPOINT, JOB, PROJECT, VIEW, World

WATCH = """
apiVersion: mlops/v1alpha1
kind: ModelMonitor
metadata: {name: watch}
spec: {deployment: delay, window: 1m, drift: {threshold: 0.2}}
"""


def with_two_versions() -> World:
    world = World()
    world.run()
    world.now += timedelta(hours=1)
    world.commit(classifier=BETTER)
    world.run()
    assert world.standing().converged
    return world


def life(world: World, ref: Ref = ENDPOINT) -> Life:
    return next(item for item in history(world.ports.state.events(limit=1_000), KINDS).lives if item.ref == ref)


def test_the_log_alone_tells_what_served_when() -> None:
    world = with_two_versions()
    first, second = life(world).services
    state = world.state(ENDPOINT)["stable"]
    assert (second.version, second.app, second.commit) == (f"classifier@{state['version']}", state["app"], world.head)
    assert (second.before, second.until, first.until) == (first.version, None, second.since)
    trial = life(world).trials[0]
    assert (trial.version, trial.outcome, [weight for _, weight in trial.weights]) == (
        second.version, "Promoted", [10, 50],
    )  # fmt: skip


def test_a_candidate_that_failed_never_served_but_was_on_trial() -> None:
    world = World()
    world.run()
    stable = world.state(ENDPOINT)["stable"]["app"]
    world.error_rate = lambda app: 0.0 if app == stable else 0.5
    world.commit(classifier=BETTER)
    world.run()
    found = life(world)
    assert [one.app for one in found.services] == [stable]
    assert (found.trials[0].outcome, found.trials[0].weights[0][1]) == ("CandidateRejected", 10)


def test_what_served_at_a_moment_with_its_commit_and_its_features() -> None:
    world = with_two_versions()
    first, second = life(world).services
    at = first.since + timedelta(seconds=1)
    report = report_of("local", world.ports, KINDS, None, (at, at), 20)
    assert [one.version for one in report.history.lives[0].services] == [first.version]
    document = json.loads(history_json(report))
    served = document["resources"][0]["served"][0]
    identity = world.source.desired[VIEW].identity
    assert served["features"]["departures"]["identity"] == identity
    assert (served["commit"], served["until"]) == (first.commit, second.since.isoformat())
    assert [row["commit"] for row in document["revisions"]] == [first.commit]
    text = history_text(report)
    assert f"departures@{identity} v0" in text
    assert first.version in text
    assert second.version not in text


def test_before_anything_served_nothing_did() -> None:
    world = with_two_versions()
    before = NOW - timedelta(days=1)
    text = history_text(report_of("local", world.ports, KINDS, None, (before, before), 20))
    assert "nothing served" in text
    assert "RevisionAccepted" not in text


def test_in_the_middle_of_a_rollout_the_share_of_the_candidate_is_told() -> None:
    world = World()
    world.run()
    world.commit(classifier=BETTER)
    while 10 not in world.weights().values():
        world.pass_()
        world.advance()
    report = report_of("local", world.ports, KINDS, None, (world.now, world.now), 20)
    document = json.loads(history_json(report))["resources"][0]
    assert (document["candidates"][0]["weight"], document["candidates"][0]["outcome"]) == (10, "")
    assert document["served"][0]["until"] is None
    assert "10 %" in history_text(report)


def test_the_newest_rows_are_shown() -> None:
    world = with_two_versions()
    document = json.loads(history_json(report_of("local", world.ports, KINDS, None, None, 1)))
    assert [row["commit"] for row in document["revisions"]] == [world.head]
    assert len(document["resources"][0]["served"]) == 1


def test_tables_and_models_have_a_history_by_name() -> None:
    world = with_two_versions()
    versions = [one.version for one in report_of("local", world.ports, KINDS, JOB, None, 20).history.lives[0].services]
    assert [label.partition("@")[0] for label in versions] == ["classifier", "classifier"]
    text = history_text(report_of("local", world.ports, KINDS, VIEW, None, 20))
    assert "1,000 rows as version 0" in text


@pytest.mark.parametrize("name", ["ModelMonitor/watch", "ModelDeployment/nothing"])
def test_what_has_no_history_is_told(name: str) -> None:
    world = World()
    world.run()
    with pytest.raises(ConfigurationError, match=r"no versions|nothing ever happened"):
        report_of("local", world.ports, KINDS, Ref.parse(name), None, 20)


def test_reports_of_equal_logs_are_equal() -> None:
    one, other = (history_json(report_of("local", with_two_versions().ports, KINDS, None, None, 20)) for _ in range(2))
    assert one == other


# ------------------------------------------------------------------- events


def test_events_from_a_time_on_and_of_a_reason() -> None:
    world = with_two_versions()
    state = world.ports.state
    promoted = state.events(limit=50, reasons=("Promoted",))
    assert [event.reason for event in promoted] == ["Promoted", "Promoted"]
    late = state.events(limit=50, reasons=("Promoted",), since=NOW + timedelta(minutes=30))
    assert late == promoted[1:]
    assert state.events(limit=1, reasons=("Promoted",)) == promoted[1:]
    assert state.events(limit=0, reasons=("Promoted",)) == ()
    assert {event.ref for event in state.events(JOB, 50, since=NOW)} == {JOB}


def test_following_tells_each_new_event_once() -> None:
    world = World()
    world.run()
    looks = 0

    def log(number: int, ref: Ref) -> Event:
        return Event(time=world.now, commit="c", ref=ref, reason="Tested", message=str(number))

    def wait() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            world.ports.state.append_events([log(1, JOB), log(2, VIEW)], world.token)
        elif looks == 3:
            world.ports.state.append_events([log(3, JOB)], world.token)

    following = next_events(world.ports.state, JOB, frozenset({"Tested"}), wait)
    assert [next(following).message for _ in range(2)] == ["1", "3"]
    assert looks == 3


def test_a_removal_carries_the_commit_that_removed() -> None:
    world = World()
    world.run()
    world.commit(delay=None)
    world.run()
    gone = world.ports.state.events(ENDPOINT)[-1]
    assert (gone.reason, gone.commit) == ("Deleted", world.head)
    assert life(world).services[-1].outcome == "Deleted"


def test_a_condition_that_flips_is_told_with_before_and_after() -> None:
    world = World()
    world.run()
    flips = [event.data["conditions"] for event in world.ports.state.events(VIEW) if "conditions" in event.data]
    assert flips == [{"Ready": {"before": False, "after": True}}]
    bad = world.read(world.head).desired[JOB].identity
    world.auc = lambda identity: 0.7 if identity == bad else 0.5
    world.commit(classifier=BETTER)
    world.run()
    failed = world.ports.state.events(JOB)[-1]
    assert failed.reason == "GateFailed"
    assert failed.data["conditions"]["Stalled"] == {"before": False, "after": True}


def test_what_changed_hands_is_told_with_before_and_after() -> None:
    world = with_two_versions()
    found = {event.reason: event.data for event in world.ports.state.events(ENDPOINT)}
    first, second = (one.version for one in life(world).services)
    assert (found["Promoted"]["before"], found["Promoted"]["after"]) == (first, second)
    assert (found["WeightChanged"]["before"], found["WeightChanged"]["after"]) == (10, 50)
    for event in world.ports.state.events(limit=1_000):
        assert event.commit, event
        assert event.actor, event
        assert event.time.tzinfo, event


# ------------------------------------------------------------------- lineage


def watched() -> World:
    world = World({**PROJECT, "mlops_specs/watch.yaml": WATCH})
    world.steps(20)
    return world


def test_the_way_from_the_sources_to_the_monitor() -> None:
    world = watched()
    found = lineage(world.source.desired, world.ports, OBSERVERS)
    kinds = [node.sort for node in found.nodes]
    assert kinds == [Sort.COMMIT, Sort.SOURCES, Sort.TABLE, Sort.MODEL, Sort.SERVICE, Sort.MONITOR]
    by_sort = {node.sort: node for node in found.nodes}
    linked = {(edge.source, edge.target) for edge in found.edges}
    path = [by_sort[sort].id for sort in (Sort.SOURCES, Sort.TABLE, Sort.MODEL, Sort.SERVICE, Sort.MONITOR)]
    assert set(pairwise(path)) <= linked
    assert (by_sort[Sort.MODEL].id, by_sort[Sort.MONITOR].id) in linked
    assert {(by_sort[Sort.COMMIT].id, end) for end in path[1:]} <= linked
    stable = world.state(ENDPOINT)["stable"]
    assert dict(by_sort[Sort.SERVICE].facts).items() >= {"role": "stable", "weight": 100, "route": "/delay"}.items()
    assert by_sort[Sort.MODEL].key == f"classifier@{stable['version']}"
    assert by_sort[Sort.MODEL].facts["sha256"] == "0" * 64
    assert by_sort[Sort.TABLE].facts["rows"] == 1000


def test_both_versions_of_a_rollout_with_their_shares() -> None:
    world = World()
    world.run()
    world.commit(classifier=BETTER)
    while 10 not in world.weights().values():
        world.pass_()
        world.advance()
    found = lineage(world.source.desired, world.ports, OBSERVERS)
    shares = {node.key: node.facts["weight"] for node in found.nodes if node.sort is Sort.SERVICE}
    assert shares == world.weights()


def test_a_version_out_of_service_is_found_by_its_name() -> None:
    world = with_two_versions()
    old = life(world).services[0].version
    assert old not in [node.key for node in lineage(world.source.desired, world.ports, OBSERVERS).nodes]
    found = lineage_of(old, world.source.desired, world.ports, OBSERVERS)
    assert [node.key for node in found.nodes if node.sort is Sort.MODEL] == [old]
    assert not [node for node in found.nodes if node.sort is Sort.SERVICE]
    assert [node for node in found.nodes if node.sort is Sort.TABLE]


def test_what_came_of_a_view() -> None:
    world = watched()
    found = lineage_of("FeatureView/departures", world.source.desired, world.ports, OBSERVERS)
    assert {node.sort for node in found.nodes} == set(Sort) - {Sort.CODE}


def _in_the_middle_of_a_rollout() -> World:
    world = watched()
    world.commit(classifier=BETTER)
    while 10 not in world.weights().values():
        world.pass_()
        world.advance()
    return world


@pytest.mark.parametrize("make", [watched, with_two_versions, _in_the_middle_of_a_rollout])
@pytest.mark.parametrize("asks", [True, False])
def test_of_one_is_told_what_the_whole_tells_of_it(make: Callable[[], World], asks: bool) -> None:
    world = make()
    desired = world.source.desired if asks else {}
    whole = lineage(desired, world.ports, OBSERVERS)
    for ref in {node.ref for node in whole.nodes if node.ref is not None and node.ref.kind != "TrainingJob"}:
        found = lineage_of(str(ref), desired, world.ports, OBSERVERS)
        assert found == whole.around(lambda node, ref=ref: node.ref == ref)
    for key in {node.key for node in whole.nodes if node.sort is Sort.MODEL}:
        found = lineage_of(key, desired, world.ports, OBSERVERS)
        assert found == whole.around(lambda node, key=key: node.sort is Sort.MODEL and node.key == key)


def test_all_versions_of_a_job() -> None:
    world = with_two_versions()
    found = lineage_of("TrainingJob/classifier", world.source.desired, world.ports, OBSERVERS)
    assert len([node for node in found.nodes if node.sort is Sort.MODEL]) == 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("classifier@nothing", "no version 'nothing'"),
        ("nobody@nothing", "it has those of classifier"),
        ("classifier", "neither KIND/NAME nor TRAINING@VERSION"),
        ("FeatureView/nothing", "nothing came of"),
    ],
)
def test_a_name_that_nobody_knows(name: str, told: str) -> None:
    world = World()
    world.run()
    with pytest.raises(ConfigurationError, match=told):
        lineage_of(name, world.source.desired, world.ports, OBSERVERS)


def test_a_model_that_the_registry_forgot_is_named_all_the_same() -> None:
    world = with_two_versions()
    world.ports.registry.forget("classifier", world.token)
    found = lineage(world.source.desired, world.ports, OBSERVERS)
    model = next(node for node in found.nodes if node.sort is Sort.MODEL)
    assert model.facts == {"registered": False}
    assert "not in the registry" in lineage_text(found)


def test_lineage_is_written_in_three_ways() -> None:
    found = lineage(watched().source.desired, watched().ports, OBSERVERS)
    text, mermaid = lineage_text(found), lineage_mermaid(found)
    document = json.loads(lineage_json("local", found))
    assert text.startswith("ModelMonitor/watch")
    assert "└─" in text
    assert mermaid.startswith("flowchart LR\n")
    assert len([row for row in mermaid.splitlines() if "-->" in row]) == len(document["edges"])
    assert len(document["nodes"]) == len(found.nodes)


def test_the_newest_of_many_events_come_a_page_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are asked for, no more than a page is held."""
    world = with_two_versions()
    monkeypatch.setattr("controllers.commands.history._PAGE", 4)
    asked: list[int] = []
    log, newest = world.ports.state.log, world.ports.state.events

    def counted(after: int = 0, limit: int = 1_000, *, kinds: Collection[str] = ()) -> Sequence[Event]:
        asked.append(limit)
        return log(after, limit, kinds=kinds)

    monkeypatch.setattr(world.ports.state, "log", counted)
    everything = newest(limit=1_000)
    for limit in (3, 4, 5, 9, len(everything), 10_000_000):
        pages = list(newest_events(world.ports.state, None, limit, (), None))
        assert [event for page in pages for event in page] == list(everything[-limit:])
        assert max(map(len, pages)) <= 4
    for ref, reasons, since in (
        (ENDPOINT, (), None),
        (None, ("Serving", "ModelReady"), None),
        (None, (), everything[7].time),
    ):
        pages = list(newest_events(world.ports.state, ref, 10_000_000, reasons, since))
        assert [event for page in pages for event in page] == list(newest(ref, 10_000, reasons=reasons, since=since))
    assert set(asked) == {4}


def test_lineage_names_the_files_of_code_that_count() -> None:
    files = {
        "p/__init__.py": "",
        "p/features.py": "from . import helper\n\ndef rows(flights):\n    return helper.kept(flights)\n",
        "p/helper.py": "def kept(flights):\n    return flights\n",
        "p/serving.py": "def tidy(rows):\n    return rows\n",
    }
    view = PROJECT["mlops_specs/departures.yaml"].replace(
        "  columns:\n", "  transform: {function: p.features:rows}\n  columns:\n", 1
    )
    served = PROJECT["mlops_specs/delay.yaml"].replace(
        "{route: /delay}", "{route: /delay, transformer: p.serving:tidy}"
    )
    world = World({**PROJECT, **files, "mlops_specs/departures.yaml": view, "mlops_specs/delay.yaml": served})
    world.run()
    found = lineage(world.source.desired, world.ports, OBSERVERS)
    assert sorted(tuple(node.facts["files"]) for node in found.nodes if node.sort is Sort.CODE) == [
        ("p/__init__.py", "p/features.py", "p/helper.py"), ("p/__init__.py", "p/serving.py"),
    ]  # fmt: skip
    assert "3 files: __init__.py, features.py, helper.py" in lineage_text(found)
    assert "helper.py" in lineage_mermaid(found)
