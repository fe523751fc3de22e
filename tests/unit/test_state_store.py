"""The state store in SQL: several at once, whole or not at all, and the log."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from framework.api.errors import ConfigurationError, ConflictError, TransientError
from framework.backends.state import chain, tables
from framework.backends.state.database import StateDatabase, open_database
from framework.backends.state.store import SqlStateStore
from framework.ports import Record
from tests.unit.state_files import NOW, TTL, VIEW, by_hand, database, event, file, store, token

__all__ = ["database", "file", "store", "token"]

_processes = multiprocessing.get_context("spawn")


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_a_conflict_rolls_everything_back(database: StateDatabase, store: SqlStateStore, token: int) -> None:
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


@pytest.mark.slow
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
