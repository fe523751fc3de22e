"""A commit -> a Snapshot, or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel

from framework.api.errors import Problem, SpecError
from framework.api.meta import Ref
from framework.planning.kind import Kind
from framework.ports import SpecSource
from framework.specs import overlays, validate, words
from framework.specs.code import Code
from framework.specs.loader import LoadedFolder, ParseCache, load_folder, understand
from framework.specs.resource import ENVIRONMENT, Draft, Resource
from framework.specs.snapshot import Snapshot, fingerprints, snapshot_digest

DEFAULT_ENVIRONMENT = "local"
"""May be used without being declared, while a project declares no Environment at all."""


@dataclass(frozen=True)
class Report:
    """What a check found. ``problems`` are sorted and told once each."""

    files: int
    objects: int
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")


@dataclass(frozen=True)
class _Understood:
    environment: Resource | None
    resources: Mapping[Ref, Resource]
    environments: Mapping[Ref, Resource]
    problems: tuple[Problem, ...]


def read_snapshot(
    source: SpecSource,
    commit: str,
    folder: str,
    environment_name: str,
    kinds: Mapping[str, Kind],
    root: str = "",
    storage: str = "",
    cache: ParseCache | None = None,
) -> Snapshot:
    """The state that ``commit`` asks for in one environment. ``cache`` may be kept between calls.

    Raises:
        SpecError: with every problem of every file; nothing of such a commit is used.
    """
    cache = ParseCache() if cache is None else cache
    loaded = _load(source, commit, [folder], kinds, cache)
    code = Code(source, commit, cache.outlines)
    understood = _understand(loaded, environment_name, kinds, code, cache)
    cache.retain({(draft.file, draft.sha) for draft in loaded.drafts})
    spec = _environment_spec(understood, kinds)
    errors = [problem for problem in understood.problems if problem.severity == "error"]
    if errors or spec is None:
        raise SpecError(errors)
    references = {
        ref: code.ref(kinds[ref.kind].entrypoints(resource.spec).values())
        for ref, resource in understood.resources.items()
    }
    shipped = {ref: found for ref, found in references.items() if found is not None}
    prints = fingerprints(understood.resources, shipped, kinds)
    return Snapshot(
        commit=commit,
        environment=environment_name,
        environment_spec=spec,
        resources=understood.resources,
        environments=understood.environments,
        code=shipped,
        fingerprints=prints,
        digest=snapshot_digest(environment_name, spec, prints),
        root=root,
        storage=storage,
        warnings=tuple(sorted(set(understood.problems))),
    )


def read_environment(
    source: SpecSource, commit: str, folder: str, environment_name: str, kinds: Mapping[str, Kind]
) -> BaseModel:
    """The spec of one Environment alone: where its state and storage are must be known before anything else is.

    Raises:
        SpecError: it does not exist or is wrong; mistakes of other objects do not matter here.
    """
    cache = ParseCache()
    loaded = _load(source, commit, [folder], kinds, cache)
    drafts, repeated = validate.unique(loaded.drafts)
    environments, wrong = _typed([draft for draft in drafts if draft.ref.kind == ENVIRONMENT], kinds, cache)
    ref = Ref(ENVIRONMENT, environment_name)
    if ref in environments:
        return environments[ref].spec
    understood = _Understood(None, {}, environments, ())
    problems = _missing_environment(environment_name, loaded, environments)
    spec = _environment_spec(understood, kinds)
    if problems or spec is None or ref in loaded.declared:
        raise SpecError(problems or [*wrong, *repeated, *loaded.problems])
    return spec


def check(source: SpecSource, commit: str, folders: Sequence[str], kinds: Mapping[str, Kind]) -> Report:
    """Look at every object as every declared Environment would have it. Never raises SpecError."""
    cache = ParseCache()
    try:
        loaded = _load(source, commit, folders, kinds, cache)
    except SpecError as error:
        return Report(0, 0, error.problems)
    code = Code(source, commit, cache.outlines)
    names: set[str | None] = {draft.ref.name for draft in loaded.drafts if draft.ref.kind == ENVIRONMENT}
    environments = len(names)
    found: dict[Problem, list[str]] = {}
    for name in sorted(names, key=str) or [None]:
        for problem in set(_understand(loaded, name, kinds, code, cache).problems):
            found.setdefault(problem, []).append(str(name))
    problems = [
        problem if len(where) >= environments or problem in loaded.problems else _only_in(problem, where)
        for problem, where in found.items()
    ]
    return Report(loaded.files, len(loaded.drafts), tuple(sorted(set(problems))))


def _only_in(problem: Problem, environments: Sequence[str]) -> Problem:
    return replace(problem, message=f"{problem.message} (in environment {', '.join(environments)})")


def _load(
    source: SpecSource, commit: str, folders: Sequence[str], kinds: Mapping[str, Kind], cache: ParseCache
) -> LoadedFolder:
    loaded = [load_folder(source, commit, folder, kinds, cache) for folder in folders]
    for folder, one in zip(folders, loaded, strict=True):
        if one.files == 0 and source.tree_digest(commit, folder) is None:
            raise SpecError([Problem(folder, 0, 0, "", "there is no such folder in the repository")])
    drafts = {(draft.file, draft.index): draft for one in loaded for draft in one.drafts}
    problems = dict.fromkeys(problem for one in loaded for problem in one.problems)
    declared = frozenset().union(*(one.declared for one in loaded))
    return LoadedFolder(
        ", ".join(folders), sum(one.files for one in loaded), tuple(drafts.values()), tuple(problems), declared
    )


def _understand(
    loaded: LoadedFolder, environment_name: str | None, kinds: Mapping[str, Kind], code: Code, cache: ParseCache
) -> _Understood:
    drafts, problems = validate.unique(loaded.drafts)
    problems = [*loaded.problems, *problems]
    environments, wrong = _typed([draft for draft in drafts if draft.ref.kind == ENVIRONMENT], kinds, cache)
    problems += wrong
    others = [draft for draft in drafts if draft.ref.kind != ENVIRONMENT]
    environment = None
    if environment_name is not None:
        environment = environments.get(Ref(ENVIRONMENT, environment_name))
        problems += _missing_environment(environment_name, loaded, environments)
    if environment is not None:
        others, unmatched = overlays.apply(environment, others, kinds, loaded.declared)
        problems += unmatched
    resources, wrong = _typed(others, kinds, cache)
    problems += wrong
    together = {**resources, **({environment.ref: environment} if environment is not None else {})}
    declared = loaded.declared | {draft.ref for draft in drafts}
    problems += validate.between(together, declared - together.keys(), kinds, code)
    return _Understood(environment, resources, environments, tuple(problems))


def _typed(
    drafts: Sequence[Draft], kinds: Mapping[str, Kind], cache: ParseCache
) -> tuple[dict[Ref, Resource], list[Problem]]:
    resources: dict[Ref, Resource] = {}
    problems: list[Problem] = []
    for draft in drafts:
        outcome = understand(draft, kinds, cache)
        if isinstance(outcome, Resource):
            resources[draft.ref] = outcome
        else:
            problems += outcome
    return resources, problems


def _missing_environment(name: str, loaded: LoadedFolder, environments: Mapping[Ref, Resource]) -> list[Problem]:
    declared = tuple(sorted(ref.name for ref in loaded.declared | environments.keys() if ref.kind == ENVIRONMENT))
    if name in declared or (not declared and name == DEFAULT_ENVIRONMENT):
        return []
    message = f"there is no Environment named {name!r}"
    return [Problem(loaded.folder, 0, 0, "", message, declared, words.nearest(name, declared))]


def _environment_spec(understood: _Understood, kinds: Mapping[str, Kind]) -> BaseModel | None:
    if understood.environment is not None:
        return understood.environment.spec
    return None if understood.environments else kinds[ENVIRONMENT].spec()
