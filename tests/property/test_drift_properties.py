"""Whatever two profiles say of a column, there is a verdict with numbers that are numbers."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from framework.drift.summaries import total
from framework.drift.verdict import DriftFinding, DriftRules, judge_window
from framework.ports import ColumnSummary, ReferenceProfile

COUNT = st.one_of(st.just(0), st.integers(0, 5), st.integers(0, 100_000))
STATISTIC = st.sampled_from(["psi", "js", "hellinger", "ks"])


@st.composite
def numbers(draw: st.DrawFn) -> ColumnSummary:
    counts, nulls = draw(st.lists(COUNT, min_size=4, max_size=4)), draw(COUNT)
    edges = (-math.inf, 0.0, 1.0, 2.0, math.inf)
    return ColumnSummary("x", sum(counts) + nulls, nulls, edges, tuple(map(float, counts)))


@st.composite
def categories(draw: st.DrawFn) -> ColumnSummary:
    named = draw(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 100_000)))
    nulls, unnamed = draw(COUNT), draw(st.one_of(st.just(0), COUNT))
    counted = {name: float(count) for name, count in named.items()}
    return ColumnSummary("x", sum(named.values()) + nulls + unnamed, nulls, categories=counted)


@st.composite
def missing(draw: st.DrawFn) -> ColumnSummary:
    rows = draw(COUNT)
    return ColumnSummary("x", rows, rows)


@given(st.lists(st.one_of(numbers(), categories(), missing()), min_size=1, max_size=7), STATISTIC)
@settings(max_examples=400, deadline=None)
def test_any_two_profiles_are_judged(columns: list[ColumnSummary], statistic: str) -> None:
    kinds = {bool(column.edges) for column in columns[1:]}
    periods = columns[1:] if len(kinds) == 1 else columns[1:2]
    whole = total(periods) if periods else columns[0]
    known = ReferenceProfile({"x": whole}, tuple({"x": period} for period in periods))
    (found,) = judge_window(DriftRules(0.2, 0.01, 1, statistic), known, {"x": columns[0]}).columns
    for number in (found.value, found.limit, found.noise, found.natural):
        assert number is None or (math.isfinite(number) and number >= 0.0)
    assert found.message
    if found.finding is not DriftFinding.INCONCLUSIVE:
        assert found.value is not None
        assert found.limit is not None
        assert (found.finding is DriftFinding.DRIFT) is (found.value > found.limit)


@given(st.one_of(numbers(), categories(), missing()), STATISTIC)
@settings(max_examples=200, deadline=None)
def test_a_window_like_its_reference_has_not_drifted(column: ColumnSummary, statistic: str) -> None:
    found = judge_window(
        DriftRules(0.2, 0.01, 1, statistic), ReferenceProfile({"x": column}, ()), {"x": column}
    ).columns[0]
    assert found.finding is not DriftFinding.DRIFT
    assert found.value is None or found.value < 1e-6
