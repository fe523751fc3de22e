"""Whatever stands in whichever column: one damaged value is told of, and everything else goes on."""

from __future__ import annotations

import gc
import sqlite3
import tracemalloc
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from framework.api.errors import ConfigurationError, ConflictError, DamagedError
from framework.backends.state.database import StateDatabase, open_database
from framework.backends.state.registry import SqlModelRegistry
from framework.backends.state.store import SqlStateStore
from framework.backends.state.stored import dump
from framework.ports import Pin, Record, Revision, Word
from tests.builders import model_version
from tests.unit.state_files import JOB, NOW, TTL, VIEW, by_hand, database, event, file, store, token

__all__ = ["database", "file", "store", "token"]

GARBAGE = ("{", '{"ref": 7}', "[]", "null", "", "[" * 20_000, b"\xff\xfe")


def set_by_hand(file: Path, table: str, column: str, value: Any, where: str = "1 = 1") -> None:
    """Somebody writes any value into any column."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(f"UPDATE mlops_{table} SET {column} = ? WHERE {where}", (value,))


@pytest.mark.parametrize("body", GARBAGE)
def test_a_damaged_record_is_known_by_name_and_stops_no_other(
    file: Path, store: SqlStateStore, token: int, body: Any
) -> None:
    store.save(Record(ref=VIEW, status={}), token)
    other = store.save(Record(ref=JOB, status={}), token)
    set_by_hand(file, "records", "body", body, "kind = 'FeatureView'")
    with pytest.raises(DamagedError, match="the record of FeatureView/flights cannot be read") as raised:
        store.load(VIEW)
    assert "pydantic" not in str(raised.value)
    assert store.load(JOB) == other
    found = store.recorded()
    assert (found.readable, list(found.unreadable)) == ((other,), [VIEW])
    assert list(store.damage()) == [str(raised.value)]
    assert store.save(other, token).version == 2
    store.forget(VIEW, [])
    assert (store.load(VIEW), list(store.damage())) == (None, [])


@pytest.mark.parametrize(("column", "value"), [("version", "x"), ("version", 9), ("name", "other"), ("kind", b"\xff")])
def test_a_record_that_is_kept_as_another_is_damaged(
    file: Path, store: SqlStateStore, token: int, column: str, value: Any
) -> None:
    store.save(Record(ref=VIEW, status={}), token)
    set_by_hand(file, "records", column, value)
    (ref,) = store.recorded().unreadable
    assert list(store.records()) == []
    store.forget(ref, [])
    assert list(store.damage()) == []


def test_a_record_that_means_nothing_to_who_uses_it_is_damaged_until_it_is_put_right(
    file: Path, database: StateDatabase, store: SqlStateStore, token: int
) -> None:
    looks = []

    def check(record: Record) -> None:
        looks.append(record.ref)
        if "step" not in record.status:
            raise DamagedError(f"the record of {record.ref}", "it has no step")

    checked = SqlStateStore(database, "local", check)
    saved = store.save(Record(ref=VIEW, status={"step": 1}), token)
    assert [checked.load(VIEW), checked.load(VIEW), *checked.records()] == [saved] * 3
    assert looks == [VIEW], "what was found sound is not looked at again"
    set_by_hand(file, "records", "body", dump(saved.model_copy(update={"status": {}})))
    assert checked.recorded().unreadable == {VIEW: "it has no step"}
    set_by_hand(file, "records", "body", dump(saved))
    assert checked.load(VIEW) == saved


def test_a_damaged_revision_is_told_of_in_its_place(file: Path, store: SqlStateStore, token: int) -> None:
    for number in (1, 2, 3):
        store.save_revision(_revision(number), token)
    set_by_hand(file, "revisions", "body", "{}", f"sha = '{2:040x}'")
    third, second, first = store.revisions()
    assert (third, first) == (_revision(3), _revision(1))
    assert (second.commit, second.accepted, second.damaged) == (f"{2:040x}", False, True)
    assert "cannot be read" in second.problems[0]
    store.save_revision(_revision(2), token)
    assert store.revisions()[0] == _revision(2)


@pytest.mark.parametrize("value", ["x", -1, 2.5, 2**60, b"\x00"])
@pytest.mark.parametrize("column", ["revisions", "models", "events"])
def test_a_damaged_counter_is_told_of_and_counted_anew(
    file: Path, database: StateDatabase, store: SqlStateStore, token: int, column: str, value: Any
) -> None:
    registry = SqlModelRegistry(database, "local")
    for number in (1, 2):
        store.save_revision(_revision(number), token, [event(number)])
        registry.register(model_version(version=f"v{number}"), token)
    set_by_hand(file, "environments", column, value)
    assert any(column in problem for problem in store.damage())
    store.save_revision(_revision(3), token, [event(3)])
    registry.register(model_version(version="v3"), token)
    assert [item.commit for item in store.revisions()] == [f"{number:040x}" for number in (3, 2, 1)]
    assert len(registry.versions("delay-classifier")) == 3
    assert list(store.damage()) == []
    reasons = [item.reason for item in store.events()]
    assert reasons == ["Trained", "Trained", *(["LogRepaired"] if column == "events" else []), "Trained"]
    assert store.verify_events() == ()


@pytest.mark.parametrize("head", ["x", "", b"\xff"])
def test_a_damaged_hash_is_told_of_and_the_log_goes_on(file: Path, store: SqlStateStore, token: int, head: Any) -> None:
    store.append_events([event(1), event(2)], token)
    set_by_hand(file, "environments", "head", head)
    assert store.verify_events() != ()
    store.append_events([event(3)], token)
    told = store.events()[-2]
    assert (told.reason, told.ref) == ("LogRepaired", None)
    assert "event 2 is the last that is there" in told.message
    assert store.verify_events() == ()


def test_events_that_the_counter_does_not_know_of_stop_nothing_and_are_told_of(
    file: Path, store: SqlStateStore, token: int
) -> None:
    store.append_events([event(1), event(2), event(3)], token)
    set_by_hand(file, "environments", "events", 1)
    assert store.verify_events() == ("events 2 to 3 were added outside the log",)
    store.append_events([event(4)], token)
    assert [item.reason for item in store.events()] == ["Trained"] * 3 + ["LogRepaired", "Trained"]


def test_events_that_are_missing_at_the_end_stay_missing(file: Path, store: SqlStateStore, token: int) -> None:
    store.append_events([event(1), event(2), event(3)], token)
    by_hand(file, "DELETE FROM mlops_events WHERE sequence = 3")
    store.append_events([event(4)], token)
    assert "events 3 to 3 are missing" in store.verify_events()


@pytest.mark.parametrize("body", GARBAGE)
def test_in_the_place_of_a_damaged_event_stands_that_it_is(
    file: Path, store: SqlStateStore, token: int, body: Any
) -> None:
    store.append_events([event(number) for number in range(1, 4)], token)
    set_by_hand(file, "events", "body", body, "sequence = 2")
    for found in (store.events(), store.log(), store.events(JOB), store.events(reasons=("Trained",))):
        assert [item.sequence for item in found] == [1, 2, 3]
        assert (found[1].reason, found[1].ref, found[1].time) == ("UnreadableEvent", JOB, NOW)
        assert "event 2 cannot be read" in found[1].message
    assert "event 2 was changed" in store.verify_events()


@pytest.mark.parametrize(
    ("column", "value"), [("kind", "x"), ("kind", None), ("name", b"\xff"), ("reason", "x"), ("time", "x"), ("time", 7)]
)
def test_an_event_that_is_filed_as_another_is_noticed(
    file: Path, store: SqlStateStore, token: int, column: str, value: Any
) -> None:
    store.append_events([event(1), event(2)], token)
    set_by_hand(file, "events", column, value, "sequence = 2")
    assert store.verify_events() == ("event 2 is filed as another",)
    assert [item.data["number"] for item in store.log()] == [1, 2]


@pytest.mark.parametrize("column", ["sequence", "previous", "hash"])
@pytest.mark.parametrize("value", ["x", -1, 2.5, b"\xff", ""])
def test_a_damaged_link_is_noticed_and_everything_else_is_read(
    file: Path, store: SqlStateStore, token: int, column: str, value: Any
) -> None:
    store.append_events([event(1), event(2)], token)
    set_by_hand(file, "events", column, value, "sequence = 2")
    assert store.verify_events() != ()
    assert [item.data["number"] for item in store.events()][:1] == [1]
    store.append_events([event(3)], token)
    assert store.events()[-1].data == {"number": 3}


def test_a_damaged_pin_and_a_damaged_word_are_none(file: Path, store: SqlStateStore, token: int) -> None:
    store.set_pin(Pin(commit="a" * 40, over="b" * 40, actor="ann", time=NOW))
    for subject in ("prune/a", "prune/b"):
        store.say(Word(subject=subject, verb="prune", actor="ann", time=NOW))
    set_by_hand(file, "pins", "body", "x")
    set_by_hand(file, "notes", "body", "x", "name = 'word/prune/a'")
    assert store.pin() is None
    assert [item.subject for item in store.words()] == ["prune/b"]
    assert len(store.damage()) == 2
    store.set_pin(None)
    assert len(store.damage()) == 1


@pytest.mark.parametrize("lease", ["x", "{}", "", b"\xff"])
def test_a_damaged_lease_is_nobodys_and_is_taken_with_a_higher_token(
    file: Path, store: SqlStateStore, token: int, lease: Any
) -> None:
    saved = store.save(Record(ref=VIEW, status={}), token)
    set_by_hand(file, "environments", "lease", lease)
    assert store.lease() is None
    assert any("the lease" in problem for problem in store.damage())
    taken = store.acquire("b", TTL, NOW)
    assert taken is not None
    assert taken.token > token
    with pytest.raises(ConflictError):
        store.save(saved, token)
    assert store.save(saved, taken.token).version == 2


@pytest.mark.parametrize("value", ["x", -1, 2.5])
@pytest.mark.parametrize("lease", [None, "x", "as it was"])
def test_no_token_is_given_twice_whatever_is_damaged(
    file: Path, store: SqlStateStore, token: int, value: Any, lease: str | None
) -> None:
    store.append_events([event(1)], token)
    if lease != "as it was":
        set_by_hand(file, "environments", "lease", lease)
    set_by_hand(file, "environments", "token", value)
    taken = store.acquire("b", TTL, NOW + timedelta(hours=1), over=store.lease())
    assert taken is not None
    assert taken.token > token
    store.append_events([event(2)], taken.token)


def test_an_environment_that_was_lost_begins_behind_what_there_is(file: Path, store: SqlStateStore, token: int) -> None:
    store.append_events([event(1), event(2)], token)
    store.save_revision(_revision(1), token)
    set_by_hand(file, "environments", "environment", "elsewhere")
    taken = store.acquire("b", TTL, NOW)
    assert taken is not None
    assert taken.token > token
    store.save_revision(_revision(2), taken.token, [event(3)])
    assert [item.reason for item in store.events()] == ["Trained", "Trained", "LogRepaired", "Trained"]
    assert [item.commit for item in store.revisions()] == [f"{number:040x}" for number in (2, 1)]


def test_text_that_is_none_stops_no_query(file: Path, store: SqlStateStore, token: int) -> None:
    store.save(Record(ref=VIEW, status={}), token)
    other = store.save(Record(ref=JOB, status={}), token)
    by_hand(file, "UPDATE mlops_records SET body = CAST(x'ff80' AS TEXT) WHERE kind = 'FeatureView'")
    assert store.recorded().readable == (other,)


def _revision(number: int) -> Revision:
    return Revision(commit=f"{number:040x}", digest="d", accepted=True, time=NOW)


# ---------------------------------------------------------------------- a long log


@pytest.mark.slow
def test_a_long_log_is_never_held_as_a_whole(file: Path, store: SqlStateStore, token: int) -> None:
    padded = [event(number).model_copy(update={"message": "x" * 2_000}) for number in range(10_000)]
    store.append_events(padded, token)
    del padded
    gc.collect()
    tracemalloc.start()
    after, count = 0, 0
    while page := store.log(after, 500):
        count, after = count + len(page), page[-1].sequence
    assert [item.data["number"] for item in store.events(limit=2, reasons=("Trained",))] == [9_998, 9_999]
    assert store.verify_events() == ()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 10_000
    assert peak < 10_000_000, "the bodies alone are more than 20 MB"


@pytest.mark.parametrize("version", ["x", -1, 0, 2.5, b"\xff"])
def test_a_damaged_version_is_made_out_from_what_there_is(
    file: Path, store: SqlStateStore, token: int, version: Any
) -> None:
    saved = store.save(Record(ref=VIEW, status={}), token)
    set_by_hand(file, "schema", "version", version)
    with closing(open_database(f"sqlite:///{file}")) as database:
        assert SqlStateStore(database, "local").load(VIEW) == saved
    by_hand(file, "ALTER TABLE mlops_records ADD COLUMN invented TEXT")
    set_by_hand(file, "schema", "version", version)
    with pytest.raises(ConfigurationError, match=r"a newer one may have made: mlops_records\.invented"):
        open_database(f"sqlite:///{file}")
