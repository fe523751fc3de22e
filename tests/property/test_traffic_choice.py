"""Shares follow weights, and sticky users move one way only."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.workloads.serving.routing import bucket, choose
from tests.unit.serving.tables import table

WEIGHTS = st.integers(0, 100)
USERS = st.text(min_size=1, max_size=20)


def split(weight, **changes):
    return table(weights={"stable": 100 - weight, "candidate": weight}, **changes)


@given(weight=WEIGHTS)
def test_evenly_spread_draws_give_the_declared_shares(weight):
    chosen = Counter(choose(split(weight), {}, (step + 0.5) / 1000) for step in range(1000))
    assert chosen["candidate"] == weight * 10


@given(
    weights=st.dictionaries(st.sampled_from("abcde"), st.integers(0, 1000), min_size=1).filter(
        lambda weights: sum(weights.values()) > 0
    ),
    draw=st.floats(0, 1, exclude_max=True),
    data=st.data(),
)
def test_an_app_of_weight_zero_is_never_drawn(weights, draw, data):
    stable = data.draw(st.sampled_from(sorted(weights)))
    assert weights[choose(table(weights=weights, stable=stable), {}, draw)] > 0


@pytest.mark.parametrize("weight", [1, 10, 50, 90])
def test_sticky_shares_are_within_sampling_error(weight):
    users, share = 20_000, weight / 100
    sticky = split(weight, sticky_header="x-user")
    hits = sum(choose(sticky, {"x-user": f"user-{user}"}, 0.0) == "candidate" for user in range(users))
    assert abs(hits / users - share) < 4 * math.sqrt(share * (1 - share) / users)


@given(user=USERS, lower=WEIGHTS, higher=WEIGHTS)
def test_a_sticky_user_only_moves_towards_the_candidate_while_weights_rise(user, lower, higher):
    lower, higher = sorted((lower, higher))
    before, after = (choose(split(weight, sticky_header="x-user"), {"x-user": user}, 0.5) for weight in (lower, higher))
    assert (before, after) != ("candidate", "stable")


@given(user=USERS, weight=WEIGHTS, draws=st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)))
def test_a_sticky_user_does_not_depend_on_the_draw(user, weight, draws):
    sticky = split(weight, sticky_header="x-user")
    assert len({choose(sticky, {"x-user": user}, draw) for draw in draws}) == 1


def test_another_candidate_is_tried_by_other_users():
    users = [f"user-{number}" for number in range(2000)]
    first, second = ({user for user in users if bucket(user, salt) < 0.1} for salt in ("candidate-1", "candidate-2"))
    assert len(first & second) < 0.3 * len(first)


def test_the_bucket_is_the_same_on_every_machine():
    assert bucket("user-1", salt="candidate") == 0.23523521371340028
