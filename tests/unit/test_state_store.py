from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, insert, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from framework.api.errors import ConfigurationError, ConflictError, TransientError
from framework.api.meta import Ref
from framework.backends.state import chain, tables
from framework.backends.state.database import Database, open_database
from framework.backends.state.store import SqlStateStore
from framework.backends.state.stored import dump
from framework.ports import Event, Heartbeat, Pin, Record

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
VIEW, JOB = Ref("FeatureView", "flights"), Ref("TrainingJob", "delay")
TTL = 30.0

_processes = multiprocessing.get_context("spawn")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{file}", busy_seconds=0.05)
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> SqlStateStore:
    return SqlStateStore(database, "local")


@pytest.fixture
def token(store: SqlStateStore) -> int:
    lease = store.acquire("a", TTL, NOW)
    assert lease is not None
    return lease.token


def event(number: int) -> Event:
    return Event(time=NOW, commit="c" * 40, ref=JOB, reason="Trained", message="done", data={"number": number})


def by_hand(file: Path, *statements: str) -> None:
    """Somebody opens the file with another program."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


# ---------------------------------------------------------------------- several at once


def _increment(file: str, times: int, start: Any) -> None:
    database = open_database(f"sqlite:///{file}")
    store = SqlStateStore(database, "local")
    start.wait()
    for _ in range(times):
        while True:
            record = store.load(VIEW)
            assert record is not None
            try:
                store.save(record.model_copy(update={"status": {"count": record.status["count"] + 1}}), 1)
            except ConflictError:
                continue
            break
    database.close()


def test_two_processes_never_lose_an_update(file: Path, store: SqlStateStore, token: int) -> None:
    store.save(Record(ref=VIEW, status={"count": 0}), token)
    start = _processes.Barrier(2)
    workers = [_processes.Process(target=_increment, args=(str(file), 25, start)) for _ in range(2)]
    _finish(workers)
    found = store.load(VIEW)
    assert found is not None
    assert (found.status, found.version) == ({"count": 50}, 51)


def test_threads_never_lose_an_update(file: Path) -> None:
    database = open_database(f"sqlite:///{file}")
    store = SqlStateStore(database, "local")
    lease = store.acquire("a", TTL, NOW)
    assert lease is not None
    store.save(Record(ref=VIEW, status={"count": 0}), lease.token)
    start = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: _increment(str(file), 10, start), range(4)))
    found = store.load(VIEW)
    assert found is not None
    assert found.status == {"count": 40}
    database.close()


def _lead_then_pause(file: str, pipe: Pipe) -> None:
    database = open_database(f"sqlite:///{file}")
    store = SqlStateStore(database, "local")
    lease = store.acquire("paused", TTL, NOW)
    assert lease is not None
    saved = store.save(Record(ref=VIEW, status={"by": "paused"}), lease.token)
    pipe.send(lease.token)
    pipe.recv()  # paused, while somebody else takes over
    answers = []
    writes: list[Callable[[], Any]] = [
        lambda: store.save(saved.model_copy(update={"status": {"by": "a ghost"}}), lease.token),
        lambda: store.append_events([event(1)], lease.token),
        lambda: store.delete(saved, lease.token),
    ]
    for write in writes:
        try:
            write()
            answers.append("written")
        except ConflictError as error:
            answers.append(str(error))
    pipe.send((answers, store.acquire("paused", TTL, NOW) is None))
    database.close()


def test_a_leader_that_was_paused_in_another_process_cannot_write(file: Path, store: SqlStateStore) -> None:
    here, there = _processes.Pipe()
    leader = _processes.Process(target=_lead_then_pause, args=(str(file), there))
    leader.start()
    old = here.recv()
    assert store.acquire("new", TTL, NOW) is None
    lease = store.acquire("new", TTL, NOW, over=store.lease())
    assert lease is not None
    here.send("go on")
    answers, refused = here.recv()
    leader.join(30)
    assert lease.token > old
    assert [f"token {old} is stale" in answer for answer in answers] == [True] * 3
    assert refused
    found = store.load(VIEW)
    assert found is not None
    assert found.status == {"by": "paused"}
    assert list(store.events()) == []


def _open_all(folder: str, count: int, start: Any) -> None:
    for number in range(count):
        start.wait()
        open_database(f"sqlite:///{folder}/{number}.db").close()


def test_several_processes_open_a_new_database_at_the_same_time(tmp_path: Path) -> None:
    start = _processes.Barrier(3)
    _finish([_processes.Process(target=_open_all, args=(str(tmp_path), 20, start)) for _ in range(3)])
    assert len(list(tmp_path.glob("*.db"))) == 20


def _finish(workers: list[Any]) -> None:
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * len(workers)


@pytest.mark.parametrize("lock", ["BEGIN EXCLUSIVE", "BEGIN IMMEDIATE", "BEGIN; SELECT * FROM sqlite_master"])
def test_opening_a_new_database_waits_for_whoever_is_opening_it_too(file: Path, lock: str) -> None:
    held = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    held.execute("CREATE TABLE theirs (id)")
    for statement in lock.split("; "):
        held.execute(statement).fetchall()
    releasing = threading.Timer(0.3, held.rollback)
    began = time.monotonic()
    releasing.start()
    open_database(f"sqlite:///{file}", busy_seconds=10).close()
    assert 0.25 < time.monotonic() - began < 5
    releasing.join()
    held.close()


def test_a_database_locked_at_opening_is_a_configuration_error(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigurationError, match="another process holds its lock for too long"):
            open_database(f"sqlite:///{file}", busy_seconds=0.05)


def test_a_locked_database_is_transient_and_then_goes_on(file: Path, store: SqlStateStore, token: int) -> None:
    saved = store.save(Record(ref=VIEW, status={}), token)
    with closing(sqlite3.connect(file, isolation_level=None)) as held:
        held.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransientError, match="lock"):
            store.save(saved, token)
        assert store.load(VIEW) == saved  # reading goes on
    assert store.save(saved, token).version == 2


# ---------------------------------------------------------------------- whole or not at all


def test_a_conflict_rolls_everything_back(database: Database, store: SqlStateStore, token: int) -> None:
    row = {"environment": "local", "kind": "FeatureView", "name": "flights", "version": 1, "body": "{}"}
    with pytest.raises(ConflictError), database.write() as connection:  # noqa: PT012 - the second one is what conflicts
        connection.execute(insert(tables.records).values(**row))
        connection.execute(insert(tables.records).values(**row))
    assert list(store.records()) == []
    assert store.save(Record(ref=VIEW, status={}), token).version == 1


def _die_while_writing(file: str) -> None:
    database = open_database(f"sqlite:///{file}")
    with database.write() as connection:
        item = chain.link(event(9), 3, "f" * 64)
        row = {"sequence": 3, "body": item.body, "previous": item.previous, "hash": item.hash}
        connection.execute(insert(tables.events).values(environment="local", **row))
        connection.execute(tables.environments.update().values(events=3, head=item.hash))
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_killed_in_the_middle_of_a_write_leaves_nothing_of_it(
    file: Path, store: SqlStateStore, token: int
) -> None:
    store.append_events([event(1), event(2)], token)
    victim = _processes.Process(target=_die_while_writing, args=(str(file),))
    victim.start()
    victim.join(30)
    assert victim.exitcode == -signal.SIGKILL
    assert [item.data["number"] for item in store.events()] == [1, 2]
    assert store.verify_events() == ()
    store.append_events([event(3)], token)
    assert store.verify_events() == ()


def test_reading_writes_nothing(file: Path, store: SqlStateStore, token: int) -> None:
    store.save(Record(ref=VIEW, status={}), token)
    with closing(sqlite3.connect(file)) as other:
        before = other.execute("PRAGMA data_version").fetchone()
        store.load(VIEW), store.records(), store.events(), store.revisions(), store.lease(), store.pin(), store.seal()
        store.verify_events()
        open_database(f"sqlite:///{file}").close()
        assert other.execute("PRAGMA data_version").fetchone() == before
        store.append_events([event(1)], token)
        assert other.execute("PRAGMA data_version").fetchone() != before


# ---------------------------------------------------------------------- the log


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM mlops_events WHERE sequence = 1", "events 1 to 1 are missing"),
        ("DELETE FROM mlops_events WHERE sequence = 2", "events 2 to 2 are missing"),
        ("DELETE FROM mlops_events WHERE sequence >= 4", "events 4 to 5 are missing"),
        ("DELETE FROM mlops_events", "events 1 to 5 are missing"),
        (
            """UPDATE mlops_events SET body = replace(body, '"number":2', '"number":9') WHERE sequence = 3""",
            "event 3 was changed",
        ),
        ("UPDATE mlops_events SET previous = hash WHERE sequence = 3", "event 3 does not follow event 2"),
        ("UPDATE mlops_events SET sequence = 6 WHERE sequence = 5", "event 6 was moved"),
    ],
)
def test_a_changed_log_is_noticed(file: Path, store: SqlStateStore, token: int, statement: str, told: str) -> None:
    store.append_events([event(number) for number in range(5)], token)
    assert store.verify_events() == ()
    by_hand(file, statement)
    assert told in store.verify_events()


def test_two_events_that_changed_places_are_noticed(file: Path, store: SqlStateStore, token: int) -> None:
    store.append_events([event(number) for number in range(5)], token)
    moves = [
        f"UPDATE mlops_events SET sequence = {new} WHERE sequence = {old}" for old, new in ((2, 9), (3, 2), (9, 3))
    ]
    by_hand(file, *moves)
    problems = store.verify_events()
    assert "event 2 was moved" in problems
    assert "event 3 was moved" in problems


def test_rewriting_an_event_with_a_hash_to_match_breaks_the_next_link(
    file: Path, store: SqlStateStore, token: int
) -> None:
    store.append_events([event(number) for number in range(5)], token)
    _forge(file, 3)
    assert store.verify_events() == ("event 4 does not follow event 3",)


def test_rewriting_the_last_event_with_a_hash_to_match_is_noticed(file: Path, store: SqlStateStore, token: int) -> None:
    store.append_events([event(number) for number in range(5)], token)
    _forge(file, 5)
    assert store.verify_events() == ("the last event is not the one that was appended last",)


def test_an_event_added_outside_the_log_is_noticed(file: Path, store: SqlStateStore, token: int) -> None:
    store.append_events([event(1)], token)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        (head,) = connection.execute("SELECT hash FROM mlops_events").fetchone()
        item = chain.link(event(2), 2, head)
        row = ("local", 2, item.body, item.previous, item.hash)
        connection.execute(
            "INSERT INTO mlops_events (environment, sequence, body, previous, hash) VALUES (?, ?, ?, ?, ?)", row
        )
    assert store.verify_events() == ("events 2 to 2 were added outside the log",)


def test_the_seal_is_read_of_a_log_that_was_tampered_with(file: Path, store: SqlStateStore, token: int) -> None:
    store.append_events([event(number) for number in range(5)], token)
    whole = store.seal()
    by_hand(
        file, "UPDATE mlops_events SET body = '{' WHERE sequence = 1", "DELETE FROM mlops_events WHERE sequence = 5"
    )
    assert store.seal() == whole.model_copy(update={"first": None})
    assert set(store.verify_events()) >= {"event 1 was changed", "events 5 to 5 are missing"}


def _forge(file: Path, sequence: int) -> None:
    """Another event in the place of this one, with the hash that it should have there."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        query = "SELECT previous FROM mlops_events WHERE sequence = ?"
        (previous,) = connection.execute(query, (sequence,)).fetchone()
        item = chain.link(event(99), sequence, previous)
        connection.execute(
            "UPDATE mlops_events SET body = ?, hash = ? WHERE sequence = ?", (item.body, item.hash, sequence)
        )


# ---------------------------------------------------------------------- a world that fails


def test_a_full_disk_is_transient_and_loses_nothing(database: Database, store: SqlStateStore, token: int) -> None:
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


def test_a_database_that_vanishes_is_not_written_into_the_void(file: Path, store: SqlStateStore, token: int) -> None:
    saved = store.save(Record(ref=VIEW, status={"step": 1}), token)
    aside = file.with_name("aside.db")
    file.rename(aside)
    for call in (lambda: store.save(saved, token), lambda: store.load(VIEW), lambda: store.acquire("b", TTL, NOW)):
        with pytest.raises(TransientError, match="is gone"):
            call()
    assert not file.exists()
    aside.rename(file)
    assert store.load(VIEW) == saved
    assert store.save(saved, token).version == 2


def test_a_file_that_vanishes_between_two_looks_is_not_made_anew(
    file: Path, database: Database, store: SqlStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_ensure_same_file", lambda: None)
    database.close()
    file.unlink()
    with pytest.raises(TransientError, match="cannot be opened"):
        store.load(VIEW)
    assert not file.exists()


def test_a_database_that_was_replaced_by_an_empty_one_is_refused(file: Path, store: SqlStateStore) -> None:
    file.rename(file.with_name("aside.db"))
    file.touch()
    with pytest.raises(ConfigurationError, match="replaced by one without mlopsctl's tables"):
        store.load(VIEW)


def test_a_database_that_was_replaced_by_a_backup_is_read(file: Path, store: SqlStateStore, token: int) -> None:
    saved = store.save(Record(ref=VIEW, status={"step": 1}), token)
    backup = file.with_name("backup.db")
    by_hand(file, f"VACUUM INTO '{backup}'")
    store.save(saved, token)
    for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
        file.with_name(name).rename(file.with_name(f"old-{name}"))
    backup.rename(file)
    assert store.load(VIEW) == saved


def test_a_damaged_file_is_a_configuration_error(file: Path) -> None:
    file.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(ConfigurationError, match="damaged or no database"):
        open_database(f"sqlite:///{file}")


def test_damage_found_later_is_a_configuration_error(
    file: Path, database: Database, store: SqlStateStore, token: int
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


def test_a_newer_schema_is_refused(file: Path, database: Database) -> None:
    by_hand(file, "UPDATE mlops_schema SET version = 99")
    with pytest.raises(ConfigurationError, match="newer mlopsctl: its schema is version 99"):
        open_database(f"sqlite:///{file}")


def _as_version_1(file: Path) -> None:
    """What an mlopsctl without pins and notes left behind."""
    by_hand(
        file,
        "DROP TABLE mlops_pins",
        "DROP TABLE mlops_notes",
        "ALTER TABLE mlops_events DROP COLUMN reason",
        "ALTER TABLE mlops_events DROP COLUMN time",
        "UPDATE mlops_schema SET version = 1",
    )


def test_a_database_of_an_older_version_opens_with_all_it_has(file: Path, store: SqlStateStore, token: int) -> None:
    saved = store.save(Record(ref=VIEW, status={"step": 1}), token)
    store.append_events([event(1)], token)
    _as_version_1(file)
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


def test_a_backup_of_an_older_version_that_was_put_back_is_read(file: Path, store: SqlStateStore, token: int) -> None:
    saved = store.save(Record(ref=VIEW, status={"step": 1}), token)
    backup = file.with_name("backup.db")
    by_hand(file, f"VACUUM INTO '{backup}'")
    _as_version_1(backup)
    for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
        file.with_name(name).rename(file.with_name(f"old-{name}"))
    backup.rename(file)
    assert store.load(VIEW) == saved
    assert store.pin() is None


def test_several_processes_open_an_older_database_at_the_same_time(file: Path, store: SqlStateStore) -> None:
    _as_version_1(file)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: open_database(f"sqlite:///{file}").close(), range(16)))
    assert store.pin() is None


def test_a_log_of_an_older_version_is_asked_for_like_a_newer_one(file: Path, store: SqlStateStore, token: int) -> None:
    store.append_events([event(1), event(2).model_copy(update={"reason": "Failed"})], token)
    _as_version_1(file)
    with closing(open_database(f"sqlite:///{file}")) as database:
        migrated = SqlStateStore(database, "local")
        migrated.append_events([event(3)], token)
        assert [item.data["number"] for item in migrated.events(reasons=("Trained",))] == [1, 3]
        assert list(migrated.events(since=NOW + timedelta(seconds=1))) == []
        assert migrated.verify_events() == ()


def test_a_database_without_a_version_is_refused(file: Path, database: Database) -> None:
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
