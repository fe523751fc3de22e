"""Threads that write to one SQLite file at the same time wait for the disk together, and fail each by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.pool import StaticPool

from framework.api.errors import TransientError
from framework.backends.state.database import open_database
from framework.backends.state.together import Together

WRITERS = 8


class File:
    """A table of numbers in SQLite, as the state store opens it. ``commits`` are those that were made."""

    def __init__(self, folder: Path) -> None:
        self.database = open_database(f"sqlite:///{folder}/state.db")
        self.commits = 0
        self.gate: Callable[[], None] = lambda: None
        event.listen(self.database.engine, "commit", self._committing)
        with self.database.write() as connection:
            connection.execute(text("CREATE TABLE numbers (n INTEGER PRIMARY KEY)"))
        self.commits = 0

    def _committing(self, connection: Connection) -> None:
        self.commits += 1
        self.gate()

    def put(self, number: int) -> None:
        with self.database.write() as connection:
            connection.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": number})
            if number < 0:
                raise ValueError(number)

    @property
    def numbers(self) -> list[int]:
        with self.database.read() as connection:
            return [row[0] for row in connection.execute(text("SELECT n FROM numbers ORDER BY n"))]

    def at_once(self, numbers: list[int]) -> list[BaseException | None]:
        """Put all but the first while the commit of the first goes on; what each raised."""
        others = threading.Event()

        def gate() -> None:
            self.gate = lambda: None
            others.set()
            while self.database._together is not None and self.database._together._waiting < len(numbers) - 1:
                pass

        self.gate = gate
        with ThreadPoolExecutor(len(numbers)) as pool:
            first = pool.submit(self.put, numbers[0])
            assert others.wait(10)
            rest = [pool.submit(self.put, number) for number in numbers[1:]]
            return [item.exception(timeout=20) for item in (first, *rest)]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    made = File(tmp_path)
    yield made
    made.database.close()


def test_writes_that_wait_at_the_same_time_are_committed_together(file: File) -> None:
    assert file.at_once(list(range(WRITERS))) == [None] * WRITERS
    assert file.numbers == list(range(WRITERS))
    assert file.commits - 1 == 2  # one of them is of the reading just now


def test_one_that_fails_leaves_nothing_and_takes_nobody_with_it(file: File) -> None:
    raised = file.at_once([0, 1, -2, 3, -4])
    assert [type(error) for error in raised] == [type(None), type(None), ValueError, type(None), ValueError]
    assert file.numbers == [0, 1, 3]


def test_a_write_is_on_disk_when_it_is_answered(file: File) -> None:
    seen: list[bool] = []

    def put(number: int) -> None:
        file.put(number)
        seen.append(number in file.numbers)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(put, range(40)))
    assert seen == [True] * 40


def test_what_keeps_a_commit_from_the_disk_is_told_to_everybody_in_it() -> None:
    engine = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)
    waiting = threading.Event()

    @contextmanager
    def begin() -> Iterator[Connection]:
        with engine.connect() as connection, connection.begin():
            yield connection
            raise TransientError("the disk is full")

    together = Together(begin)

    def write(first: bool) -> None:
        with together.write():
            if first:
                waiting.set()
                while together._waiting < 1:
                    pass

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(write, True)
        assert waiting.wait(10)
        other = pool.submit(write, False)
        assert {str(item.exception(timeout=10)) for item in (one, other)} == {"the disk is full"}
    assert together._open is None


def test_a_commit_that_was_left_to_somebody_who_was_interrupted_is_made_all_the_same(file: File) -> None:
    together = file.database._together
    assert together is not None
    together._count(1)  # who never comes
    file.put(1)
    together._count(-1)
    assert file.numbers == [1]
