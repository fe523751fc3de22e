"""The model registry: a few rows beside the state they belong to, so that one backup and one lease cover both."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from framework.api.errors import DamagedError
from framework.backends.state import tables
from framework.backends.state.counters import counters, fence, next_position
from framework.backends.state.damage import Damages, model_of
from framework.backends.state.database import StateDatabase
from framework.backends.state.stored import dump
from framework.ports import ModelVersion

_KEPT = tables.models.c
_ONE = select(_KEPT.training, _KEPT.version, _KEPT.body).where(
    _KEPT.environment == bindparam("environment"),
    _KEPT.training == bindparam("training"),
    _KEPT.version == bindparam("version"),
)
_BUILT = tables.builds.c
_BUILDS = (
    select(_KEPT.training, _KEPT.version, _KEPT.body)
    .select_from(
        tables.models.outerjoin(
            tables.builds,
            (_BUILT.environment == _KEPT.environment)
            & (_BUILT.training == _KEPT.training)
            & (_BUILT.version == _KEPT.version)
            & (_BUILT.identity == bindparam("identity")),
        )
    )
    .where(
        _KEPT.environment == bindparam("environment"),
        _KEPT.training == bindparam("training"),
        _BUILT.identity.is_not(None) | (_KEPT.version == bindparam("identity")),
    )
    .order_by(func.coalesce(_BUILT.position, -1).desc())
)
"""Put together once: every look asks for them."""


class SqlModelRegistry:
    """ModelRegistry of one environment, in the database of its state store."""

    def __init__(self, database: StateDatabase, environment: str) -> None:
        self._database = database
        self._environment = environment
        self._damages = Damages()

    def get(self, training: str, version: str) -> ModelVersion | None:
        named = {"environment": self._environment, "training": training, "version": version}
        return next(self._damages.readable(self._model, self._database.rows(_ONE, named)), None)

    def versions(self, training: str) -> Sequence[ModelVersion]:
        """By when they were created, newest first; registered later comes first where that is equal."""
        table = tables.models
        query = select(table.c.training, table.c.version, table.c.body)
        query = query.where(table.c.environment == self._environment, table.c.training == training)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.c.position.desc())).all()
        # Instants, not their texts, are compared: offsets may differ.
        return sorted(self._damages.readable(self._model, rows), key=lambda item: item.created, reverse=True)

    def builds(self, training: str, identity: str) -> Sequence[ModelVersion]:
        asked = {"environment": self._environment, "training": training, "identity": identity}
        return list(self._damages.readable(self._model, self._database.rows(_BUILDS, asked)))

    def naming(self, names: Collection[str]) -> Sequence[tuple[str, str]]:
        query = select(_KEPT.training, _KEPT.version).where(_KEPT.environment == bindparam("here"))
        query = query.where(tables.holds_one_of(_KEPT.body, names)).order_by(_KEPT.training, _KEPT.version)
        rows = self._database.rows(query, {"here": self._environment})
        return [(str(training), str(version)) for training, version in rows]

    def register(self, version: ModelVersion, token: int) -> None:
        with self._database.write() as connection:
            self._insert(connection, version, fence(connection, self._environment, token)["models"])

    def adopt(self, version: ModelVersion) -> None:
        with self._database.write() as connection:
            self._insert(connection, version, counters(connection, self._environment)["models"])

    def _model(self, training: object, version: object, body: str) -> ModelVersion:
        return model_of(training, version, self._database.places.found(body))

    def _insert(self, connection: Connection, version: ModelVersion, counter: object) -> None:
        table = tables.models
        key = {"environment": self._environment, "training": version.training, "version": version.version}
        known = connection.execute(select(table.c.body).filter_by(**key)).scalar_one_or_none()
        if known is None or not self._is_readable(version, known):
            connection.execute(delete(table).filter_by(**key))
            counter = self._next(connection, counter)
            body = self._database.places.kept(dump(version))
            connection.execute(insert(table).values(**key, position=counter, body=body))
        named = {**key, "identity": version.asked_for}
        if connection.execute(select(_BUILT.version).filter_by(**named)).first() is None:
            connection.execute(insert(tables.builds).values(**named, position=self._next(connection, counter)))

    def _next(self, connection: Connection, counter: object) -> int:
        """The place of what is appended now."""
        position = next_position(connection, tables.models, self._environment, counter)
        here = tables.environments.c.environment == self._environment
        connection.execute(update(tables.environments).where(here).values(models=position))
        return position

    def _is_readable(self, version: ModelVersion, body: object) -> bool:
        try:
            model_of(version.training, version.version, body)
        except DamagedError as error:
            self._damages.tell(error)
            return False
        return True

    def forget(self, training: str, token: int) -> None:
        with self._database.write() as connection:
            fence(connection, self._environment, token)
            for table in (tables.models, tables.builds):
                here = (table.c.environment == self._environment) & (table.c.training == training)
                connection.execute(delete(table).where(here))
