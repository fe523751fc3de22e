"""What is found online is what training joins at the same moment, whatever happened before."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.api.errors import TransientError
from framework.backends.memory.online import HERE, MemoryOnline
from framework.online import open_store
from framework.ports import OnlinePlace, OnlineRequest, OnlineTarget, ReadView
from framework.workloads.features import delta
from framework.workloads.online import sync
from framework.workloads.online.lookup import Lookup, NotOnlineError, WantedView
from framework.workloads.training.as_of import join_as_of

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
COLUMNS = [("carrier", "String"), ("gate", "Int64"), ("hour", "Datetime"), ("delay", "Float64"), ("note", "String")]
SCHEMA: dict[str, Any] = {
    "carrier": pl.String, "gate": pl.Int64, "hour": pl.Datetime("us", "UTC"), "delay": pl.Float64, "note": pl.String,
}  # fmt: skip
VIEW = "carrier-delays"
Row = tuple[str | None, int | None, datetime | None, float | None, str | None]


class Table:
    """A table whose versions follow each other, and an online store that is to follow it."""

    def __init__(self, folder: Path, *, ttl: float | None = None, delay: float | None = None) -> None:
        self.uri, self.store = str(folder / "table"), MemoryOnline()
        self.target = OnlineTarget(place=HERE, ttl=ttl, delay=delay)
        self.frame = pl.DataFrame(schema=SCHEMA)
        self.version = -1

    def publish(self, rows: Sequence[Row]) -> None:
        self.frame = pl.DataFrame(rows, schema=SCHEMA, orient="row")
        self.version = delta.publish(self.uri, [self.frame], COLUMNS, {"rows": len(rows)}).version

    def request(self) -> OnlineRequest:
        view = ReadView(
            uri=self.uri, version=self.version, entities=("carrier", "gate"), timestamp="hour", columns=tuple(COLUMNS)
        )
        return OnlineRequest(build="b", view=VIEW, table=view, target=self.target)

    def bring(self, now: datetime = NOW) -> dict[str, Any]:
        return sync.bring(self.request(), self.store, now, lambda told: None)

    def look_up(self, keys: pl.DataFrame, now: datetime, max_age: timedelta | None = None) -> pl.DataFrame:
        delay = None if self.target.delay is None else timedelta(seconds=self.target.delay)
        asked = WantedView(VIEW, (("carrier", "String"), ("gate", "Int64")), tuple(COLUMNS[2:]), max_age, delay)
        return keys.with_columns(Lookup(self.store, [asked]).find(keys, now).columns[VIEW])

    def joined(self, keys: pl.DataFrame, now: datetime, max_age: timedelta | None = None) -> pl.DataFrame:
        """What training would have."""
        ttl = None if self.target.ttl is None else timedelta(seconds=self.target.ttl)
        found = join_as_of(
            keys.with_columns(pl.lit(now).alias("at")),
            self.frame,
            by=["carrier", "gate"],
            spine_time="at",
            feature_time="hour",
            columns=["hour", "delay", "note"],
            max_age=min((age for age in (ttl, max_age) if age is not None), default=None),
            delay=None if self.target.delay is None else timedelta(seconds=self.target.delay),
        )
        return found.drop("at")


KEYS = pl.DataFrame(
    [(carrier, gate) for carrier in ("AA", "B6", "", "Zoë") for gate in (0, 1, -1)],
    schema={"carrier": pl.String, "gate": pl.Int64},
    orient="row",
)
MOMENTS = st.integers(-40, 6).map(lambda quarters: NOW + timedelta(minutes=15 * quarters))
ROWS = st.tuples(
    st.sampled_from(["AA", "B6", "", None]),
    st.sampled_from([0, 1, None]),
    MOMENTS | st.none(),
    st.sampled_from([0.0, 1.5, float("nan"), None, float("inf")]),
    st.sampled_from(["", "late", None]),
)


@settings(max_examples=40)
@given(
    st.lists(st.lists(ROWS, max_size=25), min_size=1, max_size=3),
    st.sampled_from([None, 3600.0, 7200.0]),
    st.sampled_from([None, 0.0, 900.0, 3600.0]),
    st.sampled_from([None, timedelta(0), timedelta(minutes=30), timedelta(hours=5)]),
    st.lists(st.integers(0, 5), min_size=3, max_size=3),
)
def test_it_is_what_training_joins_at_that_moment(
    tmp_path_factory: pytest.TempPathFactory,
    histories: list[list[Row]],
    ttl: float | None,
    delay: float | None,
    max_age: timedelta | None,
    later: list[int],
) -> None:
    """Of histories with duplicates, ties, rows of the future and rows without key or time; each version after the other
    online, and looked up then and later."""
    table = Table(tmp_path_factory.mktemp("history"), ttl=ttl, delay=delay)
    now = NOW
    for history, quarters in zip(histories, later, strict=False):
        table.publish(history)
        done = table.bring(now)
        assert (done["differing"], done["left"]) == (0, 0)
        for asked in (now, now + timedelta(minutes=7), now + timedelta(hours=2)):
            assert table.look_up(KEYS, asked, max_age).equals(table.joined(KEYS, asked, max_age))
        now += timedelta(minutes=15 * quarters)


LATE = (("carrier", "String"), ("hour", "Datetime"), ("seen", "Datetime"), ("delay", "Float64"))


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(["AA", None]), MOMENTS | st.none(), MOMENTS | st.none(), st.floats(0, 9)), max_size=20
    ),
    st.sampled_from([None, 3600.0]),
    st.sampled_from([None, timedelta(0), timedelta(minutes=40)]),
)
def test_rows_that_become_known_late_are_found_as_training_joins_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], ttl: float | None, max_age: timedelta | None
) -> None:
    moment = pl.Datetime("us", "UTC")
    schema = {"carrier": pl.String, "hour": moment, "seen": moment, "delay": pl.Float64}
    frame, uri, store = pl.DataFrame(rows, schema, orient="row"), str(tmp_path_factory.mktemp("late")), MemoryOnline()
    version = delta.publish(uri, [frame], LATE, {}).version
    view = ReadView(
        uri=uri, version=version, entities=("carrier",), timestamp="hour", columns=LATE, available="seen"
    )  # fmt: skip
    asked = OnlineRequest(build="b", view=VIEW, table=view, target=OnlineTarget(place=HERE, ttl=ttl))
    done = sync.bring(asked, store, NOW, lambda told: None)
    assert (done["differing"], done["left"]) == (0, 0)
    keys = pl.DataFrame({"by": ["AA", "B6"]})
    wanted = WantedView(VIEW, LATE[:1], LATE[3:], max_age, keys=("by",), prefix="late_")
    ages = [age for age in (max_age, timedelta(seconds=ttl) if ttl else None) if age is not None]
    for now in (NOW, NOW + timedelta(minutes=20), NOW + timedelta(hours=2)):
        joined = join_as_of(
            keys.with_columns(pl.lit(now).alias("at")), frame, by=["carrier"], keys=["by"], prefix="late_",
            spine_time="at", feature_time="hour", columns=["delay"], available="seen", max_age=min(ages, default=None),
        )  # fmt: skip
        (found,) = Lookup(store, [wanted]).find(keys, now).columns[VIEW]
        assert found.equals(joined["late_delay"], check_names=True)


def test_a_table_without_event_times_is_found_by_key_alone(tmp_path: Path) -> None:
    columns = (("carrier", "String"), ("name", "String"))
    frame, uri, store = (
        pl.DataFrame({"carrier": ["AA", None], "name": ["American", "x"]}),
        str(tmp_path),
        MemoryOnline(),
    )
    version = delta.publish(uri, [frame], columns, {}).version
    view = ReadView(uri=uri, version=version, entities=("carrier",), columns=columns)
    asked = OnlineRequest(build="b", view=VIEW, table=view, target=OnlineTarget(place=HERE))
    done = sync.bring(asked, store, NOW, lambda told: None)
    assert (done["rows"], done["checked"], done["left"]) == (1, 1, 0)
    found = Lookup(store, [WantedView(VIEW, columns[:1], columns[1:])]).find(
        pl.DataFrame({"carrier": ["AA", "B6"]}), NOW
    )
    assert found.columns[VIEW][0].to_list() == ["American", None]
    assert found.missing == {VIEW: [1]}


def a_row(carrier: str, minutes: int, delay: float | None = 1.0, gate: int = 0) -> Row:
    return carrier, gate, NOW - timedelta(minutes=minutes), delay, "x"


def test_of_a_version_that_differs_in_little_only_that_is_sent(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.publish([a_row(str(number), 60) for number in range(100)])
    assert table.bring()["written"] == 100

    table.publish([*(a_row(str(number), 60) for number in range(100)), a_row("5", 30, 2.0), a_row("new", 30)])
    done = table.bring()

    assert (done["written"], done["rows"], done["differing"]) == (2, 101, 0)
    held = table.store.describe(VIEW)
    assert held is not None
    assert held.version == table.version


@pytest.mark.parametrize(
    "rows",
    [
        [a_row(str(number), 60) for number in range(1, 100)],
        [*(a_row(str(number), 60) for number in range(1, 100)), a_row("0", 90)],
        [a_row(str(number), 50) for number in range(100)],
    ],
    ids=["an entity is gone", "one went back in time", "much differs"],
)
def test_of_any_other_all_is_sent(tmp_path: Path, rows: list[Row]) -> None:
    table = Table(tmp_path)
    table.publish([a_row(str(number), 60) for number in range(100)])
    table.bring()

    table.publish(rows)
    done = table.bring()

    assert (done["written"], done["rows"], done["differing"]) == (len(rows), len(rows), 0)


def test_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.publish([a_row("AA", 5)])
    table.bring()
    assert table.bring()["written"] == 0


def test_a_row_that_was_changed_is_found_told_of_and_mended(tmp_path: Path) -> None:
    folder = tmp_path / "online"
    place = OnlinePlace(store=f"sqlite:///{folder}/online.db", space="local")
    table = Table(tmp_path)
    table.store = open_store(place)  # type: ignore[assignment]
    table.publish([a_row(f"c{number}", 5, float(number)) for number in range(300)])
    table.bring()
    spoil(folder / "online.db", "c7", lambda value: value[:-1] + b"y")
    spoil(folder / "online.db", "c9", lambda value: value[:20])

    with pytest.raises(NotOnlineError, match=f"FeatureView/{VIEW} holds a damaged row"):
        table.look_up(pl.DataFrame({"carrier": ["c9"], "gate": [0]}), NOW)
    done = table.bring()

    assert (done["checked"], done["differing"], done["left"]) == (300, 2, 0)
    assert done["examples"] == ["carrier=c7, gate=0", "carrier=c9, gate=0"]
    assert done["written"] == 300
    assert table.bring()["differing"] == 0


def spoil(file: Path, carrier: str, change: Any) -> None:
    """Somebody changes the value of one key by hand."""
    import sqlite3

    key = len(carrier).to_bytes(4, "big") + carrier.encode() + bytes(8)
    with sqlite3.connect(file) as connection:
        ((value,),) = connection.execute("SELECT value FROM rows WHERE key = ?", (key,)).fetchall()
        connection.execute("UPDATE rows SET value = ? WHERE key = ?", (change(value), key))
    connection.close()


def test_the_sample_is_the_same_each_time(tmp_path: Path) -> None:
    table = Table(tmp_path)
    rows = [a_row(f"c{number}", 5) for number in range(2 * sync.SAMPLE)]
    table.publish(rows)
    table.bring()
    values = table.store._views[VIEW][1]
    for key in random.Random(0).sample(sorted(values), 1000):
        values[key] = values[key][:-1] + b"!"
    first = sync._Work(table.request(), table.store, NOW).differing()
    assert first
    assert sync._Work(table.request(), table.store, NOW).differing() == first


def test_a_day_counts_once_it_is_over(tmp_path: Path) -> None:
    uri, store = str(tmp_path / "table"), MemoryOnline()
    columns = [("carrier", "String"), ("day", "Date"), ("delay", "Float64")]
    days = [NOW.date() - timedelta(days=back) for back in (2, 1, 0)]
    frame = pl.DataFrame({"carrier": ["AA"] * 3, "day": days, "delay": [2.0, 1.0, 0.0]})
    version = delta.publish(uri, [frame], columns, {}).version
    view = ReadView(uri=uri, version=version, entities=("carrier",), timestamp="day", columns=tuple(columns))
    asked = OnlineRequest(build="b", view=VIEW, table=view, target=OnlineTarget(place=HERE))
    assert sync.bring(asked, store, NOW, lambda told: None)["left"] == 0

    lookup = Lookup(store, [WantedView(VIEW, (("carrier", "String"),), (("delay", "Float64"),))])
    key = pl.DataFrame({"carrier": ["AA"]})
    tomorrow = datetime(2024, 3, 2, tzinfo=UTC)
    for moment, delay in ((NOW, 1.0), (tomorrow - timedelta(microseconds=1), 1.0), (tomorrow, 0.0)):
        assert lookup.find(key, moment).columns[VIEW][0].to_list() == [delay]


def test_a_table_without_rows_and_one_of_nothing_but_nulls_are_tables(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.publish([])
    assert table.bring() == {
        "version": 0, "rows": 0, "written": 0, "checked": 0, "differing": 0, "examples": [], "left": 0,
    }  # fmt: skip
    table.publish([("AA", 0, NOW - timedelta(hours=1), None, None), (None, None, None, None, None)])
    assert table.bring()["rows"] == 1
    assert table.look_up(KEYS, NOW).equals(table.joined(KEYS, NOW))


class Down(MemoryOnline):
    def read(self, keys: Any) -> Any:
        raise TransientError("the online store redis://h cannot be used: connection refused")


def test_a_store_that_is_down_is_told_with_the_views(tmp_path: Path) -> None:
    asked = [WantedView(view, (("carrier", "String"),), (("delay", "Float64"),)) for view in ("one", "two")]
    with pytest.raises(NotOnlineError, match="FeatureView/one, FeatureView/two: the online store redis://h cannot"):
        Lookup(Down(), asked).find(pl.DataFrame({"carrier": ["AA"]}), NOW)


def test_a_view_that_is_not_there_or_is_another_one_is_named(tmp_path: Path) -> None:
    table = Table(tmp_path)
    keys = pl.DataFrame({"carrier": ["AA"], "gate": [0], "gate8": pl.Series([0], dtype=pl.Int8)})
    with pytest.raises(NotOnlineError, match="FeatureView/carrier-delays holds nothing online"):
        table.look_up(keys, NOW)
    table.publish([a_row("AA", 5)])
    table.bring()
    by = (("carrier", "String"), ("gate", "Int64"))
    wrong = {
        "no speed as it was trained on": WantedView(VIEW, by, (("speed", "Float64"),)),
        "no delay as it was trained on": WantedView(VIEW, by, (("delay", "Float32"),)),
        "other keys than those": WantedView(VIEW, (("carrier", "String"), ("gate8", "Int8")), (("delay", "Float64"),)),
    }
    for told, asked in wrong.items():
        with pytest.raises(NotOnlineError, match=told):
            Lookup(table.store, [asked]).find(keys, NOW)


def test_several_slices_come_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(tmp_path, delay=900.0)
    draw = random.Random(1)
    table.publish([a_row(f"c{draw.randrange(40)}", draw.randrange(-60, 600), float(n)) for n in range(500)])
    monkeypatch.setattr(sync, "slices_of", lambda frame: 7)
    assert table.bring()["left"] == 0
    keys = pl.DataFrame({"carrier": [f"c{number}" for number in range(41)], "gate": [0] * 41})
    assert table.look_up(keys, NOW).equals(table.joined(keys, NOW))
