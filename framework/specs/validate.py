"""Rules between objects: names, references, cycles, user code, and what each kind demands of its neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.planning import graph
from framework.planning.kind import Kind
from framework.specs import words
from framework.specs.code import Code, check_entrypoints
from framework.specs.resource import Draft, Resource

_MAX_NAMES = 20


def unique(drafts: Iterable[Draft]) -> tuple[list[Draft], list[Problem]]:
    """The first object of each name, and a problem for every other one."""
    first: dict[Ref, Draft] = {}
    problems: list[Problem] = []
    for draft in drafts:
        if draft.ref in first:
            other, place = first[draft.ref].positions.value("metadata.name"), draft.positions.value("metadata.name")
            message = f"{draft.ref} is defined already, at {other.file}:{other.line}"
            problems.append(Problem(place.file, place.line, place.column, "metadata.name", message))
        else:
            first[draft.ref] = draft
    return list(first.values()), problems


def between(
    resources: Mapping[Ref, Resource], declared: frozenset[Ref], kinds: Mapping[str, Kind], code: Code
) -> list[Problem]:
    """Everything wrong between ``resources``, and warnings. ``declared`` names what exists but could not be understood:
    a reference to it is no second mistake."""
    problems: list[Problem] = []
    specs = {ref: resource.spec for ref, resource in resources.items()}
    known = resources.keys() | declared
    for resource in resources.values():
        kind = kinds[resource.ref.kind]
        missing = list(_missing(resource, kind, known))
        problems += missing
        if not missing and all(reference.ref in specs for reference in kind.references(resource.spec)):
            problems += [
                resource.problem(found.path, found.message, allowed=found.allowed, suggestion=found.suggestion)
                for found in kind.check(resource.spec, specs)
            ]
        problems += check_entrypoints(resource, kind.entrypoints(resource.spec), code)
        problems += [
            resource.problem(path, "is part of the language but not executed by this version", severity="warning")
            for path in kind.unsupported(resource.spec)
        ]
    return problems + list(_cycles(resources, kinds))


def upstreams(resources: Mapping[Ref, Resource], kinds: Mapping[str, Kind]) -> dict[Ref, tuple[Ref, ...]]:
    """What each resource is built from, in the order its spec names it."""
    return {
        ref: tuple(dict.fromkeys(reference.ref for reference in kinds[ref.kind].references(resource.spec)))
        for ref, resource in resources.items()
    }


def _missing(resource: Resource, kind: Kind, known: Set[Ref]) -> Iterator[Problem]:
    for reference in kind.references(resource.spec):
        if reference.ref in known:
            continue
        wanted = reference.ref
        names = tuple(sorted(ref.name for ref in known if ref.kind == wanted.kind))
        elsewhere = sorted(ref.kind for ref in known if ref.name == wanted.name)
        message = f"there is no {wanted.kind} named {wanted.name!r}"
        if elsewhere:
            message += f" (there is a {elsewhere[0]} of that name)"
        elif not names:
            message += f", nor any other {wanted.kind}"
        yield resource.problem(
            reference.path, message,
            allowed=names if len(names) <= _MAX_NAMES else (), suggestion=words.nearest(wanted.name, names),
        )  # fmt: skip


def _cycles(resources: Mapping[Ref, Resource], kinds: Mapping[str, Kind]) -> Iterator[Problem]:
    for cycle in graph.cycles(upstreams(resources, kinds)):
        resource = resources[cycle[0]]
        references = kinds[cycle[0].kind].references(resource.spec)
        path = next(reference.path for reference in references if reference.ref == cycle[1])
        chain = " -> ".join(str(ref) for ref in cycle)
        if len(cycle) == 2:
            yield resource.problem(path, f"{cycle[0]} refers to itself")
        else:
            yield resource.problem(path, f"a cycle: {chain}; none of them could ever start")
