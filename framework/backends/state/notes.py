"""What an environment has one of, by a name: its owner, how its clock stands, what people said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from framework.backends.state import tables
from framework.backends.state.damage import WORD
from framework.backends.state.database import StateDatabase

_NOTED = tables.notes.c
_NOTE = select(_NOTED.body).where(_NOTED.environment == bindparam("here"), _NOTED.name == bindparam("name"))
_AGAIN = (
    update(tables.notes)
    .where(_NOTED.environment == bindparam("here"), _NOTED.name == bindparam("named"))
    .values(body=bindparam("kept"))
)
_WORDS = (
    select(_NOTED.name, _NOTED.body)
    .where(_NOTED.environment == bindparam("here"), _NOTED.name.startswith(WORD, autoescape=True))
    .order_by(_NOTED.name)
)


class Notes:
    """Those of one environment."""

    def __init__(self, database: StateDatabase, environment: str) -> None:
        self._database, self._environment = database, environment

    def rows(self, name: str) -> Sequence[Any]:
        """(body,), or nothing."""
        return self._database.rows(_NOTE, {"here": self._environment, "name": name})

    def words(self) -> Sequence[Any]:
        """(name, body) of what people said, sorted by name."""
        return self._database.rows(_WORDS, {"here": self._environment})

    def found(self, connection: Connection, name: str) -> Any:
        """Its body as the transaction sees it, None where there is none."""
        return connection.execute(_NOTE, {"here": self._environment, "name": name}).scalar_one_or_none()

    def put(self, connection: Connection, name: str, body: str) -> None:
        known = connection.execute(_AGAIN, {"here": self._environment, "named": name, "kept": body})
        if not known.rowcount:
            values = {"environment": self._environment, "name": name, "body": body}
            connection.execute(insert(tables.notes), values)

    def remove(self, connection: Connection, name: str, body: str) -> None:
        """Unless it says something else by now."""
        here = {"environment": self._environment, "name": name}
        connection.execute(delete(tables.notes).filter_by(**here, body=body))
