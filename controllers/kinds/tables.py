"""What a FeatureView has to offer and leaves behind: a table of each recipe, and what its versions were made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from controllers.kinds.observer import Specs
from controllers.kinds.trail import LineagePart, Trail, code
from framework.api import layout
from framework.api.categories import Category
from framework.api.meta import Ref
from framework.kinds.feature_view.observed import FeatureViewState, Published
from framework.planning.admission.restore import Kept
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.remembered import state_of, status_of
from framework.planning.reports.lineage import Edge, Node, Sort
from framework.ports import CheckedRun, FileList, Json, Ports, ReadTable, Record, TableState

_MOST_FILES = 20
"""Of a source, that lineage names."""


def published(ref: Ref, ports: Ports) -> Published | None:
    """The version of a FeatureView that readers use, whatever identity it has."""
    return state_of(status_of(ports.state.load(ref)), FeatureViewState).published


def published_view(ref: Ref, identity: str, ports: Ports) -> Published | None:
    """The published version of a FeatureView, None unless it is the one of ``identity``."""
    found = published(ref, ports)
    return found if found is not None and found.identity == identity else None


def left(asked: Desired[Any], specs: Specs, ports: Ports) -> Kept:
    table = ports.tables.describe(layout.feature_table(ports.storage, asked.ref.name, asked.recipe))
    if table is None:
        return Kept(False, "its table is gone: it is computed again", Category.MATERIALIZE)
    return Kept(True, f"table of build {table.name}, version {table.version}, {table.rows:,} rows")


def checked(ref: Ref, asked: Desired[Any] | None, ports: Ports) -> CheckedRun | None:
    """What came of its expectations in the newest run for what git asks; where none ran, for what readers have."""
    known = published(ref, ports)
    uris = [
        *([layout.feature_table(ports.storage, ref.name, asked.recipe)] if asked is not None else []),
        *([known.uri] if known is not None else []),
    ]
    return next((run for uri in dict.fromkeys(uris) if (run := ports.tables.checked(uri)) is not None), None)


def traces(record: Record, trail: Trail) -> Iterator[LineagePart]:
    """The table that readers use, and what it was made of; user code as far as git asks for it still."""
    current = _published(record.ref, trail)
    if current is None:
        return
    name = record.ref.name
    facts = {"rows": current.rows, "published": current.at.isoformat(), "commit": current.commit}
    table = _node(name, current, facts)
    yield table
    yield from _made_from(name, current, table.id, trail)
    yield from read(current.upstream, table.id, trail)
    asked = trail.asked.get(record.ref)
    if asked is None or asked.identity != current.identity:
        return
    yield from code(asked.code, table.id)
    paths = {key: source.path for key, source in asked.spec.sources.items() if source.path is not None}
    if current.source_digest:
        yield Node(Sort.SOURCES, f"{name}@{current.source_digest}", {"paths": paths}, record.ref)


def read(tables: Mapping[str, ReadTable], by: str, trail: Trail) -> Iterator[LineagePart]:
    """Tables as ``by`` read them, and what these versions were made from: known from its own record of the one that is
    current now, else from the table's log as far back as that goes."""
    pending, told = [(view, table, by) for view, table in sorted(tables.items())], set[str]()
    while pending:
        view, table, reader = pending.pop()
        node = _node(view, table, {})
        yield Edge(node.id, reader)
        if node.id in told:
            continue
        told.add(node.id)
        yield node
        current = _published(Ref("FeatureView", view), trail)
        if current is not None and _node(view, current, {}).id == node.id:
            continue
        then = next((item for item in trail.versions(table.uri) if item.version == table.version), None)
        if then is not None:
            yield _node(view, table, {"rows": then.rows, "commit": then.commit})
            yield from _made_from(view, then, node.id, trail)
            pending += [(name, above, node.id) for name, above in sorted(then.upstream.items())]


def _node(view: str, table: Published | ReadTable, facts: Mapping[str, Json]) -> Node:
    known = {"view": view, "build": table.name, "identity": table.identity, "version": table.version}
    key = f"{view}@{table.name} v{table.version}"
    return Node(Sort.TABLE, key, {**known, **facts, "uri": table.uri}, Ref("FeatureView", view))


def _made_from(view: str, made: Published | TableState, table: str, trail: Trail) -> Iterator[LineagePart]:
    yield from trail.commit(made.commit, table, "at")
    if made.source_digest:
        ref = Ref("FeatureView", view)
        files = {source: _files(found) for source, found in sorted(made.files.items())}
        known: dict[str, Json] = {"digest": made.source_digest, **({"files": files} if files else {})}
        sources = Node(Sort.SOURCES, f"{view}@{made.source_digest}", known, ref)
        yield sources
        yield Edge(sources.id, table)


def _files(found: FileList) -> Json:
    """How many were read, how large they are together, and the first of them by name."""
    named = [{"label": file.label, "digest": file.digest, "size": file.size} for file in found.files[:_MOST_FILES]]
    return {"count": found.count, "size": found.size, "files": named}


def _published(ref: Ref, trail: Trail) -> Published | None:
    return trail.state(ref, FeatureViewState).published
