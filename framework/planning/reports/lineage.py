"""What came from what: commits, sources, feature tables, models, what serves them and what watches it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from framework.api.meta import Ref
from framework.ports import Json


class Sort(StrEnum):
    """In the order of the flow."""

    COMMIT = "commit"
    SOURCES = "sources"
    CODE = "code"
    TABLE = "table"
    MODEL = "model"
    SERVICE = "service"
    MONITOR = "monitor"


@dataclass(frozen=True)
class Node:
    """``key`` names it within its sort; ``facts`` are plain values in the order to show them, those that are not known
    left out. ``ref`` is the resource that it belongs to."""

    sort: Sort
    key: str
    facts: Mapping[str, Json] = field(default_factory=dict)
    ref: Ref | None = None

    @property
    def id(self) -> str:
        return f"{self.sort}:{self.key}"


@dataclass(frozen=True)
class Edge:
    """``target`` was made from, or depends on, ``source``; both are ids of nodes."""

    source: str
    target: str
    label: str = ""


@dataclass(frozen=True)
class Lineage:
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def around(self, wanted: Callable[[Node], bool]) -> Lineage:
        """The nodes that are wanted, with everything that they came from and everything that came from them."""
        start = {node.id for node in self.nodes if wanted(node)}
        kept = _reached(start, _adjacent(self.edges)) | _reached(start, _adjacent(self.edges, backwards=True))
        return Lineage(
            tuple(node for node in self.nodes if node.id in kept),
            tuple(edge for edge in self.edges if edge.source in kept and edge.target in kept),
        )

    @property
    def ends(self) -> tuple[Node, ...]:
        """The nodes that nothing came from."""
        sources = {edge.source for edge in self.edges}
        return tuple(node for node in self.nodes if node.id not in sources)

    def origins(self, node: Node) -> tuple[tuple[Node, Edge], ...]:
        """What ``node`` came from, nearest sorts first."""
        found = [(self._known[edge.source], edge) for edge in self._into.get(node.id, ())]
        return tuple(sorted(found, key=lambda item: (-_ORDER[item[0].sort], item[0].key)))

    @cached_property
    def _known(self) -> dict[str, Node]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def _into(self) -> dict[str, list[Edge]]:
        found: dict[str, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.target, []).append(edge)
        return found


_ORDER = {sort: number for number, sort in enumerate(Sort)}


def assemble(nodes: Iterable[Node], edges: Iterable[Edge]) -> Lineage:
    """Each node and edge once, in the order of the flow. Of nodes with one id the facts are put together, the first
    word on each counting; edges from or to what is not there are dropped."""
    known: dict[str, Node] = {}
    for node in nodes:
        old = known.get(node.id)
        facts = {**node.facts, **old.facts} if old else node.facts
        known[node.id] = Node(node.sort, node.key, facts, old.ref if old and old.ref else node.ref)
    ordered = sorted(known.values(), key=lambda node: (_ORDER[node.sort], node.key))
    place = {node.id: number for number, node in enumerate(ordered)}
    kept = {edge for edge in edges if edge.source in known and edge.target in known}
    return Lineage(
        tuple(ordered), tuple(sorted(kept, key=lambda edge: (place[edge.source], place[edge.target], edge.label)))
    )


def _adjacent(edges: Iterable[Edge], *, backwards: bool = False) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for edge in edges:
        here, there = (edge.target, edge.source) if backwards else (edge.source, edge.target)
        found.setdefault(here, []).append(there)
    return found


def _reached(start: Iterable[str], adjacent: Mapping[str, list[str]]) -> set[str]:
    found = set(start)
    pending = list(found)
    while pending:
        for other in adjacent.get(pending.pop(), ()):
            if other not in found:
                found.add(other)
                pending.append(other)
    return found
