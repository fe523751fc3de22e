from __future__ import annotations

from framework.drift.quality import QualityFinding, judge_quality
from framework.ports import ColumnSummary, Reference
from tests.unit.drift.columns import categorical, numeric, reference

TRAINED = reference(numeric([100] * 5), categorical(AA=60, UA=40))


def judge(
    *columns: ColumnSummary,
    nulls: float | None = 0.05,
    unseen: float | None = 0.02,
    trained: Reference | None = TRAINED,
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
