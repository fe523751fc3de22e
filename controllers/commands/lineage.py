"""Gathers what came from what: from records, the registry and what git asks for. Reads only, and no running Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from controllers.commands.models import model_named
from controllers.kinds import models
from controllers.kinds.observer import Observer
from controllers.kinds.trail import LineagePart, Trail, refs
from framework.api.errors import ConfigurationError
from framework.api.meta import Ref
from framework.planning.grammar.changes import Desired
from framework.planning.reports.lineage import Edge, Lineage, Node, Sort, assemble
from framework.ports import Ports, Record


def lineage(desired: Mapping[Ref, Desired[Any]], ports: Ports, observers: Mapping[str, Observer]) -> Lineage:
    """Everything that is in service, on its way there, or current for its resource."""
    return _assembled(_Walk(desired, ports, observers).everything())


def lineage_of(
    name: str, desired: Mapping[Ref, Desired[Any]], ports: Ports, observers: Mapping[str, Observer]
) -> Lineage:
    """What one resource (``Kind/name``) or one model version (``training@version``) came from and went into.

    Raises:
        ConfigurationError: nobody knows it, or the name has another shape.
    """
    walk = _Walk(desired, ports, observers)
    training, at, _ = name.partition("@")
    wanted: Callable[[Node], bool]
    more: list[LineagePart] = []
    if at:
        model = model_named(ports, name).model
        name = f"{model.training}@{model.version}"
        ref, more = models.job(training), [*models.of_version(training, model.version, walk.trail)]
        wanted = lambda node: node.sort is Sort.MODEL and node.key == name  # noqa: E731
    else:
        try:
            ref = Ref.parse(name)
        except ValueError:
            raise ConfigurationError(f"{name!r} is neither KIND/NAME nor TRAINING@VERSION") from None
        if ref == models.job(ref.name):
            versions = ports.registry.versions(ref.name)
            more = [part for item in versions for part in models.of_version(ref.name, item.version, walk.trail)]
        wanted = lambda node: node.ref == ref  # noqa: E731
    near = walk.above({ref, *refs(more)}) | walk.below(ref)
    found = _assembled((*walk.of(near), *more)).around(wanted)
    if not found.nodes and (problem := walk.trail.unreadable.get(name)) is not None:
        raise ConfigurationError(f"the record of {name} cannot be read: {problem}")
    if not found.nodes:
        raise ConfigurationError(f"nothing came of {name} yet, and nothing is known that it came from")
    return found


def _assembled(parts: Iterable[LineagePart]) -> Lineage:
    gathered = list(parts)
    return assemble(
        (part for part in gathered if isinstance(part, Node)), (part for part in gathered if isinstance(part, Edge))
    )


class _Walk:
    """From resource to resource; what each came from is for its kind to tell."""

    def __init__(self, desired: Mapping[Ref, Desired[Any]], ports: Ports, observers: Mapping[str, Observer]) -> None:
        self._ports, self._observers = ports, observers
        self.trail = Trail(desired, ports)

    def everything(self) -> Iterator[LineagePart]:
        self.trail.found(self._ports.state.recorded())
        return self.of(self.trail.records)

    def of(self, asked: Iterable[Ref]) -> Iterator[LineagePart]:
        """What the records tell of themselves and of what they came from."""
        for ref in sorted(asked):
            record = self.trail.record(ref)
            if record is not None:
                yield from self._parts(record)

    def above(self, asked: Iterable[Ref]) -> set[Ref]:
        """``asked``, and all that they came from."""
        found: set[Ref] = set()
        pending = set(asked)
        while pending:
            found |= pending
            records = [record for ref in pending if (record := self.trail.record(ref)) is not None]
            pending = {ref for record in records for ref in (*refs(self._parts(record)), *record.upstream)} - found
        return found

    def below(self, ref: Ref) -> set[Ref]:
        """All that may have come from ``ref``: whatever names what does, and more."""
        found: set[Ref] = set()
        names = {ref.name}
        while names:
            recorded = self._ports.state.naming(names)
            self.trail.found(recorded)
            trained = {models.job(training) for training, _ in self._ports.registry.naming(names)}
            new = {*(record.ref for record in recorded.readable), *trained} - found
            found |= new
            names = {item.name for item in new}
        return found

    def _parts(self, record: Record) -> Iterator[LineagePart]:
        return self._observers[record.ref.kind].traces(record, self.trail)
