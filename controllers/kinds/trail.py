"""What resources tell of what they came from: what several of them ask for is looked up once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from framework.api.errors import ConfigurationError, DamagedError
from framework.api.meta import Ref
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.remembered import StateT, state_of, status_of
from framework.planning.reports.lineage import Edge, Node, Sort
from framework.ports import CodeRef, ModelVersion, Ports, Record, Recorded, TableState

LineagePart = Node | Edge


class Trail:
    """``asked`` is what git asks for now."""

    def __init__(self, asked: Mapping[Ref, Desired[Any]], ports: Ports) -> None:
        self.asked, self.ports = asked, ports
        self.records: dict[Ref, Record | None] = {}
        self.unreadable: dict[str, str] = {}
        self._commits: dict[str, dict[str, Any]] = {}
        self._models: dict[tuple[str, str], ModelVersion | None] = {}
        self._tables: dict[str, Sequence[TableState]] = {}

    def found(self, recorded: Recorded) -> None:
        """These need not be loaded any more."""
        self.records |= {record.ref: record for record in recorded.readable}
        self.unreadable |= {str(ref): problem for ref, problem in recorded.unreadable.items()}

    def record(self, ref: Ref) -> Record | None:
        """None where there is none, or none that can be read."""
        if ref not in self.records:
            try:
                self.records[ref] = self.ports.state.load(ref)
            except DamagedError as error:
                self.records[ref], self.unreadable[str(ref)] = None, error.problem
        return self.records[ref]

    def state(self, ref: Ref, state: type[StateT]) -> StateT:
        """What is remembered of a resource; as at first where nothing is."""
        return state_of(status_of(self.record(ref)), state)

    def model(self, training: str, version: str) -> ModelVersion | None:
        if (training, version) not in self._models:
            self._models[training, version] = self.ports.registry.get(training, version)
        return self._models[training, version]

    def versions(self, uri: str) -> Sequence[TableState]:
        """Of a table, newest first, as far back as its log goes."""
        if uri not in self._tables:
            self._tables[uri] = self.ports.tables.versions(uri) if uri else ()
        return self._tables[uri]

    def commit(self, commit: str, node: str, label: str) -> Iterator[LineagePart]:
        """The commit that ``node`` came from. One that is no longer in the repository (a rebased branch) is named all
        the same."""
        if not commit:
            return
        if commit not in self._commits:
            self._commits[commit] = self._about(commit)
        made = Node(Sort.COMMIT, commit, self._commits[commit])
        yield made
        yield Edge(made.id, node, label)

    def _about(self, commit: str) -> dict[str, Any]:
        try:
            info = self.ports.source.info(commit)
        except ConfigurationError:
            return {}
        return {"subject": info.subject, "author": info.author, "time": info.time.isoformat()}


def code(found: CodeRef | None, node: str) -> Iterator[LineagePart]:
    """Which files of user code count, as far as that is known."""
    if found is not None:
        made = Node(Sort.CODE, found.digest, {"folder": found.folder, "files": list(found.files)})
        yield made
        yield Edge(made.id, node)


def refs(parts: Iterable[LineagePart]) -> set[Ref]:
    """The resources that they belong to."""
    return {part.ref for part in parts if isinstance(part, Node) and part.ref is not None}
