"""Removing or retyping a column that somebody uses, and saying that it is meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from framework.api.meta import Metadata, Ref
from framework.kinds import KINDS
from framework.planning.grammar.changes import Desired
from framework.planning.plan.breaking import ACKNOWLEDGE, Break, acknowledged, breaking, unacknowledged
from tests.builders import desired, feature_view_spec, training_spec

VIEW, WIDE = Ref("FeatureView", "departures"), Ref("FeatureView", "wide")
JOB = Ref("TrainingJob", "delay-classifier")
COLUMNS = {"carrier": "String", "hour": "Datetime", "mean_delay": "Float64", "delayed": "Boolean", "note": "String"}

Snapshot = dict[Ref, Desired[Any]]


def view(columns: Mapping[str, str], digest: str = "d000000000") -> Desired[Any]:
    spec = feature_view_spec(columns=[{"name": name, "dtype": dtype} for name, dtype in columns.items()])
    return desired(VIEW, spec, digest=digest, identity=digest)


def job(*columns: str) -> Desired[Any]:
    dataset = {
        "spine": "departures",
        "columns": list(columns),
        "label": "delayed",
        "window": {"from": "2013-01-01", "to": "2013-04-01"},
        "split": {"fractions": {"train": 0.7, "validation": 0.15, "test": 0.15}},
    }
    return desired(JOB, training_spec(dataset=dataset), upstream={VIEW: "d000000000"})


def reader() -> Desired[Any]:
    """A view over the view: its transform may use anything."""
    spec = feature_view_spec(sources={"departures": {"featureView": "departures"}})
    return desired(WIDE, spec, upstream={VIEW: "d000000000"})


def snapshot(*resources: Desired[Any]) -> Snapshot:
    return {item.ref: item for item in resources}


def without(*names: str, **more: str) -> Desired[Any]:
    kept = {name: dtype for name, dtype in COLUMNS.items() if name not in names}
    return view(kept | more, "d111111111")


BEFORE = snapshot(view(COLUMNS), job("mean_delay"))


def found(after: Snapshot, before: Snapshot = BEFORE) -> tuple[Break, ...]:
    return breaking(before, after, KINDS)


def test_a_column_that_is_used_and_goes() -> None:
    (item,) = found(snapshot(without("mean_delay"), job()))
    assert (item.ref, item.columns, item.consumers) == (VIEW, {"mean_delay": ("Float64", None)}, (JOB,))
    assert item.sentence == "removes column mean_delay (Float64), which TrainingJob/delay-classifier uses"


def test_a_column_that_changes_its_type() -> None:
    (item,) = found(snapshot(without(mean_delay="Int64"), job("mean_delay")))
    assert item.columns == {"mean_delay": ("Float64", "Int64")}
    assert item.sentence == ("retypes column mean_delay from Float64 to Int64, which TrainingJob/delay-classifier uses")


def test_a_column_that_nobody_uses_may_go() -> None:
    assert found(snapshot(without("note"), job("mean_delay"))) == ()


def test_a_reader_of_everything_uses_everything() -> None:
    before = snapshot(view(COLUMNS), reader(), job("mean_delay"))
    (item,) = found(snapshot(without("note"), reader(), job("mean_delay")), before)
    assert (item.columns, item.consumers) == ({"note": ("String", None)}, (WIDE,))


def test_entities_and_event_time_are_used_by_whoever_joins() -> None:
    (item,) = found(snapshot(without(hour="Date"), job("mean_delay")))
    assert (item.columns, item.consumers) == ({"hour": ("Datetime", "Date")}, (JOB,))


def test_a_new_column_and_a_consumer_that_is_new_break_nothing() -> None:
    assert found(snapshot(without(extra="Int64"), job("mean_delay"))) == ()
    assert found(snapshot(without("mean_delay"), job()), snapshot(view(COLUMNS))) == ()


def test_a_view_that_is_new_or_removed_whole_breaks_nothing() -> None:
    assert found(snapshot(), BEFORE) == ()
    assert found(BEFORE, snapshot()) == ()


def test_going_back_breaks_nothing() -> None:
    after = snapshot(without("mean_delay"), job())
    assert found(BEFORE, after) == ()


def test_the_acknowledgement_names_the_very_change() -> None:
    after = snapshot(without("mean_delay"), job())
    (item,) = found(after)
    (refusal,) = unacknowledged(BEFORE, after, KINDS)
    assert (refusal.ref, refusal.reason) == (VIEW, "BreakingNotAcknowledged")
    assert f'{ACKNOWLEDGE}: "{item.token}"' in refusal.message
    assert "mlops_specs/departures.yaml" in refusal.message

    assert acknowledged(item, annotated(after, item.token))
    assert unacknowledged(BEFORE, annotated(after, item.token), KINDS) == ()


def test_an_old_acknowledgement_covers_nothing_new() -> None:
    first = snapshot(without("mean_delay"), job())
    (old,) = found(first)
    both = annotated(snapshot(without("mean_delay", delayed="Int8"), job()), old.token)
    (refusal,) = unacknowledged(BEFORE, both, KINDS)
    assert f"{old.token!r}, which stands there, is for another change" in refusal.message
    (new,) = found(both)
    assert new.token != old.token


def annotated(snapshot: Snapshot, token: str) -> Snapshot:
    item = snapshot[VIEW]
    return snapshot | {VIEW: replace(item, metadata=Metadata(name=item.ref.name, annotations={ACKNOWLEDGE: token}))}
