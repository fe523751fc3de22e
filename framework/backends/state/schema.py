"""The tables of a database, as this version has them: made, brought up from an older version, or refused."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, inspect, select, update
from sqlalchemy.schema import CreateColumn

from framework.api.errors import ConfigurationError
from framework.backends.state.project_paths import ProjectPaths
from framework.backends.state.stored import is_count
from framework.backends.state.tables import (
    METADATA,
    PREFIX,
    SCHEMA_VERSION,
    WITH_PLACES,
    events,
    models,
    records,
    schema,
)

log = logging.getLogger(__name__)


def prepare(connection: Connection, name: str, places: ProjectPaths, *, create: bool) -> None:
    """Make the tables where there are none, migrate older ones, refuse newer; a current database is not written.

    Raises:
        ConfigurationError: they are a newer version's, or nobody's; without ``create``, there are none.
    """
    if not inspect(connection).has_table(schema.name):
        if not create:
            raise ConfigurationError(f"the database {name} was replaced by one without mlopsctl's tables")
        METADATA.create_all(connection)
        connection.execute(insert(schema).values(id=1, version=SCHEMA_VERSION))
    found = connection.execute(select(schema.c.version)).scalar_one_or_none()
    if found is not None and not (is_count(found) and found > 0):
        found = _recovered(connection, name, found)
    if found is not None and found < SCHEMA_VERSION:
        found = _migrate(connection, places)
    if found is None:
        raise ConfigurationError(f"the database {name} has no schema version that this mlopsctl knows")
    if found > SCHEMA_VERSION:
        raise ConfigurationError(
            f"the database {name} was written by a newer mlopsctl: "
            f"its schema is version {found}, this one knows {SCHEMA_VERSION}"
        )


def _recovered(connection: Connection, name: str, found: Any) -> int:
    """Of a database whose version cannot be read, the oldest that it may be: what it lacks is made again. It is ours as
    long as it has nothing that we do not know.

    Raises:
        ConfigurationError: it has, so a newer mlopsctl wrote it.
    """
    seen = inspect(connection)
    unknown = {table for table in seen.get_table_names() if table.startswith(PREFIX)} - set(METADATA.tables)
    for table in METADATA.sorted_tables:
        if seen.has_table(table.name):
            columns = {column["name"] for column in seen.get_columns(table.name)}
            unknown |= {f"{table.name}.{column}" for column in columns - set(table.c.keys())}
    if unknown:
        raise ConfigurationError(
            f"the database {name} has no schema version that this mlopsctl knows (found {found!r}), "
            f"and what a newer one may have made: {', '.join(sorted(unknown))}"
        )
    log.warning("the schema version of %s was damaged (%r); it is what this version makes", name, found)
    connection.execute(delete(schema))
    METADATA.create_all(connection)
    filed = any(column["name"] == events.c.reason.name for column in seen.get_columns(events.name))
    oldest = WITH_PLACES if filed else 1  # both came with one version, and paths are rewritten once
    connection.execute(insert(schema).values(id=1, version=oldest))
    return oldest


def _migrate(connection: Connection, places: ProjectPaths) -> int:
    """Bring an older database up to this version; of several that open it at once, one does. What it has is kept."""
    found = connection.execute(select(schema.c.version).with_for_update()).scalar_one()
    METADATA.create_all(connection)
    known = {column["name"] for column in inspect(connection).get_columns(events.name)}
    for column in (events.c.reason, events.c.time):
        if column.name not in known:
            made = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {events.name} ADD COLUMN {made}")
    if found < WITH_PLACES:
        for table in (records, models):
            _rewrite(connection, table, places)
    connection.execute(update(schema).values(version=SCHEMA_VERSION))
    return SCHEMA_VERSION


def _rewrite(connection: Connection, table: Table, places: ProjectPaths) -> None:
    """Keep the paths in every row of ``table`` as they are kept from now on."""
    key = table.primary_key.columns
    for *here, body in connection.execute(select(*key, table.c.body)).all():
        if isinstance(body, str) and (kept := places.kept(body)) != body:
            row = {column.name: value for column, value in zip(key, here, strict=True)}
            connection.execute(update(table).filter_by(**row).values(body=kept))
