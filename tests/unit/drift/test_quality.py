from __future__ import annotations

from typing import Any

from framework.drift.quality import QualityFinding, judge_quality, not_judged
from framework.ports import ColumnSummary, ReferenceProfile
from tests.unit.drift.columns import categorical, numeric, reference

TRAINED = reference(numeric([100] * 5), categorical(AA=60, UA=40))


def judge(
    *columns: ColumnSummary,
    nulls: float | None = 0.05,
    unseen: float | None = 0.02,
    trained: ReferenceProfile | None = TRAINED,
) -> tuple[QualityFinding, ...]:
    window = {column.name: column for column in columns}
    return judge_quality(trained, window, max_null_rate=nulls, unseen_categories=unseen, min_rows=100)


def test_within_the_bounds_there_is_no_finding() -> None:
    assert judge(numeric([200] * 5, nulls=40), categorical(AA=990, NEW=10)) == ()


def test_missing_values_beyond_the_bound() -> None:
    (found,) = judge(numeric([100] * 5, nulls=100))
    assert (found.check, found.count, found.rows, found.bound) == ("null rate", 100, 600, 0.05)
    assert 0.05 < found.low < found.value == 100 / 600
    assert found.message == "null rate of temp 16.7% of 600 rows; at most 5.0% allowed"


def test_categories_that_training_never_saw() -> None:
    (found,) = judge(categorical(AA=800, NEW=150, ODD=50))
    assert (found.check, found.count) == ("unseen categories", 200)


def test_chance_is_no_finding() -> None:
    assert judge(numeric([19] * 5, nulls=8)) == (), "7.8 % of 103 rows, and 5 % allowed"


def test_short_windows_are_not_judged() -> None:
    assert judge(numeric([0] * 5, nulls=99)) == ()


def test_worst_comes_first() -> None:
    found = judge(numeric([100] * 5, nulls=100), numeric([10] * 5, nulls=500, name="humid"))
    assert [item.column for item in found] == ["humid", "temp"]


def test_what_the_spec_does_not_ask_for_is_not_judged() -> None:
    assert judge(numeric([0] * 5, nulls=500), categorical(NEW=500), nulls=None, unseen=None) == ()


def test_without_a_reference_only_missing_values_can_be_judged() -> None:
    found = judge(numeric([0] * 5, nulls=500), categorical(NEW=500), trained=None)
    assert [item.check for item in found] == ["null rate"]


def test_what_was_always_missing_in_training_has_no_category_that_was_seen() -> None:
    never = reference(ColumnSummary("carrier", 1_000, 1_000))
    (found,) = judge(categorical(AA=900, nulls=100), trained=never, nulls=None)
    assert (found.check, found.count, found.rows) == ("unseen categories", 900, 900)
    assert judge(numeric([200] * 5), trained=reference(ColumnSummary("temp", 1_000, 1_000)), nulls=None) == ()


def test_where_not_all_categories_are_named_nothing_is_said_that_is_not_certain() -> None:
    few = reference(ColumnSummary("carrier", 1_000, 0, categories={"AA": 600.0}))
    assert judge(categorical(NEW=1_000), trained=few) == ()
    bounds: dict[str, Any] = {"unseen_categories": 0.02, "min_rows": 100}
    window = {"carrier": categorical(NEW=1_000)}
    assert not_judged(few, window, **bounds) == ("carrier: which categories training had is not known",)
    assert not_judged(few, window, trained={"carrier": ["AA"]}, **bounds) == ()
    (found,) = judge_quality(few, window, max_null_rate=None, trained={"carrier": ["AA"]}, **bounds)
    assert found.count == 1_000


def test_a_share_that_the_unnamed_cannot_lift_above_the_bound_is_judged() -> None:
    window = {"carrier": ColumnSummary("carrier", 1_000, 0, categories={"AA": 985.0})}
    bounds: dict[str, Any] = {"min_rows": 100, "trained": {"carrier": ["AA"]}}
    assert not_judged(None, window, unseen_categories=0.02, **bounds) == ()
    assert len(not_judged(None, window, unseen_categories=0.01, **bounds)) == 1
