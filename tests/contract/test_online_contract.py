from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from framework.api.errors import TerminalError, TransientError
from framework.backends.memory.online import MemoryOnline
from framework.online import open_store
from framework.online.store import Batch, OnlineStore
from tests.contract.suites.online import FIRST, SECOND, VIEW, A, B, OnlineStoreContract, at, place_at
from tests.services.redis import RedisServer, redis_server


class TestMemoryOnline(OnlineStoreContract):
    @pytest.fixture
    def store(self) -> OnlineStore:
        return MemoryOnline()


class TestSqlite(OnlineStoreContract):
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return tmp_path / "some folder" / "online.db"

    @pytest.fixture
    def store(self, file: Path) -> OnlineStore:
        return open_store(place_at(f"sqlite:///{file}"))

    @pytest.fixture
    def open_again(self, file: Path) -> Callable[[], OnlineStore]:
        return lambda: open_store(place_at(f"sqlite:///{file}"))

    def test_who_only_looks_makes_no_file(self, store: OnlineStore, file: Path) -> None:
        store.describe(VIEW)
        store.read({VIEW: [A]})
        store.drop(VIEW)
        assert not file.parent.exists()

    def test_a_file_that_was_removed_is_noticed(self, store: OnlineStore, file: Path) -> None:
        store.write(VIEW, FIRST, [[(A, at(1))]])
        for name in file.parent.iterdir():
            name.unlink()
        assert store.describe(VIEW) is None

    def test_a_damaged_file_is_transient(self, store: OnlineStore, file: Path) -> None:
        file.parent.mkdir()
        file.write_bytes(b"no database" * 100)
        for verb in (lambda: store.describe(VIEW), lambda: store.write(VIEW, FIRST, [])):
            with pytest.raises(TransientError, match=r"online store sqlite:.* cannot be used"):
                verb()

    def test_environments_do_not_see_each_other(self, store: OnlineStore, file: Path) -> None:
        other = open_store(place_at(f"sqlite:///{file}", "prod"))
        store.write(VIEW, FIRST, [[(A, at(1, b"local"))]])
        other.write(VIEW, SECOND, [[(A, at(1, b"prod"))]])
        store.drop(VIEW)
        found = other.read({VIEW: [A]})[VIEW]
        assert found is not None
        assert list(found.values) == [at(1, b"prod")]

    def test_what_is_not_read_any_more_is_removed(self, store: OnlineStore, file: Path) -> None:
        def broken() -> Iterator[Batch]:
            yield [(A, at(1))]
            raise ZeroDivisionError

        store.write(VIEW, FIRST, [[(A, at(1)), (B, at(1))]])
        with pytest.raises(ZeroDivisionError):
            store.write(VIEW, SECOND, broken())
        store.write(VIEW, SECOND, [[(B, at(1))]])
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT count(*) FROM rows").fetchone() == (1,)

    def test_a_write_that_was_overtaken_leaves_no_row(self, store: OnlineStore, file: Path) -> None:
        def overtaken() -> Iterator[Batch]:
            yield [(A, at(1, b"slow"))]
            store.write(VIEW, SECOND, [[(A, at(1, b"quick"))]])
            yield [(B, at(1, b"slow"))]

        with pytest.raises(TransientError, match="came between"):
            store.write(VIEW, FIRST, overtaken())
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT count(*) FROM rows").fetchone() == (1,)


class TestRedis(OnlineStoreContract):
    @pytest.fixture(scope="class")
    def server(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
        with redis_server(tmp_path_factory.mktemp("redis")) as server:
            yield server

    @pytest.fixture
    def store(self, server: RedisServer, request: pytest.FixtureRequest) -> OnlineStore:
        return open_store(place_at(server.url, request.node.name), timeout=2.0)

    @pytest.fixture
    def open_again(self, server: RedisServer, request: pytest.FixtureRequest) -> Callable[[], OnlineStore]:
        return lambda: open_store(place_at(server.url, request.node.name))

    def keys(self, server: RedisServer, space: str) -> dict[str, int]:
        """By what is kept there, the seconds until it ends; -1 where it does not."""
        import redis

        client = redis.Redis.from_url(server.url, decode_responses=True)
        found = {name.partition(f":{space}:")[2]: client.ttl(name) for name in client.keys(f"*:{space}:*")}
        client.close()
        return found

    def test_rows_end_with_the_newest_of_them(
        self, store: OnlineStore, server: RedisServer, request: pytest.FixtureRequest
    ) -> None:
        now = int(time.time() * 1e6)
        value = (2**63 + now).to_bytes(8, "big")
        before = store.write(VIEW, FIRST, [[(A, value), (B, (2**63 + now - 10**9).to_bytes(8, "big"))]])
        (seconds,) = (left for name, left in self.keys(server, request.node.name).items() if ":rows:" in name)
        assert 3590 <= seconds <= 3602
        store.write(VIEW, SECOND, [[(B, (2**63 + now + 10**9).to_bytes(8, "big"))]], before)
        (seconds,) = (left for name, left in self.keys(server, request.node.name).items() if ":rows:" in name)
        assert 4590 <= seconds <= 4602

    def test_what_the_server_lost_is_none_and_what_ended_is_still_known(
        self, store: OnlineStore, server: RedisServer
    ) -> None:
        import redis

        store.write(VIEW, FIRST, [[(A, at(1))]])
        over = store.write("old", FIRST, [[(A, (2**63 + 10**9).to_bytes(8, "big"))]])
        client = redis.Redis.from_url(server.url)
        client.delete(*client.keys(f"*{VIEW}:rows:*"))
        client.close()
        assert store.describe(VIEW) is None
        assert store.describe("old") == over
        found = store.read({"old": [A]})["old"]
        assert found is not None
        assert list(found.values) == [None]

    def test_what_is_not_read_any_more_is_removed(
        self, store: OnlineStore, server: RedisServer, request: pytest.FixtureRequest
    ) -> None:
        def broken() -> Iterator[Batch]:
            yield [(A, at(1))]
            raise ZeroDivisionError

        before = store.write(VIEW, FIRST, [[(A, at(1))]])
        for onto in (None, before):
            with pytest.raises(ZeroDivisionError):
                store.write(VIEW, SECOND, broken(), onto)
        store.write(VIEW, SECOND, [[(B, at(1))]], before)
        assert sum(":rows:" in name for name in self.keys(server, request.node.name)) == 1

        def overtaken() -> Iterator[Batch]:
            yield [(A, at(1, b"slow"))]
            store.write(VIEW, SECOND, [[(A, at(1, b"quick"))]])
            yield [(B, at(1, b"slow"))]

        with pytest.raises(TransientError, match="came between"):
            store.write(VIEW, FIRST, overtaken())
        assert sum(":rows:" in name for name in self.keys(server, request.node.name)) == 1
        store.drop(VIEW)
        assert self.keys(server, request.node.name) == {}

    def test_one_that_is_down_is_transient_and_found_again(self, tmp_path: Path) -> None:
        with redis_server(tmp_path) as server:
            store = open_store(place_at(server.url), timeout=2.0)
            store.write(VIEW, FIRST, [[(A, at(1))]])
            server.stop()
            for verb in (
                lambda: store.describe(VIEW),
                lambda: store.read({VIEW: [A]}),
                lambda: store.drop(VIEW),
                lambda: store.write(VIEW, SECOND, []),
            ):
                with pytest.raises(TransientError, match=r"online store redis:.* cannot be used"):
                    verb()
            server.start()
            assert store.describe(VIEW) is None
            assert store.write(VIEW, SECOND, [[(A, at(1))]]).rows == 1

    def test_one_that_does_not_answer_takes_no_longer_than_it_may(self) -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            store = open_store(place_at(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"), timeout=0.2)
            started = time.monotonic()
            with pytest.raises(TransientError):
                store.read({VIEW: [A]})
            assert time.monotonic() - started < 2.0


def test_an_address_that_no_store_has_says_which_there_are() -> None:
    with pytest.raises(TerminalError, match=r"sqlite:// or redis://, not reddis://; did you mean 'redis'"):
        open_store(place_at("reddis://h"))
