from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.backends.memory import MemoryStateStore
from framework.backends.state.database import open_database
from framework.backends.state.store import SqlStateStore
from framework.ports import StateStore
from tests.contract.suites.events import EventLogContract
from tests.contract.suites.lease import LeaseContract
from tests.contract.suites.state import VIEW, StateStoreContract, event, heartbeat, pin, record, revision, taken, word


class TestMemoryState(StateStoreContract, EventLogContract, LeaseContract):
    @pytest.fixture
    def store(self) -> StateStore:
        return MemoryStateStore()


class TestSqliteState(StateStoreContract, EventLogContract, LeaseContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[StateStore]:
        database = open_database("sqlite:///state.db", str(tmp_path))
        yield SqlStateStore(database, "local")
        database.close()


class TestSqliteStateBesideAnother(StateStoreContract, EventLogContract, LeaseContract):
    """Another environment in the same database, with values under the same names, is neither seen nor touched."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[StateStore]:
        database = open_database("sqlite:///state.db", str(tmp_path))
        other = SqlStateStore(database, "other")
        token = taken(other, "z").token
        kept = other.save(record(VIEW, of="another"), token)
        other.append_events([event(7, VIEW)], token)
        other.save_revision(revision(7), token)
        other.set_pin(pin(7))
        other.say(word("prune/x"))
        other.beat(heartbeat(7), token)
        yield SqlStateStore(database, "local")
        assert list(other.records()) == [kept]
        assert [item.data for item in other.events()] == [{"number": 7}]
        assert list(other.revisions()) == [revision(7)]
        assert other.pin() == pin(7)
        assert list(other.words()) == [word("prune/x")]
        assert other.heartbeat() == heartbeat(7)
        assert other.verify_events() == ()
        assert other.save(kept, token).version == 2
        database.close()
