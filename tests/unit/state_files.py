"""A state store in a SQLite file, as tests of it have one: import the fixtures."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from framework.api.meta import Ref
from framework.backends.state.database import StateDatabase, open_database
from framework.backends.state.store import SqlStateStore
from framework.ports import Event

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
VIEW, JOB = Ref("FeatureView", "flights"), Ref("TrainingJob", "delay")
TTL = 30.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def database(file: Path) -> Iterator[StateDatabase]:
    database = open_database(f"sqlite:///{file}", busy_seconds=0.05)
    yield database
    database.close()


@pytest.fixture
def store(database: StateDatabase) -> SqlStateStore:
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


def as_version_1(file: Path) -> None:
    """What an mlopsctl without pins and notes left behind."""
    by_hand(
        file,
        "DROP TABLE mlops_pins",
        "DROP TABLE mlops_notes",
        "ALTER TABLE mlops_events DROP COLUMN reason",
        "ALTER TABLE mlops_events DROP COLUMN time",
        "UPDATE mlops_schema SET version = 1",
    )
