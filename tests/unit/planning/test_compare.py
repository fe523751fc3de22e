"""What changes between two commits: verbs, differences, categories, and how cost travels downstream."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from framework.api.categories import Category
from framework.api.meta import Metadata, Ref
from framework.backends.memory import MemorySource
from framework.kinds import KINDS
from framework.kinds.environment.spec import CATEGORIES, EnvironmentSpec
from framework.planning.grammar.changes import Change, Desired, FieldDiff, Verb
from framework.planning.plan.compare import compare, environment_change
from framework.specs.read import read_snapshot
from tests.builders import desired, feature_view_spec
from tests.world import DEPARTURES, ENDPOINT, JOB, PROJECT, TRAINING, VIEW

MONITOR = """
apiVersion: mlops/v1alpha1
kind: ModelMonitor
metadata: {name: watch}
spec: {deployment: delay, window: 5m, quality: {maxNullRate: 0.1}}
"""
WATCH = Ref("ModelMonitor", "watch")
FILES = PROJECT | {"mlops_specs/watch.yaml": MONITOR, "features.py": "def rows():\n    return 1\n"}


def snapshot(**changes: str | None) -> dict[Ref, Desired[Any]]:
    """The project with files replaced or (None) removed, by their stem."""
    files = dict(FILES)
    for stem, text in changes.items():
        path = f"mlops_specs/{stem}.yaml"
        if text is None:
            del files[path]
        else:
            files[path] = text
    return read(files)


def read(files: Mapping[str, str]) -> dict[Ref, Desired[Any]]:
    source = MemorySource()
    commit = source.commit(dict(files))
    return dict(read_snapshot(source, commit, "mlops_specs", "local", KINDS, storage="/store").desired)


BEFORE = snapshot()


def changes(after: Mapping[Ref, Desired[Any]], before: Mapping[Ref, Desired[Any]] = BEFORE) -> dict[Ref, Change]:
    return {change.ref: change for change in compare(before, after, KINDS)}


def words(found: Mapping[Ref, Change]) -> dict[Ref, tuple[str, str]]:
    return {ref: (change.verb.value, change.category.label) for ref, change in found.items()}


def test_nothing_changed() -> None:
    found = changes(snapshot())
    assert set(words(found).values()) == {("NoOp", "NoOp")}
    assert all(change.diffs == () and change.causes == () for change in found.values())


def test_a_first_commit_creates_everything_at_what_it_costs() -> None:
    found = changes(BEFORE, {})
    assert words(found) == {
        VIEW: ("Create", "Materialize"),
        JOB: ("Create", "Retrain"),
        ENDPOINT: ("Create", "Redeploy"),
        WATCH: ("Create", "Reload"),
    }
    assert list(found) == [VIEW, JOB, ENDPOINT, WATCH]
    assert found[VIEW].causes == ()


def test_cost_travels_down_the_chain() -> None:
    found = changes(snapshot(departures=DEPARTURES.replace("Float64", "Float32")))
    assert words(found) == {
        VIEW: ("Update", "Breaking"),
        JOB: ("Update", "Retrain"),
        ENDPOINT: ("Update", "Redeploy"),
        WATCH: ("Update", "Reload"),
    }
    assert [found[ref].causes for ref in found] == [(), (VIEW,), (JOB,), (ENDPOINT,)]
    assert found[VIEW].reason == "retypes column distance from Float64 to Float32, which TrainingJob/classifier uses"
    assert found[JOB].reason == "because FeatureView/departures changes; retrains only if rows differ"
    assert found[JOB].diffs == ()


def test_a_column_that_is_new_costs_the_same_but_breaks_nothing() -> None:
    text = DEPARTURES + "    - {name: origin, dtype: String}\n"
    found = changes(snapshot(departures=text))
    assert words(found)[VIEW] == ("Update", "Materialize")
    assert words(found)[JOB] == ("Update", "Retrain")


def test_own_fields_explain_before_upstreams_do() -> None:
    found = changes(snapshot(classifier=TRAINING.replace("rounds: 50", "rounds: 80")))
    assert words(found)[VIEW] == ("NoOp", "NoOp")
    assert found[JOB].diffs == (FieldDiff("trainer.lightgbm.rounds", 50, 80, Category.RETRAIN),)
    assert found[JOB].reason == "changed in git"
    assert found[JOB].causes == ()


def test_both_reasons_are_told_where_both_hold() -> None:
    text = TRAINING.replace("min: 0.6", "min: 0.7")
    found = changes(snapshot(departures=DEPARTURES + "    - {name: x, dtype: String}\n", classifier=text))
    assert words(found)[JOB] == ("Update", "Retrain")
    assert found[JOB].diffs[0].category is Category.METADATA
    told = "changed in git, and because FeatureView/departures changes; retrains only if rows differ"
    assert found[JOB].reason == told


def test_a_gate_costs_nothing_downstream() -> None:
    found = changes(snapshot(classifier=TRAINING.replace("min: 0.6", "min: 0.7")))
    assert words(found)[JOB] == ("Update", "Metadata")
    assert words(found)[ENDPOINT] == ("NoOp", "NoOp")


def test_a_description_is_metadata_although_it_stands_in_a_column() -> None:
    text = DEPARTURES.replace("dtype: Float64}", "dtype: Float64, description: in miles}")
    found = changes(snapshot(departures=text))
    assert words(found)[VIEW] == ("Update", "Metadata")
    assert [item.category for item in found[VIEW].diffs] == [Category.METADATA]
    assert words(found)[JOB] == ("NoOp", "NoOp")


def test_labels_are_shown_as_differences() -> None:
    found = changes(snapshot(departures=DEPARTURES.replace("{name: departures}", "{name: departures, owner: us}")))
    assert found[VIEW].diffs == (FieldDiff("metadata.owner", None, "us", Category.METADATA),)
    assert words(found)[VIEW] == ("Update", "Metadata")


def test_user_code_is_a_difference_of_its_own() -> None:
    text = DEPARTURES + "  transform: {function: 'shop.features:rows'}\n"
    files = dict(FILES) | {"mlops_specs/departures.yaml": text, "shop/__init__.py": ""}
    one = read(files | {"shop/features.py": "def rows(flights):\n    return flights\n"})
    two = read(files | {"shop/features.py": "def rows(flights):\n    return flights.head()\n"})
    found = changes(two, one)
    (item,) = found[VIEW].diffs
    assert (item.path, item.category) == ("code", Category.MATERIALIZE)
    assert str(item.before).startswith("shop ")
    assert item.before != item.after
    assert words(found)[ENDPOINT] == ("Update", "Redeploy")


def test_removals_come_last_in_reverse_order() -> None:
    found = changes(snapshot(delay=None, watch=None))
    assert list(found) == [VIEW, JOB, WATCH, ENDPOINT]
    assert words(found)[ENDPOINT] == ("Delete", "Metadata")
    assert found[WATCH].status is None


def test_a_changed_environment_is_told() -> None:
    before, after = EnvironmentSpec(), EnvironmentSpec(suspend=True)
    change = environment_change("local", before, after, CATEGORIES)
    assert change is not None
    assert (change.ref, change.verb) == (Ref("Environment", "local"), Verb.UPDATE)
    assert change.diffs == (FieldDiff("suspend", None, True, Category.METADATA),)
    assert environment_change("local", before, EnvironmentSpec(), CATEGORIES) is None
    assert environment_change("local", None, after, CATEGORIES) is None


class Unread:
    """A spec that must not be looked at."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was read")


def test_ten_thousand_resources_of_which_one_changed_are_compared_at_once() -> None:
    spec = feature_view_spec()
    before = {
        (ref := Ref("FeatureView", f"view-{number}")): desired(ref, Unread(), digest=f"{number:010}")
        for number in range(10_000)
    }
    changed = Ref("FeatureView", "view-77")
    before[changed] = replace(before[changed], spec=spec)
    after = before | {changed: replace(before[changed], digest="f" * 10, metadata=Metadata(name="view-77", owner="u"))}
    started = time.perf_counter()
    found = compare(before, after, KINDS)
    seconds = time.perf_counter() - started
    assert [change.ref for change in found if change.verb is not Verb.NOOP] == [changed]
    assert seconds < 1.0
