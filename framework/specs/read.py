"""A commit -> a Snapshot, or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from framework.api.errors import Problem, SpecError
from framework.api.meta import Ref
from framework.api.places import Premises
from framework.planning.grammar import fingerprint
from framework.planning.grammar.fingerprint import spec_json
from framework.planning.grammar.kind import Kind
from framework.planning.grammar.snapshot import Snapshot
from framework.ports import SpecSource
from framework.sources.trees import DataTree, committed
from framework.specs.cache import collector
from framework.specs.cache.parse_cache import ParseCache
from framework.specs.language.resource import ENVIRONMENT, Resource
from framework.specs.reading import DEFAULT_ENVIRONMENT, Reading
from framework.specs.rules.safety import misplaced
from framework.specs.snapshot import desired

__all__ = ["DEFAULT_ENVIRONMENT", "Examine", "Report", "UnsafeError", "check", "read_environment", "read_snapshot"]

Examine = Callable[[Mapping[Ref, Resource]], Iterable[Problem]]
"""What is wrong with resources that are right by themselves, which nobody can tell who reads specs only."""

NO_PREMISES = Premises()
"""Of a project whose place is not known: what is absolute lies outside."""


class UnsafeError(SpecError):
    """Nothing is wrong with the specs but that they may not take effect."""


@dataclass(frozen=True)
class Report:
    """What a check found. ``problems`` are sorted and told once each; ``unseen`` says what was not looked at."""

    files: int
    objects: int
    problems: tuple[Problem, ...]
    unseen: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")


def read_snapshot(
    source: SpecSource,
    commit: str,
    folder: str,
    environment_name: str,
    kinds: Mapping[str, Kind],
    root: str = "",
    storage: str = "",
    cache: ParseCache | None = None,
    premises: Premises | None = None,
    tree: DataTree | None = None,
) -> Snapshot[Any]:
    """What ``commit`` asks for in one environment, whose spec is of the type that ``kinds`` has for Environments.
    ``tree`` has the data of commits; None: nobody asks for data.
    ``cache`` may be kept between calls. Without ``premises`` the commit is only read, not held to what may take effect:
    an earlier one that it is compared with, or went on with.

    Raises:
        UnsafeError: secrets stand in it, or it names places outside of ``premises``, and nothing else is wrong.
        SpecError: with every problem of every file; nothing of such a commit is used.
    """
    cache = ParseCache() if cache is None else cache
    reading = Reading(source, commit, [folder], kinds, cache)
    with collector.paused():
        understood = reading.understood(environment_name)
        state = understood.state
        errors = [problem for problem in understood.problems if problem.severity == "error"]
        unsafe = understood.unsafe(premises) if premises is not None else ()
        if errors or state is None:
            raise SpecError([*errors, *unsafe])
        reading.remember(state)
        if unsafe:
            raise UnsafeError(unsafe)
        reads = {ref: resource.facts.data for ref, resource in state.resources.items() if resource.facts.data}
    data = committed(tree, commit, reads) if tree is not None and reads else {}
    return Snapshot(
        commit=commit,
        digest=fingerprint.with_data(state.digest, "".join(held.digest for held in data.values())),
        desired=desired(
            state.resources, state.fingerprints, state.code, kinds,
            commit=commit, environment=environment_name, storage=storage, root=root, data=data,
            connections=spec_json(state.environment.spec).get("connections", {}) if state.environment else {},
        ),
        environment=state.environment.spec if state.environment else kinds[ENVIRONMENT].spec(),
        file=state.environment.file if state.environment else "",
    )  # fmt: skip


def read_environment(
    source: SpecSource,
    commit: str,
    folder: str,
    environment_name: str,
    kinds: Mapping[str, Kind],
    cache: ParseCache | None = None,
    premises: Premises | None = None,
) -> BaseModel:
    """The spec of one Environment alone: where its state and storage are must be known before anything else is.

    Raises:
        UnsafeError: as for a snapshot.
        SpecError: it does not exist or is wrong; mistakes of other objects do not matter here.
    """
    reading = Reading(source, commit, [folder], kinds, ParseCache() if cache is None else cache)
    known = reading.cached_environment(environment_name)
    if known is not None:
        return _safe(known, premises)
    environments, wrong, repeated = reading.environments()
    ref = Ref(ENVIRONMENT, environment_name)
    if ref in environments:
        return _safe(environments[ref], premises)
    problems = reading.missing_environment(environment_name, environments)
    if problems or environments or ref in reading.loaded.declared:
        raise SpecError(problems or [*wrong, *repeated, *reading.loaded.problems])
    return kinds[ENVIRONMENT].spec()


def _safe(environment: Resource, premises: Premises | None) -> BaseModel:
    if premises is not None:
        unsafe = [*environment.facts.secrets, *misplaced([environment], premises)]
        if unsafe:
            raise UnsafeError(unsafe)
    return environment.spec


def check(
    source: SpecSource,
    commit: str,
    folders: Sequence[str],
    kinds: Mapping[str, Kind],
    cache: ParseCache | None = None,
    environment: str | None = None,
    premises: Premises = NO_PREMISES,
    examine: Examine = lambda resources: (),
) -> Report:
    """Look at every object as every declared Environment would have it. ``environment`` has to be one of them, where it
    is given. Never raises SpecError."""
    reading = Reading(source, commit, folders, kinds, ParseCache() if cache is None else cache)
    try:
        with collector.paused():
            loaded = reading.loaded
    except SpecError as error:
        return Report(0, 0, error.problems)
    names: set[str | None] = {draft.ref.name for draft in loaded.drafts if draft.ref.kind == ENVIRONMENT}
    environments = len(names)
    found: dict[Problem, list[str]] = {}
    for name in sorted(names, key=str) or [None]:
        with collector.paused():
            understood = reading.understood(name)
            if understood.state is not None:
                reading.remember(understood.state)
        for problem in {*understood.problems, *understood.unsafe(premises), *examine(understood.resources)}:
            found.setdefault(problem, []).append(str(name))
    of_files = frozenset(loaded.problems)
    problems = [
        problem if len(where) >= environments or problem in of_files else _only_in(problem, where)
        for problem, where in found.items()
    ]
    if environment is not None:
        problems += reading.missing_environment(environment, {})
    return Report(len(reading.files), len(loaded.drafts), tuple(sorted(set(problems))))


def _only_in(problem: Problem, environments: Sequence[str]) -> Problem:
    return replace(problem, message=f"{problem.message} (in environment {', '.join(environments)})")
