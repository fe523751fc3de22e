"""The state store in SQL in a world that fails, and how it is opened."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from framework.api.errors import ConfigurationError, TransientError
from framework.backends.state import tables
from framework.backends.state.database import StateDatabase, open_database
from framework.backends.state.store import SqlStateStore
from framework.backends.state.stored import dump
from framework.ports import Heartbeat, MirrorMark, Pin, Record
from tests.unit.state_files import NOW, TTL, VIEW, as_version_1, by_hand, database, event, file, store, token

__all__ = ["database", "file", "store", "token"]


# ---------------------------------------------------------------------- a world that fails


def test_a_full_disk_is_transient_and_loses_nothing(database: StateDatabase, store: SqlStateStore, token: int) -> None:
    saved = store.save(Record(ref=VIEW, status={"step": 1}), token)
    with database.write() as connection:  # the only one that there is: the limit is its own
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    large = saved.model_copy(update={"status": {"text": "x" * 100_000}})
    with pytest.raises(TransientError, match="the disk is full"):
        store.save(large, token)
    with pytest.raises(TransientError, match="the disk is full"):
        store.append_events([event(number) for number in range(500)], token)
    assert store.load(VIEW) == saved
    assert list(store.events()) == []
    with database.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    assert store.save(large, token).version == 2
    store.append_events([event(1)], token)
    assert store.verify_events() == ()


def test_no_room_at_opening_is_a_configuration_error(file: Path) -> None:
    script = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
from framework.api.errors import ConfigurationError
from framework.backends.state.database import open_database
try:
    open_database({f"sqlite:///{file}"!r})
except ConfigurationError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-B", "-c", script], capture_output=True, text=True, check=True, cwd=file.parent
    )
    assert "cannot be used: the disk" in done.stdout


def test_a_damaged_file_is_a_configuration_error(file: Path) -> None:
    file.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(ConfigurationError, match="damaged or no database"):
        open_database(f"sqlite:///{file}")


def test_damage_found_later_is_a_configuration_error(
    file: Path, database: StateDatabase, store: SqlStateStore, token: int
) -> None:
    store.save(Record(ref=VIEW, status={"text": "x" * 50_000}), token)
    database.close()
    size = file.stat().st_size
    with file.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xff" * (size - 4096))
    with pytest.raises(ConfigurationError, match="damaged"):
        store.records()


def test_a_heartbeat_that_cannot_be_read_is_none_and_the_next_one_takes_its_place(
    file: Path, store: SqlStateStore, token: int
) -> None:
    beat = Heartbeat(holder="a", started=NOW, time=NOW, every=5, resync=10)
    for field, junk in (("every", "1e999"), ("every", '"often"'), ("time", '"2026-03-01T12:00:00"'), ("late", "[]")):
        store.beat(beat, token)
        by_hand(file, f"UPDATE mlops_notes SET body = json_set(body, '$.{field}', json('{junk}'))")
        assert store.heartbeat() is None, junk
    by_hand(file, "UPDATE mlops_notes SET body = 'no JSON'")
    assert store.heartbeat() is None
    store.beat(beat, token)
    assert store.heartbeat() == beat


def test_how_far_a_mirror_is_that_cannot_be_read_is_none_and_told(file: Path, store: SqlStateStore, token: int) -> None:
    store.set_mirror_mark(MirrorMark(address="http://mlflow"), token)
    for junk in ("no JSON", "{}", '{"address": "x", "versions": []}'):
        by_hand(file, f"UPDATE mlops_notes SET body = '{junk}'")
        assert store.mirror_mark() is None, junk
        assert "how far the mirror is" in "".join(store.damage())


def test_records_of_a_newer_version_are_read_without_what_is_new(file: Path, store: SqlStateStore, token: int) -> None:
    saved = store.save(Record(ref=VIEW, status={"step": 1}), token)
    body = json.dumps({**json.loads(dump(saved)), "invented": "later"})
    by_hand(file, f"UPDATE mlops_records SET body = '{body}'")
    assert store.load(VIEW) == saved


# ---------------------------------------------------------------------- opening


@pytest.mark.parametrize(
    "url",
    [
        "no url",
        "nosuch://host/db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///state.db?timeout=1",
        "sqlite:///folder",
        "sqlite:///file/state.db",
    ],
)
def test_what_cannot_be_opened_is_a_configuration_error(tmp_path: Path, url: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError):
        open_database(url, str(tmp_path))


@pytest.mark.parametrize(
    "url",
    [
        "me:hunter2@host",
        "nosuch://me:hunter2@host/db",
        "postgresql+nosuch://me:hunter2@host/db",
        "postgresql://me:hunter2@host:abc/db",
    ],
)
def test_passwords_appear_in_no_error(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        open_database(url)
    assert "hunter2" not in str(raised.value)


def test_a_new_database_is_the_users_alone_and_its_folder_is_made(tmp_path: Path) -> None:
    open_database("sqlite:///deep/er/state.db", str(tmp_path)).close()
    assert (tmp_path / "deep" / "er" / "state.db").stat().st_mode & 0o777 == 0o600


def test_to_read_what_is_not_there_makes_nothing_and_finds_it_once_it_is_there(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "state.db"
    reader = open_database(f"sqlite:///{file}", create=False)
    store = SqlStateStore(reader, "local")
    for found in (
        store.events(),
        store.records(),
        store.lease(),
        store.pin(),
        store.revisions(),
        store.verify_events(),
    ):
        assert not found
    with pytest.raises(ConfigurationError, match="there is no state database"):
        store.acquire("a", TTL, NOW)
    assert not file.parent.exists()

    writer = open_database(f"sqlite:///{file}")
    assert SqlStateStore(writer, "local").acquire("a", TTL, NOW) is not None
    lease = store.lease()
    assert lease is not None
    assert lease.holder == "a"
    reader.close()
    writer.close()


def test_to_read_one_that_is_there_is_to_open_it(file: Path, store: SqlStateStore, token: int) -> None:
    store.append_events([event(1)], token)
    reader = open_database(f"sqlite:///{file}", create=False)
    assert [one.message for one in SqlStateStore(reader, "local").events()] == [event(1).message]
    reader.close()


@pytest.mark.parametrize("path", ["file/state.db", "x" * 300])
def test_to_read_one_that_nobody_can_look_at_is_a_configuration_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        open_database(f"sqlite:///{path}", str(tmp_path), create=False)


@pytest.mark.parametrize("url", ["postgresql://me@db/x", "postgresql+psycopg://me@db/x"])
def test_the_driver_that_is_missing_is_named_with_what_brings_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"psycopg is not installed: pip install .*postgres"):
        open_database(url)


def test_the_password_given_apart_is_the_one_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever of it an address would have to escape."""
    given: list[URL] = []

    def connect(url: URL, **options: Any) -> Any:
        given.append(url)
        raise ImportError("no driver here")

    monkeypatch.setattr("framework.backends.state.database.create_engine", connect)
    with pytest.raises(ConfigurationError) as told:
        open_database("postgresql://mlops@db/mlops", password="p@ss/w:rd")
    assert given[0].password == "p@ss/w:rd"
    assert "p@ss" not in str(told.value)


def test_a_newer_schema_is_refused(file: Path, database: StateDatabase) -> None:
    by_hand(file, "UPDATE mlops_schema SET version = 99")
    with pytest.raises(ConfigurationError, match="newer mlopsctl: its schema is version 99"):
        open_database(f"sqlite:///{file}")


def test_a_database_of_an_older_version_opens_with_all_it_has(file: Path, store: SqlStateStore, token: int) -> None:
    saved = store.save(Record(ref=VIEW, status={"step": 1}), token)
    store.append_events([event(1)], token)
    as_version_1(file)
    with closing(open_database(f"sqlite:///{file}")) as database:
        migrated = SqlStateStore(database, "local")
        assert migrated.load(VIEW) == saved
        assert migrated.pin() is None
        migrated.set_pin(Pin(commit="a" * 40, over="b" * 40, actor="ann", time=NOW))
        assert migrated.verify_events() == ()
        assert migrated.save(saved, token).version == 2
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT version FROM mlops_schema").fetchall() == [(tables.SCHEMA_VERSION,)]
    open_database(f"sqlite:///{file}").close()


def test_several_processes_open_an_older_database_at_the_same_time(file: Path, store: SqlStateStore) -> None:
    as_version_1(file)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: open_database(f"sqlite:///{file}").close(), range(16)))
    assert store.pin() is None


def test_a_log_of_an_older_version_is_asked_for_like_a_newer_one(file: Path, store: SqlStateStore, token: int) -> None:
    store.append_events([event(1), event(2).model_copy(update={"reason": "Failed"})], token)
    as_version_1(file)
    with closing(open_database(f"sqlite:///{file}")) as database:
        migrated = SqlStateStore(database, "local")
        migrated.append_events([event(3)], token)
        assert [item.data["number"] for item in migrated.events(reasons=("Trained",))] == [1, 3]
        assert list(migrated.events(since=NOW + timedelta(seconds=1))) == []
        assert migrated.verify_events() == ()


def test_a_database_without_a_version_is_refused(file: Path, database: StateDatabase) -> None:
    by_hand(file, "DELETE FROM mlops_schema")
    with pytest.raises(ConfigurationError, match="no schema version"):
        open_database(f"sqlite:///{file}")


def test_the_tables_compile_for_postgresql_and_writers_lock_their_environment() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in tables.METADATA.sorted_tables:
        assert f"CREATE TABLE {table.name}" in str(CreateTable(table).compile(dialect=dialect))
    locked = select(tables.environments).with_for_update()
    assert str(locked.compile(dialect=dialect)).endswith("FOR UPDATE")


def test_the_lease_that_an_older_version_left_is_read_and_taken_over(
    file: Path, store: SqlStateStore, token: int
) -> None:
    left = '{"expires":"2027-11-29T00:00:00Z","holder":"old","note":{},"token":1}'
    by_hand(file, f"UPDATE mlops_environments SET lease = '{left}'")
    found = store.lease()
    assert found is not None
    assert (found.holder, found.token, found.renewals) == ("old", token, 0)
    taken = store.acquire("new", TTL, NOW, over=found)
    assert taken is not None
    assert taken.token > token
    assert store.lease() == taken
