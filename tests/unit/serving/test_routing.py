"""The traffic table and its choice."""

from __future__ import annotations

import pytest

from framework.workloads.serving.routing import TrafficTable, call_budget, choose
from tests.unit.serving.tables import table, user_config


def test_a_missing_field_is_named():
    config = user_config()
    del config["max_queued"]
    with pytest.raises(ValueError, match="max_queued"):
        TrafficTable.parse(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stable": "gone"}, "stable 'gone'"),
        ({"weights": {"stable": 0, "candidate": 0}}, "all be zero"),
        ({"weights": {"stable": 110, "candidate": -10}}, "negative"),
    ],
)
def test_a_table_that_cannot_work_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        table(**changes)


def test_keys_of_a_newer_version_are_ignored():
    assert table(shadow={"app": "other"}) == table()


def test_draws_below_the_candidates_weight_are_its_own():
    assert [choose(table(), {}, draw) for draw in (0.0, 0.0999, 0.1, 0.9999)] == ["candidate"] * 2 + ["stable"] * 2


def test_stable_at_zero_gets_nothing_while_the_candidate_has_everything():
    promoted = table(weights={"stable": 0, "candidate": 100})
    assert {choose(promoted, {}, step / 100) for step in range(100)} == {"candidate"}


def test_a_request_with_the_match_header_goes_to_the_candidate_at_weight_zero():
    preview = table(weights={"stable": 100, "candidate": 0}, match_header=["X-Preview", "yes"])
    assert choose(preview, {"x-preview": "yes"}, 0.99) == "candidate"
    assert choose(preview, {"x-preview": "no"}, 0.0) == "stable"


def test_without_a_candidate_the_match_header_means_stable():
    alone = table(weights={"stable": 100}, match_header=["x-preview", "yes"])
    assert choose(alone, {"x-preview": "yes"}, 0.0) == "stable"


def test_a_request_without_the_sticky_header_is_drawn():
    sticky = table(sticky_header="X-User")
    assert choose(sticky, {}, 0.05) == "candidate"
    assert choose(sticky, {"x-user": ""}, 0.95) == "stable"


def test_a_shielded_candidate_leaves_half_of_the_time_to_stable():
    assert call_budget(table(), "candidate", 2.0) == 1.0
    assert call_budget(table(), "stable", 2.0) == 2.0
    assert call_budget(table(shield=False), "candidate", 2.0) == 2.0


def test_the_table_that_callers_see():
    assert table().public() == {
        "deployment": "delay",
        "generation": 1,
        "stable": "stable",
        "weights": {"stable": 90, "candidate": 10},
    }
