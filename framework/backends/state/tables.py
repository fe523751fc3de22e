"""The tables that the state store and the model registry share. Only types that SQLite and PostgreSQL both have.

Values are kept as canonical JSON text beside the few columns that queries need, so that a new field needs no migration.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    or_,
    true,
)

from framework.ports import MOST_NAMED

SCHEMA_VERSION = 5
"""Grows with every change that older code must not work beside, or that an older database has to be made fit for. 2:
pins, which a controller that does not know them would undo. 3: notes, and leases for which no time of day counts. 4:
reason and time beside events, and paths relative to the project's folder. 5: builds, which a controller that does not
know them would train again. A database of an older version is brought up
to this one when it is opened."""

WITH_PLACES = 4
"""From this version on, :mod:`framework.backends.state.project_paths` keeps the paths in records and model versions."""

PREFIX = "mlops_"
"""Of every table, so that others may share the database."""

METADATA = MetaData()

schema = Table(
    "mlops_schema",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    CheckConstraint("id = 1", name="mlops_schema_one_row"),
)

environments = Table(
    "mlops_environments",
    METADATA,
    Column("environment", String(64), primary_key=True),
    Column("token", Integer, nullable=False),
    Column("lease", Text),
    Column("events", Integer, nullable=False),
    Column("head", String(64), nullable=False),
    Column("revisions", Integer, nullable=False),
    Column("models", Integer, nullable=False),
)
"""One row per environment: the lease (NULL while nobody holds it), the newest fencing token ever given, how many
events, revisions and models were ever appended, and the hash of the last event. Every write locks this row first, so
writers of one environment take turns on any database."""


def _environment() -> Column[str]:
    return Column("environment", ForeignKey(environments.c.environment), primary_key=True)


records = Table(
    "mlops_records",
    METADATA,
    _environment(),
    Column("kind", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("body", Text, nullable=False),
)

events = Table(
    "mlops_events",
    METADATA,
    _environment(),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(64)),
    Column("name", String(64)),
    Column("body", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("reason", Text),
    Column("time", BigInteger),
    Index("mlops_events_by_ref", "environment", "kind", "name", "sequence"),
)
"""``reason`` and ``time`` (microseconds since 1970) are the body's own, to ask for; NULL in rows of older versions."""

revisions = Table(
    "mlops_revisions",
    METADATA,
    _environment(),
    Column("sha", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("environment", "position"),
)

pins = Table(
    "mlops_pins",
    METADATA,
    Column("environment", String(64), primary_key=True),
    Column("body", Text, nullable=False),
)
"""At most one row per environment. It may be there before the environment's own row: an operator's word needs no
controller that ever ran."""

notes = Table(
    "mlops_notes",
    METADATA,
    Column("environment", String(64), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("body", Text, nullable=False),
)
"""Single values by name: ``heartbeat``, ``clock``, ``owner``, and ``word/SUBJECT`` for each word. Like pins, words and
the owner need no controller that ever ran."""

models = Table(
    "mlops_models",
    METADATA,
    _environment(),
    Column("training", String(64), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("body", Text, nullable=False),
)


builds = Table(
    "mlops_builds",
    METADATA,
    _environment(),
    Column("training", String(64), primary_key=True),
    Column("identity", String(64), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
)
"""Which model versions are builds of which identity: ``position`` grows with each that is registered for one. A model
from before builds had names of their own is the one of the identity that it is named by, and has no row."""


def holds_one_of(body: ColumnElement[str], texts: Collection[str]) -> ColumnElement[bool]:
    """Whether one of ``texts`` stands in a value as a text of its own; of more than :data:`MOST_NAMED` nobody
    looks, and all values count. They hold nothing that JSON would escape."""
    if len(texts) > MOST_NAMED:
        return true()
    return or_(false(), *(body.contains(f'"{text}"', autoescape=True) for text in sorted(texts)))
