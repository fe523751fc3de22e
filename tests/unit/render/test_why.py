"""The chain of reasons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from framework.api.meta import Ref
from framework.planning.grammar.changes import Desired
from framework.planning.reports.health import Sync
from framework.planning.reports.overview import rows
from framework.planning.reports.why import Explanation, why
from framework.ports import Record
from framework.render.why import why_json, why_text
from tests.unit.render.samples import (
    DEPARTURES,
    DEPLOYMENT,
    DESIRED,
    MONITOR,
    NOW,
    RECORDS,
    TRACEBACK,
    WEATHER,
    desired,
    record,
    status,
)

IDENTITY = "aaaaaaaaaa"


def ref(name: str) -> Ref:
    return Ref("FeatureView", name)


def world(upstreams: Mapping[str, str], working: str = "") -> tuple[dict[Ref, Desired[Any]], list[Record]]:
    """Resources by name with the names of their upstreams; all Reconciling except those not in ``working``."""
    asked = {ref(name): desired(ref(name), IDENTITY, *map(ref, above)) for name, above in upstreams.items()}
    records = [
        record(ref(name), status(IDENTITY, "Works", f"{name} works", reconciling=name in working)) for name in upstreams
    ]
    return asked, records


def names(reason: Explanation) -> dict[str, Any]:
    return {cause.ref.name: names(cause) for cause in reason.causes}


def explain(name: str, upstreams: Mapping[str, str], working: str) -> Explanation:
    return why(ref(name), rows(*world(upstreams, working), NOW))


def test_the_chain_ends_at_the_first_cause() -> None:
    reason = why(MONITOR, rows(DESIRED, RECORDS, NOW))
    chain = [reason]
    while chain[-1].causes:
        assert len(chain[-1].causes) == 1
        chain.append(chain[-1].causes[0])
    assert [(item.ref, item.health.sync) for item in chain][-1] == (WEATHER, Sync.STALLED)
    assert len(chain) == 4


def test_upstreams_that_are_synced_are_not_causes() -> None:
    assert DEPARTURES not in [cause.ref for cause in why(MONITOR, rows(DESIRED, RECORDS, NOW)).causes]
    assert names(explain("c", {"a": "", "b": "", "c": "ab"}, "ac")) == {"a": {}}


def test_what_is_synced_is_blocked_by_nothing_even_if_an_upstream_works() -> None:
    reason = explain("b", {"a": "", "b": "a"}, "a")
    assert (reason.health.sync, reason.causes) == (Sync.SYNCED, ())
    assert why_text(reason) == "Nothing blocks FeatureView/b: it is Synced for 5m.\n   b works\n"


def test_an_upstream_below_another_is_shown_below_it_only() -> None:
    assert names(explain("c", {"a": "", "b": "a", "c": "ab"}, "abc")) == {"b": {"a": {}}}


def test_a_diamond_is_explained_once() -> None:
    reason = explain("d", {"a": "", "b": "a", "c": "a", "d": "bc"}, "abcd")
    assert names(reason) == {"b": {"a": {}}, "c": {"a": {}}}
    assert [cause.causes[0].repeated for cause in reason.causes] == [False, True]
    assert why_text(reason).count("a works") == 1
    assert "explained above" in why_text(reason)


def test_a_long_ladder_of_diamonds_stays_small() -> None:
    asked: dict[Ref, Desired[Any]] = {ref("x0"): desired(ref("x0"), IDENTITY)}
    for step in range(1, 40):
        for side in ("l", "r"):
            asked[ref(f"{side}{step}")] = desired(ref(f"{side}{step}"), IDENTITY, ref(f"x{step - 1}"))
        asked[ref(f"x{step}")] = desired(ref(f"x{step}"), IDENTITY, ref(f"l{step}"), ref(f"r{step}"))
    records = [record(item, status(IDENTITY, "Works", reconciling=True)) for item in asked]
    assert why_json(why(ref("x39"), rows(asked, records, NOW))).count('"ref"') < 2 * len(asked)


def test_records_that_point_at_each_other_do_not_hang() -> None:
    records = [
        record(ref("a"), status(IDENTITY, "Works", reconciling=True), ref("b")),
        record(ref("b"), status(IDENTITY, "Works", reconciling=True), ref("a")),
    ]
    assert why(ref("a"), rows({}, records, NOW)).ref == ref("a")


def test_an_upstream_that_nobody_knows_is_named() -> None:
    reason = explain("b", {"b": "z"}, "b")
    assert [(cause.ref.name, cause.health.reason) for cause in reason.causes] == [("z", "Missing")]


def test_an_unknown_resource_is_an_error() -> None:
    with pytest.raises(LookupError, match="FeatureView/nobody"):
        why(ref("nobody"), rows(DESIRED, RECORDS, NOW))


def test_a_traceback_is_one_line_of_the_tree() -> None:
    stuck = record(DEPLOYMENT, status("5e6f7a8b9c", "CandidateRejected", TRACEBACK, stalled=True))
    text = why_text(why(DEPLOYMENT, rows({DEPLOYMENT: desired(DEPLOYMENT, "5e6f7a8b9c")}, [stuck], NOW)), width=200)
    assert "3 times in a row … KeyError: 'plane_year'" in text
    assert "serving.py" not in text
