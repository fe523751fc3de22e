"""A state database in SQLite whose files somebody moves, replaces or puts back while it is open."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import permutations
from pathlib import Path

import pytest

from framework.api.errors import ConfigurationError, TransientError
from framework.backends.state import files
from framework.backends.state.database import StateDatabase, open_database
from framework.backends.state.store import SqlStateStore
from framework.ports import Record
from tests.unit.state_files import NOW, TTL, VIEW, as_version_1, by_hand, database, file, store, token

__all__ = ["database", "file", "store", "token"]


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put in the place of the database is there at once."""
    monkeypatch.setattr(files, "REST", 0.0)


@pytest.mark.usefixtures("whole")
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
    file: Path, database: StateDatabase, store: SqlStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_ensure_same_files", lambda: None)
    database.close()
    file.unlink()
    with pytest.raises(TransientError, match="cannot be opened"):
        store.load(VIEW)
    assert not file.exists()


@pytest.mark.usefixtures("whole")
def test_a_database_that_was_replaced_by_an_empty_one_is_refused(file: Path, store: SqlStateStore) -> None:
    file.rename(file.with_name("aside.db"))
    file.touch()
    with pytest.raises(ConfigurationError, match="replaced by one without mlopsctl's tables"):
        store.load(VIEW)


@pytest.mark.usefixtures("whole")
def test_a_database_that_was_replaced_by_a_backup_is_read(file: Path, store: SqlStateStore, token: int) -> None:
    saved = store.save(Record(ref=VIEW, status={"step": 1}), token)
    backup = file.with_name("backup.db")
    by_hand(file, f"VACUUM INTO '{backup}'")
    store.save(saved, token)
    for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
        file.with_name(name).rename(file.with_name(f"old-{name}"))
    backup.rename(file)
    assert store.load(VIEW) == saved


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """By which files are taken to be all there."""
    return Clock()


@pytest.fixture
def waiting(file: Path, clock: Clock) -> Iterator[SqlStateStore]:
    """A store that goes by ``clock``."""
    with closing(open_database(f"sqlite:///{file}", busy_seconds=0.05, steady=clock)) as database:
        yield SqlStateStore(database, "local")


def saved_in(store: SqlStateStore) -> tuple[Record, int]:
    lease = store.acquire("a", TTL, NOW)
    assert lease is not None
    return store.save(Record(ref=VIEW, status={"step": 1}), lease.token), lease.token


@pytest.mark.parametrize("order", list(permutations(("", "-wal", "-shm"))), ids="<".join)
def test_in_whatever_order_its_files_are_put_back_all_see_the_same(
    file: Path, waiting: SqlStateStore, clock: Clock, order: tuple[str, ...]
) -> None:
    saved, token = saved_in(waiting)
    away = file.with_name("away")
    away.mkdir()
    for suffix in order:
        file.with_name(file.name + suffix).rename(away / (file.name + suffix))
    with pytest.raises(TransientError, match="is gone"):
        waiting.load(VIEW)
    for suffix in order:
        clock.now += files.REST / 2
        (away / (file.name + suffix)).rename(file.with_name(file.name + suffix))
        with pytest.raises(TransientError, match=r"is gone|is being replaced"):
            waiting.load(VIEW)
    clock.now += files.REST
    assert waiting.load(VIEW) == saved
    saved = waiting.save(saved.model_copy(update={"status": {"step": 2}}), token)
    seen = "SELECT json_extract(body, '$.status.step') FROM mlops_records"
    script = f"import sqlite3; print(sqlite3.connect({str(file)!r}).execute({seen!r}).fetchall())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), waiting.load(VIEW)) == ("[(2,)]", saved)


def test_what_somebody_else_is_at_work_on_is_opened_in_the_end(
    file: Path, waiting: SqlStateStore, clock: Clock
) -> None:
    saved, token = saved_in(waiting)
    backup = file.with_name("backup.db")
    by_hand(file, f"VACUUM INTO '{backup}'")
    for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
        file.with_name(name).rename(file.with_name(f"old-{name}"))
    backup.rename(file)
    with closing(open_database(f"sqlite:///{file}")) as other:
        busy = SqlStateStore(other, "local")
        for _ in range(int(files.LONGEST / files.REST * 2)):
            saved = busy.save(saved, token)
            with pytest.raises(TransientError, match="is being replaced"):
                waiting.load(VIEW)
            clock.now += files.REST / 2
        assert waiting.load(VIEW) == saved


@pytest.mark.usefixtures("whole")
def test_what_is_replaced_in_the_midst_of_a_read_is_read_again(file: Path, database: StateDatabase, token: int) -> None:
    store = SqlStateStore(database, "local")
    saved = store.save(Record(ref=VIEW, status={"step": 1}), token)
    with database.read():
        log = file.with_name(f"{file.name}-wal")
        log.rename(log.with_suffix(".old"))
        log.write_bytes(log.with_suffix(".old").read_bytes())
        with pytest.raises(TransientError, match="was replaced while it was in use"):
            store.load(VIEW)
    assert store.load(VIEW) == saved


@pytest.mark.usefixtures("whole")
def test_a_backup_of_an_older_version_that_was_put_back_is_read(file: Path, store: SqlStateStore, token: int) -> None:
    saved = store.save(Record(ref=VIEW, status={"step": 1}), token)
    backup = file.with_name("backup.db")
    by_hand(file, f"VACUUM INTO '{backup}'")
    as_version_1(backup)
    for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
        file.with_name(name).rename(file.with_name(f"old-{name}"))
    backup.rename(file)
    assert store.load(VIEW) == saved
    assert store.pin() is None
