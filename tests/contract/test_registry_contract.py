from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.backends.memory import MemoryRegistry, MemoryStateStore
from framework.backends.state.database import StateDatabase, open_database
from framework.backends.state.registry import SqlModelRegistry
from framework.backends.state.store import SqlStateStore
from tests.contract.suites.registry import ModelRegistryContract, RegistryWorld, version


class TestMemoryRegistry(ModelRegistryContract):
    @pytest.fixture
    def world(self) -> RegistryWorld:
        state = MemoryStateStore()
        return RegistryWorld(MemoryRegistry(state), state)


class TestSqliteRegistry(ModelRegistryContract):
    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[StateDatabase]:
        database = open_database("sqlite:///state.db", str(tmp_path))
        yield database
        database.close()

    @pytest.fixture
    def world(self, database: StateDatabase) -> RegistryWorld:
        return RegistryWorld(SqlModelRegistry(database, "local"), SqlStateStore(database, "local"))

    def test_environments_do_not_see_each_others_versions(self, world: RegistryWorld, database: StateDatabase) -> None:
        other = RegistryWorld(SqlModelRegistry(database, "other"), SqlStateStore(database, "other"))
        world.registry.register(version("v1", auc=0.7), world.token())
        assert other.registry.get("delay", "v1") is None
        other.registry.register(version("v1", auc=0.9), other.token())
        assert world.registry.get("delay", "v1") == version("v1", auc=0.7)
        assert list(other.registry.versions("delay")) == [version("v1", auc=0.9)]
        world.registry.forget("delay", world.token())
        assert list(other.registry.versions("delay")) == [version("v1", auc=0.9)]
