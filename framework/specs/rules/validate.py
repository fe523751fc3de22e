"""Rules between objects: names, references, cycles, user code, and what each kind demands of its neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property

from pydantic import BaseModel

from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.planning.grammar import graph
from framework.planning.grammar.kind import Claim, Kind
from framework.specs.language.resource import Draft, Resource
from framework.specs.language.words import MAX_NAMES, Guesses
from framework.specs.rules.code import Code


def unique(drafts: Iterable[Draft]) -> tuple[list[Draft], list[Problem]]:
    """The first object of each name, and a problem for every other one."""
    first: dict[Ref, Draft] = {}
    problems: list[Problem] = []
    for draft in drafts:
        if draft.ref in first:
            other = first[draft.ref].positions.value("metadata.name")
            message = f"{draft.ref} is defined already, at {other.file}:{other.line}"
            problems.append(Problem(*draft.positions.value("metadata.name"), "metadata.name", message))
        else:
            first[draft.ref] = draft
    return list(first.values()), problems


@dataclass(frozen=True)
class Checked:
    """A resource with nothing wrong, and the keys of all that was looked at to find that. It holds while these do."""

    key: str
    looked: tuple[tuple[Ref, str], ...]


class _Specs(Mapping[Ref, BaseModel]):
    """The specs that a kind's check is given. Notes what it looks at, so that it need not look again in vain."""

    def __init__(self, resources: Mapping[Ref, Resource]) -> None:
        self.resources = resources
        self.looked: set[Ref] = set()
        self.at_all = False

    def forget(self, looked: Iterable[Ref]) -> None:
        self.looked, self.at_all = set(looked), False

    def __getitem__(self, ref: Ref) -> BaseModel:
        self.looked.add(ref)
        return self.resources[ref].spec

    def __contains__(self, ref: object) -> bool:
        if isinstance(ref, Ref):
            self.looked.add(ref)
        return ref in self.resources

    def __iter__(self) -> Iterator[Ref]:
        self.at_all = True
        return iter(self.resources)

    def __len__(self) -> int:
        self.at_all = True
        return len(self.resources)


def between(
    resources: Mapping[Ref, Resource],
    declared: frozenset[Ref],
    kinds: Mapping[str, Kind],
    code: Code,
    before: Mapping[Ref, Checked],
) -> tuple[list[Problem], dict[Ref, Checked]]:
    """Everything wrong between ``resources``, with warnings, and what need not be checked again while it stays as it is
    (``before``: the same from an earlier time). ``declared`` names what exists but could not be understood: a reference
    to it is no second mistake."""
    problems: list[Problem] = []
    checked: dict[Ref, Checked] = {}
    specs = _Specs(resources)
    missing = _Missing(resources.keys() | declared)
    for ref, resource in resources.items():
        known = before.get(ref)
        if known is not None and known.key == resource.key and _as_before(known.looked, resources):
            checked[ref] = known
        else:
            found, looked = _check(resource, kinds[ref.kind], specs, missing)
            problems += found
            if looked is not None:
                checked[ref] = Checked(resource.key, looked)
        problems += resource.facts.warnings
    return problems + _code(resources, code) + list(_claims(resources)), checked


def _as_before(looked: Iterable[tuple[Ref, str]], resources: Mapping[Ref, Resource]) -> bool:
    return all(ref in resources and resources[ref].key == key for ref, key in looked)


def _check(
    resource: Resource, kind: Kind, specs: _Specs, missing: _Missing
) -> tuple[list[Problem], tuple[tuple[Ref, str], ...] | None]:
    """What is wrong, and what was looked at, where that is worth knowing: nothing is wrong, and everything there."""
    everything, references = specs.resources, resource.facts.references
    problems = list(missing.of(resource))
    if problems or not all(reference.ref in everything for reference in references):
        return problems, None
    specs.forget(reference.ref for reference in references)
    for found in kind.check(resource.spec, specs):
        where = everything.get(found.ref, resource) if found.ref is not None else resource
        allowed = found.allowed if len(found.allowed) <= MAX_NAMES else ()
        suggestion = found.suggestion or (found.wanted and missing.guess(found.wanted, found.allowed))
        problems.append(where.problem(found.path, found.message, allowed=allowed, suggestion=suggestion or None))
    if problems or specs.at_all or not specs.looked <= everything.keys():
        return problems, None
    return [], tuple((ref, everything[ref].key) for ref in sorted(specs.looked))


def _code(resources: Mapping[Ref, Resource], code: Code) -> list[Problem]:
    """Mistakes in user code, and in naming it."""
    naming = [resource for resource in resources.values() if resource.facts.names]
    fresh = {resource.facts.names for resource in naming} - code.sound.keys()
    code.look_ahead(entrypoint for names in fresh for entrypoint in names)
    return list(dict.fromkeys(problem for resource in naming for problem in code.check(resource)))


def _claims(resources: Mapping[Ref, Resource]) -> Iterator[Problem]:
    """Whatever several of a kind ask for and only one may have: told to each, with the first other one by name."""
    claims: dict[tuple[str, str, str], list[tuple[Ref, Claim]]] = {}
    for ref, resource in resources.items():
        for claim in resource.facts.claims:
            claims.setdefault((ref.kind, claim.taken, claim.value), []).append((ref, claim))
    for claimed in claims.values():
        refs = sorted({ref for ref, _ in claimed})
        if len(refs) == 1:
            continue
        more = f", and so do {len(refs) - 2} more" if len(refs) > 2 else ""
        for ref, claim in claimed:
            yield resources[ref].problem(claim.path, f"{refs[ref == refs[0]]} {claim.taken}{more}")
    yield from _held(
        resources,
        {(claimed[0][0].kind, claimed[0][1].path, claimed[0][1].value): claimed[0] for claimed in claims.values()},
    )


def _held(
    resources: Mapping[Ref, Resource], claimed: Mapping[tuple[str, str, str], tuple[Ref, Claim]]
) -> Iterator[Problem]:
    """Whatever lies within what another one of the kind has."""
    for ref, resource in resources.items():
        for claim in resource.facts.claims:
            places = [(ref.kind, claim.path, value) for value in claim.within]
            other, outer = next((claimed[place] for place in places if place in claimed), (ref, claim))
            if other != ref:
                yield resource.problem(claim.path, f"{other} {outer.taken}, with everything below it")


def upstreams(resources: Mapping[Ref, Resource]) -> dict[Ref, tuple[Ref, ...]]:
    """What each resource is built from, in the order its spec names it."""
    return {ref: resource.facts.upstreams for ref, resource in resources.items()}


class _Missing:
    """References to nothing. Names are looked through once for each that is missing, however many refer to it."""

    def __init__(self, known: Set[Ref]) -> None:
        self._known = known
        self._told: dict[Ref, tuple[str, tuple[str, ...], str | None]] = {}
        self.guess = Guesses()

    @cached_property
    def _names(self) -> Mapping[str, tuple[str, ...]]:
        names: dict[str, list[str]] = {}
        for ref in sorted(self._known):
            names.setdefault(ref.kind, []).append(ref.name)
        return {kind: tuple(found) for kind, found in names.items()}

    @cached_property
    def _kinds(self) -> Mapping[str, str]:
        """The first kind by name."""
        return {ref.name: ref.kind for ref in sorted(self._known, reverse=True)}

    def of(self, resource: Resource) -> Iterator[Problem]:
        for reference in resource.facts.references:
            if reference.ref not in self._known:
                message, allowed, suggestion = self._tell(reference.ref)
                yield resource.problem(reference.path, message, allowed=allowed, suggestion=suggestion)

    def _tell(self, wanted: Ref) -> tuple[str, tuple[str, ...], str | None]:
        if wanted not in self._told:
            names, elsewhere = self._names.get(wanted.kind, ()), self._kinds.get(wanted.name)
            message = f"there is no {wanted.kind} named {wanted.name!r}"
            if elsewhere:
                message += f" (there is a {elsewhere} of that name)"
            elif not names:
                message += f", nor any other {wanted.kind}"
            guess = self.guess(wanted.name, names)
            self._told[wanted] = (message, names if len(names) <= MAX_NAMES else (), guess)
        return self._told[wanted]


def cycles(resources: Mapping[Ref, Resource]) -> Iterator[Problem]:
    """Resources that wait for each other."""
    for cycle in graph.cycles(upstreams(resources)):
        resource = resources[cycle[0]]
        path = next(one.path for one in resource.facts.references if one.ref == cycle[1] and not one.informs)
        chain = " -> ".join(str(ref) for ref in cycle)
        if len(cycle) == 2:
            yield resource.problem(path, f"{cycle[0]} refers to itself")
        else:
            yield resource.problem(path, f"a cycle: {chain}; none of them could ever start")
