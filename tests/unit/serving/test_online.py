"""Requests that carry keys: what is looked up for them, and whose mistake it is when it cannot be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from framework.answers import ModelOutput
from framework.api.errors import TransientError
from framework.backends.memory.online import HERE, MemoryOnline
from framework.online.store import FoundRows
from framework.ports import OnlineLookup, OnlineRequest, OnlineTarget, OnlineView, ReadView
from framework.workloads.features import delta
from framework.workloads.online import sync
from framework.workloads.online.lookup import NotOnlineError
from framework.workloads.serving import model as model_module
from framework.workloads.serving.model import ModelReplica
from framework.workloads.serving.online import Enriched, OnlineInputs
from framework.workloads.serving.scoring import BadRequestError, Preparation, answer

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
SIGNATURE = {
    "inputs": [
        {"name": "mean_delay", "dtype": "Float64", "nullable": True},
        {"name": "month", "dtype": "Int8", "nullable": False},
        {"name": "temp", "dtype": "Float32", "nullable": True},
        {"name": "carrier", "dtype": "String", "nullable": False, "categories": ["AA", "UA"]},
    ],
    "output": {"name": "delayed", "kind": "probability"},
}
DELAYS = OnlineView("delays", (("carrier", "String"),), (("mean_delay", "Float64"),), maxAge=7200.0)
WEATHER = OnlineView("weather", (("origin", "String"), ("gate", "Int32")), (("temp", "Float32"),))


class Counted(MemoryOnline):
    """A store that counts how often it is asked, and may be down."""

    asked = 0
    down = False

    def read(self, keys: Mapping[str, Sequence[bytes]]) -> Mapping[str, FoundRows | None]:
        self.asked += 1
        if self.down:
            raise TransientError("the online store redis://secret-host:6379/0 cannot be used: refused")
        return super().read(keys)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Callable[[MemoryOnline], None]:
    """Brings both views online."""
    folder = tmp_path_factory.mktemp("tables")
    hours = pl.Series([NOW - timedelta(hours=age) for age in (1, 3, 1)], dtype=pl.Datetime("us", "UTC"))
    delays = pl.DataFrame({"carrier": ["AA", "AA", "UA"], "hour": hours, "mean_delay": [5.0, 9.0, None]})
    weather = pl.DataFrame({"origin": ["JFK"], "gate": [3], "hour": hours[:1], "temp": [0.1]}).cast(
        {"gate": pl.Int32, "temp": pl.Float32}
    )
    views = {
        "delays": (delays, DELAYS, ("mean_delay", "Float64")),
        "weather": (weather, WEATHER, ("temp", "Float32")),
    }
    requests = []
    for name, (frame, view, column) in views.items():
        columns = (*view.entities, ("hour", "Datetime"), column)
        version = delta.publish(str(folder / name), [frame.select(one for one, _ in columns)], columns, {}).version
        table = ReadView(
            uri=str(folder / name), version=version, entities=tuple(one for one, _ in view.entities),
            timestamp="hour", columns=columns,
        )  # fmt: skip
        requests.append(OnlineRequest(build="b", view=name, table=table, target=OnlineTarget(place=HERE)))

    def bring(store: MemoryOnline) -> None:
        for request in requests:
            assert sync.bring(request, store, NOW, lambda told: None)["left"] == 0

    return bring


@pytest.fixture
def store(tables: Callable[[MemoryOnline], None]) -> Counted:
    store = Counted()
    tables(store)
    store.asked = 0
    return store


def inputs(store: MemoryOnline, *, refuses: bool = False, now: datetime = NOW) -> OnlineInputs:
    asked = OnlineLookup("memory://", "here", (DELAYS, WEATHER), refuses=refuses)
    return OnlineInputs(asked, SIGNATURE, store, lambda: now)


def body(*rows: Mapping[str, Any]) -> bytes:
    return json.dumps({"instances": rows}).encode()


A = {"carrier": "AA", "origin": "JFK", "gate": 3, "month": 3, "flight": 7}
B = {"carrier": "UA", "origin": "LGA", "gate": 3, "month": 4}


def test_inputs_are_looked_up_by_the_keys_in_one_round_trip(store: Counted) -> None:
    prepared = Preparation(SIGNATURE, None, "flight", online=inputs(store)).prepare(body(A, B, A))

    assert prepared.frame.equals(
        pl.DataFrame(
            {
                "mean_delay": [5.0, None, 5.0],
                "month": pl.Series([3, 4, 3], dtype=pl.Int8),
                "temp": pl.Series([0.1, None, 0.1], dtype=pl.Float32),
                "carrier": ["AA", "UA", "AA"],
            }
        )
    )
    assert store.asked == 1
    assert prepared.missing == {"weather": 1}, "that UA has a row without a value is none"
    assert prepared.keys == ("7", None, "7")
    assert [row["mean_delay"] for row in prepared.rows] == [5.0, None, 5.0], "as profiles are to have them"
    assert prepared.rows[0] == {**A, "mean_delay": 5.0, "temp": pytest.approx(0.1)}


def test_what_is_too_old_for_training_is_not_found(store: Counted) -> None:
    late = inputs(store, now=NOW + timedelta(hours=1, microseconds=1))
    prepared = Preparation(SIGNATURE, None, None, online=late).prepare(body(A))
    assert prepared.frame["mean_delay"].to_list() == [None]
    assert prepared.missing == {"delays": 1}


def refused(content: bytes, online: OnlineInputs, transformer: Any = None) -> list[str]:
    with pytest.raises(BadRequestError) as caught:
        Preparation(SIGNATURE, transformer, None, online=online).prepare(content)
    assert caught.value.status == 422
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({**A, "carrier": None}, "instances[0].carrier is null; String is required"),
        ({"month": 3, "carrier": "AA", "gate": 3}, "instances[0].origin is missing; String is required"),
        ({**A, "gate": "x"}, "instances[0].gate must be Int32, found text 'x'"),
        ({**A, "gate": 2**40}, "instances[0].gate must be Int32, found number '1099511627776'"),
        ({**A, "mean_delay": 1.0}, "instances[0].mean_delay is looked up in FeatureView/delays: leave it out"),
        ({**A, "temp": None}, "instances[0].temp is looked up in FeatureView/weather: leave it out"),
        ({**A, "month": None}, "instances[0].month is null; Int8 is required"),
    ],
)
def test_the_callers_mistakes_name_the_field(store: Counted, row: dict[str, Any], told: str) -> None:
    assert refused(body(row), inputs(store)) == [told]


def test_a_row_without_keys_is_never_answered(store: Counted) -> None:
    problems = refused(body({"month": 3}), inputs(store))
    assert [problem.partition(" ")[0] for problem in problems] == [
        "instances[0].carrier", "instances[0].origin", "instances[0].gate",
    ]  # fmt: skip
    assert store.asked == 0


def test_keys_that_nothing_is_known_of_are_refused_where_that_is_said(store: Counted) -> None:
    problems = refused(body(A, B), inputs(store, refuses=True))
    assert problems == [
        "instances[1] has a key that FeatureView/weather knows no row of, "
        "found key carrier='UA', origin='LGA', gate='3'"
    ]  # fmt: skip


def test_the_log_has_no_key_of_a_caller(store: Counted) -> None:
    with pytest.raises(BadRequestError) as caught:
        Preparation(SIGNATURE, None, None, online=inputs(store, refuses=True)).prepare(body(B))
    assert caught.value.gist == "has a key that FeatureView/weather knows no row of, found key"


def test_a_transformer_has_the_request_and_the_stored_row(store: Counted) -> None:
    def ratio(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "mean_delay": (row["mean_delay"] or 0.0) / row["planned"]} for row in rows]

    online = inputs(store)
    prepared = Preparation(SIGNATURE, ratio, None, online=online).prepare(body({**A, "planned": 2.0}))
    assert prepared.frame["mean_delay"].to_list() == [2.5]
    assert refused(body(A), online, ratio) == ["instances[0].planned is missing"]


def test_what_was_looked_up_is_nobodys_mistake(store: Counted) -> None:
    def strict(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "mean_delay": row["mean_delay"] + 1.0} for row in rows]

    with pytest.raises(TypeError):
        Preparation(SIGNATURE, strict, None, online=inputs(store)).prepare(body(B))


def test_rows_of_a_training_set_are_tried_as_they_are_and_others_are_looked_up(store: Counted) -> None:
    preparation = Preparation(SIGNATURE, None, None, online=inputs(store))
    whole = {**A, "mean_delay": 1.0, "temp": 2.0}
    assert preparation.inputs([whole])["mean_delay"].to_list() == [1.0]
    assert store.asked == 0
    assert preparation.inputs([A])["mean_delay"].to_list() == [5.0]


def test_keys_and_columns_may_have_other_names_than_in_the_view(store: Counted) -> None:
    signature = {**SIGNATURE, "inputs": [{**SIGNATURE["inputs"][0], "name": "prior_mean_delay"}]}
    view = OnlineView("delays", DELAYS.entities, DELAYS.columns, keys=("airline",), prefix="prior_")
    online = OnlineInputs(OnlineLookup("memory://", "here", (view,)), signature, store, lambda: NOW)
    preparation = Preparation(signature, None, None, online=online)
    assert preparation.prepare(body({"airline": "AA"})).frame.to_dicts() == [{"prior_mean_delay": 5.0}]
    with pytest.raises(BadRequestError, match="airline is missing; String is required"):
        preparation.prepare(body({"carrier": "AA"}))


def test_rows_are_put_together_when_they_are_looked_at() -> None:
    rows = Enriched([{"a": 1}, {"a": 2}], {"b": pl.Series([1.5, None])})
    assert (len(rows), list(rows), rows[1], rows[:1]) == (
        2, [{"a": 1, "b": 1.5}, {"a": 2, "b": None}], {"a": 2, "b": None}, [{"a": 1, "b": 1.5}],
    )  # fmt: skip


def test_an_answer_says_for_how_many_rows_nothing_was_found(store: Counted) -> None:
    output = ModelOutput.of(SIGNATURE)
    prepared = Preparation(SIGNATURE, None, None, online=inputs(store)).prepare(body(A, B))
    answers = np.array([0.5, 0.25])
    assert json.loads(answer(answers, output, "m@1", "app", prepared.missing))["missing"] == {"weather": 1}
    assert "missing" not in json.loads(answer(answers, output, "m@1", "app"))


def test_while_the_store_is_down_the_caller_is_told_which_view_and_not_where_it_lies(
    store: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.down = True
    with pytest.raises(NotOnlineError, match="FeatureView/delays, FeatureView/weather: the online store redis:"):
        Preparation(SIGNATURE, None, None, online=inputs(store)).prepare(body(A))

    replica = object.__new__(ModelReplica)
    replica._preparation = Preparation(SIGNATURE, None, None, online=inputs(store))
    told = asyncio.run(replica.predict(body(A), "r"))
    assert told["status"] == 503
    error = json.loads(told["body"])["error"]
    assert error == {
        "type": "unavailable",
        "message": "FeatureView/delays, FeatureView/weather cannot be looked up now; try again",
    }
    assert told["failure"]["type"] == "NotOnline"
    assert told["failure"]["type"] != model_module.BAD_REQUEST


def test_a_replica_looks_up_at_the_place_that_it_is_given(tmp_path: Path) -> None:
    asked = OnlineLookup(f"sqlite:///{tmp_path}/online.db", "local", (DELAYS,))
    with pytest.raises(NotOnlineError, match="FeatureView/delays holds nothing online"):
        Preparation(SIGNATURE, None, None, online=OnlineInputs(asked, SIGNATURE)).prepare(body({**A, "temp": 1.0}))
