"""The model registry: a few rows beside the state they belong to, so that one backup and one lease cover both."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select, update

from framework.backends.state import chain, tables
from framework.backends.state.database import Database
from framework.backends.state.store import counters, fence
from framework.ports import ModelVersion


class SqlModelRegistry:
    """ModelRegistry of one environment, in the database of its state store."""

    def __init__(self, database: Database, environment: str) -> None:
        self._database = database
        self._environment = environment

    def get(self, training: str, version: str) -> ModelVersion | None:
        table = tables.models
        query = select(table.c.body).where(
            table.c.environment == self._environment, table.c.training == training, table.c.version == version
        )
        with self._database.read() as connection:
            body = connection.execute(query).scalar_one_or_none()
        return None if body is None else self._version(body)

    def versions(self, training: str) -> Sequence[ModelVersion]:
        """By when they were created, newest first; registered later comes first where that is equal."""
        table = tables.models
        query = select(table.c.body).where(table.c.environment == self._environment, table.c.training == training)
        with self._database.read() as connection:
            bodies = connection.execute(query.order_by(table.c.position.desc())).scalars().all()
        # Instants, not their texts, are compared: offsets may differ.
        return sorted(map(self._version, bodies), key=lambda item: item.created, reverse=True)

    def register(self, version: ModelVersion, token: int) -> None:
        with self._database.write() as connection:
            self._insert(connection, version, fence(connection, self._environment, token)["models"] + 1)

    def adopt(self, version: ModelVersion) -> None:
        with self._database.write() as connection:
            self._insert(connection, version, counters(connection, self._environment)["models"] + 1)

    def _version(self, body: str) -> ModelVersion:
        return chain.load(ModelVersion, self._database.places.found(body))

    def _insert(self, connection: Connection, version: ModelVersion, position: int) -> None:
        table, environments = tables.models, tables.environments
        key = {"environment": self._environment, "training": version.training, "version": version.version}
        known = select(table.c.position).filter_by(**key)
        if connection.execute(known).scalar_one_or_none() is not None:
            return
        body = self._database.places.kept(chain.dump(version))
        connection.execute(insert(table).values(**key, position=position, body=body))
        here = environments.c.environment == self._environment
        connection.execute(update(environments).where(here).values(models=position))

    def forget(self, training: str, token: int) -> None:
        table = tables.models
        with self._database.write() as connection:
            fence(connection, self._environment, token)
            here = (table.c.environment == self._environment) & (table.c.training == training)
            connection.execute(delete(table).where(here))
