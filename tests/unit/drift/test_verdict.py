from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from framework.drift.verdict import DriftFinding, DriftRules, DriftVerdict, judge_window
from framework.ports import ColumnSummary
from framework.probability import binomial_quantile
from tests.unit.drift.columns import categorical, numeric, reference


def rules(**more: Any) -> DriftRules:
    return DriftRules(**{"threshold": 0.2, "false_alarm_rate": 0.01, "min_rows": 100, **more})


STEADY = reference(numeric([2_000] * 5), categorical(AA=6_000, UA=4_000))


def window(*columns: ColumnSummary) -> dict[str, ColumnSummary]:
    return {column.name: column for column in columns}


def test_the_same_distribution_is_no_drift() -> None:
    found = judge_window(rules(), STEADY, window(numeric([200] * 5), categorical(AA=600, UA=400)))
    assert (found.finding, found.drifted, found.rows) == (DriftFinding.NO_DRIFT, (), 1_000)


def test_a_moved_column_is_drift_and_comes_first_with_its_numbers() -> None:
    found = judge_window(rules(), STEADY, window(numeric([600, 100, 100, 100, 100]), categorical(AA=600, UA=400)))
    assert found.finding is DriftFinding.DRIFT
    assert [column.column for column in found.columns] == ["temp", "carrier"]
    first = found.columns[0]
    assert first.value is not None
    assert first.limit is not None
    assert first.value > first.limit >= first.threshold == 0.2
    assert (first.rows, first.reference_rows) == (1_000, 10_000)
    assert first.message == f"psi {first.value:.3g} beyond {first.limit:.3g}"


def test_columns_of_the_reference_are_judged_unless_the_spec_names_some() -> None:
    found = judge_window(
        rules(columns=("carrier",)), STEADY, window(numeric([1_000, 0, 0, 0, 0]), categorical(AA=1_000))
    )
    assert [column.column for column in found.columns] == ["carrier"]


def test_the_false_alarm_rate_is_split_over_the_columns() -> None:
    assert judge_window(rules(), STEADY, {}).alpha == pytest.approx(0.005)


def test_too_few_rows_say_nothing() -> None:
    found = judge_window(rules(), STEADY, window(numeric([99, 0, 0, 0, 0])))
    assert found.finding is DriftFinding.INCONCLUSIVE
    assert {column.column: column.message for column in found.columns} == {
        "temp": "99 rows; needs 100",
        "carrier": "not in the window",
    }


def test_a_column_may_have_its_own_statistic() -> None:
    found = judge_window(
        rules(statistics={"temp": "ks", "carrier": "ks"}), STEADY, window(numeric([200] * 5), categorical(AA=900))
    )
    by_name = {column.column: column for column in found.columns}
    assert (by_name["temp"].statistic, by_name["temp"].finding) == ("ks", DriftFinding.NO_DRIFT)
    assert by_name["carrier"].finding is DriftFinding.INCONCLUSIVE
    assert "no order" in by_name["carrier"].message


def test_a_column_that_always_moves_is_held_to_its_own_movement() -> None:
    """Temperature in a quarter: each week far from the rest. The same shift in a calm column is drift."""
    chance = np.random.default_rng(3)
    weeks = [chance.dirichlet([6.0] * 5) * 1_000 for _ in range(10)]
    restless = reference(numeric(np.sum(weeks, axis=0)), periods=[[numeric(week)] for week in weeks])
    calm = reference(numeric(np.sum(weeks, axis=0)), periods=[[numeric(np.sum(weeks, axis=0) / 10)] for _ in weeks])
    now = window(numeric(chance.dirichlet([6.0] * 5) * 1_000))
    strict = rules(threshold=0.01)
    assert judge_window(strict, restless, now).finding is DriftFinding.NO_DRIFT
    assert judge_window(strict, calm, now).finding is DriftFinding.DRIFT


def test_a_column_that_no_window_could_take_beyond_its_limit_is_not_judged() -> None:
    weeks = [[9_000.0, 1, 1, 1, 1], [2_000.0] * 5, [1, 9_000.0, 1, 1, 1], [2_000.0] * 5, [1, 1, 9_000.0, 1, 1]]
    total = [sum(column) for column in zip(*weeks, strict=True)]
    found = judge_window(
        rules(),
        reference(numeric(total), periods=[[numeric(week)] for week in weeks]),
        window(numeric([1_000, 0, 0, 0, 0])),
    )
    assert found.columns[0].finding is DriftFinding.INCONCLUSIVE
    assert found.columns[0].message.startswith("moves so much by itself that no psi would exceed")


def test_false_alarms_stay_at_the_declared_rate_over_many_columns_and_windows() -> None:
    chance, columns, windows, rate = np.random.default_rng(11), 8, 250, 0.1

    def week(size: int) -> np.ndarray[Any, Any]:
        return chance.multinomial(size, chance.dirichlet([400.0] * 10)).astype(float)

    names = [f"c{index}" for index in range(columns)]
    alarms = 0
    for _ in range(windows):
        weeks = {name: [week(2_000) for _ in range(8)] for name in names}
        learned = reference(
            *(numeric(np.sum(weeks[name], axis=0), name=name) for name in names),
            periods=[[numeric(weeks[name][index], name=name) for name in names] for index in range(8)],
        )
        now = window(*(numeric(week(500), name=name) for name in names))
        found = judge_window(rules(threshold=1e-6, false_alarm_rate=rate), learned, now)
        alarms += found.finding is DriftFinding.DRIFT
    assert alarms <= binomial_quantile(windows, rate, 0.99)


def test_a_verdict_survives_being_stored() -> None:
    found = judge_window(rules(), STEADY, window(numeric([200] * 5)))
    assert DriftVerdict.model_validate_json(found.model_dump_json()) == found


def test_a_limit_above_the_threshold_says_what_it_is_made_of() -> None:
    weeks = [[400.0, 400, 400, 400, 400], [200.0, 300, 400, 500, 600], [600.0, 500, 400, 300, 200]]
    total = [sum(column) for column in zip(*weeks, strict=True)]
    restless = reference(numeric(total), periods=[[numeric(week)] for week in weeks])
    found = judge_window(rules(threshold=0.05), restless, window(numeric([300, 250, 200, 150, 100]))).columns[0]
    assert found.finding is DriftFinding.NO_DRIFT
    assert found.natural is not None
    assert found.noise is not None
    assert found.message.endswith(
        f"(it moves {found.natural:.3g} by itself and {found.noise:.3g} by sampling; the threshold is 0.05)"
    )
    alone = judge_window(rules(threshold=1e-6), reference(numeric(total)), window(numeric([200] * 5))).columns[0]
    assert alone.natural is None
    assert f"(it moves {alone.noise:.3g} by sampling; the threshold is 1e-06)" in alone.message


def test_a_shift_by_a_standard_deviation_is_drift_where_training_has_one_period() -> None:
    chance = np.random.default_rng(4)
    edges = np.quantile(chance.normal(size=6_000), np.arange(1, 10) / 10)

    def column(rows: int, shift: float) -> ColumnSummary:
        places = np.searchsorted(edges, chance.normal(shift, 1.0, rows))
        return numeric(np.bincount(places, minlength=10).astype(float), name="torque")

    trained = column(6_000, 0.0)
    known = reference(trained, periods=[[trained]])
    for _ in range(20):
        moved = judge_window(rules(), known, window(column(300, 1.0))).columns[0]
        assert (moved.finding, moved.limit, moved.natural) == (DriftFinding.DRIFT, 0.2, None)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (numeric([200] * 5, nulls=1_000), "0.0% missing in training, 50.0% now"),
        (numeric([0, 0, 0, 0, 900], name="steady"), "100.0% where training has nothing"),
        (categorical(AA=300, UA=200, NEW=500), "50.0% where training has nothing"),
    ],
)
def test_what_is_plain_to_see_is_said_with_the_drift(column: ColumnSummary, words: str) -> None:
    known = reference(numeric([2_000] * 5), numeric([0, 0, 900, 0, 0], name="steady"), categorical(AA=600, UA=400))
    found = judge_window(rules(), known, window(column)).columns[0]
    assert found.finding is DriftFinding.DRIFT
    assert found.message.endswith(words)
