"""One commit while it is read: from files to what is sound, or to everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from framework.api.errors import Problem, SpecError
from framework.api.meta import Ref
from framework.api.places import Premises
from framework.planning.grammar.graph import CycleError
from framework.planning.grammar.kind import Kind
from framework.ports import Blob, SpecSource
from framework.specs.cache import cached
from framework.specs.cache.cached import Asked, CachedEnvironment
from framework.specs.cache.lazy import Body, LazyDraft
from framework.specs.cache.parse_cache import ParseCache, text
from framework.specs.cache.rows import LoadedFile
from framework.specs.cache.store import CachedState
from framework.specs.language import words
from framework.specs.language.resource import ENVIRONMENT, Draft, Resource, patched_key
from framework.specs.loader import read_row, spec_blobs, understand
from framework.specs.patches import overlays
from framework.specs.rules import validate
from framework.specs.rules.code import Code, ManyDigests
from framework.specs.rules.safety import misplaced
from framework.specs.snapshot import fingerprints, snapshot_digest
from framework.specs.tree import listing_digest

DEFAULT_ENVIRONMENT = "local"
"""May be used without being declared, while a project declares no Environment at all."""
_LISTING = "listing of "


@dataclass(frozen=True)
class Understood:
    """What one environment is at the commit. ``resources`` are those that are right by themselves; ``state`` is there
    unless ``problems`` hold an error, or the environment has no name."""

    environment: Resource | None
    environments: Mapping[Ref, Resource]
    problems: tuple[Problem, ...]
    resources: Mapping[Ref, Resource]
    state: CachedEnvironment | None = None

    def unsafe(self, premises: Premises) -> tuple[Problem, ...]:
        """What may not take effect, though it is understood. A secret in another Environment is one, too."""
        resources = tuple(self.resources.values())
        everything = (*resources, *self.environments.values())
        secrets = (problem for resource in everything for problem in resource.facts.secrets)
        own = () if self.environment is None else (self.environment,)
        return tuple(sorted({*secrets, *misplaced((*resources, *own), premises)}))


class Reading:
    """``folders`` of one commit. What several environments share is read once.

    Raises:
        SpecError: from everything here, where a folder does not exist or holds links.
    """

    def __init__(
        self, source: SpecSource, commit: str, folders: Sequence[str], kinds: Mapping[str, Kind], cache: ParseCache
    ) -> None:
        self._source, self._commit, self._folders = source, commit, tuple(folders)
        self._kinds, self._cache = kinds, cache
        self._code = Code(source, commit, cache.outlines)
        self._revived: dict[CachedState, CachedEnvironment | None] = {}

    # -- files -------------------------------------------------------------------------------------------------------

    @cached_property
    def loaded(self) -> LoadedFile:
        """What all files hold together."""
        if not self._cache.files and (newest := self._newest(self._kept(None))) is not None:
            self._take_over(newest)
        for folder, blobs in self._blobs.items():
            if not blobs and self._source.tree_digest(self._commit, folder) is None:
                raise SpecError([Problem(folder, 0, 0, "", "there is no such folder in the repository")])
        files = self._cache.load(self._source, self.files, self._kinds, partial(read_row, kinds=self._kinds))
        return LoadedFile(
            tuple(draft for file in files for draft in file.drafts),
            tuple(dict.fromkeys(problem for file in files for problem in file.problems)),
            frozenset().union(*(file.declared for file in files)),
        )

    @cached_property
    def files(self) -> tuple[Blob, ...]:
        """Each once, in however many of the folders it lies."""
        return tuple(dict.fromkeys(blob for blobs in self._blobs.values() for blob in blobs))

    @cached_property
    def _blobs(self) -> Mapping[str, Sequence[Blob]]:
        return {folder: spec_blobs(self._source, self._commit, folder) for folder in self._folders}

    def environments(self) -> tuple[dict[Ref, Resource], list[Problem], list[Problem]]:
        """Those that are right, what is wrong with the others, and names that repeat."""
        drafts, repeated = validate.unique(self.loaded.drafts)
        found, wrong = self._typed([draft for draft in drafts if draft.ref.kind == ENVIRONMENT], {}, None)
        return found, self._second(wrong), repeated

    def _second(self, problems: Iterable[Problem]) -> list[Problem]:
        """Those that stand where nothing was told yet: what a word that nobody could read would mean is no mistake of
        its own."""
        return [one for one in problems if not one.line or (one.file, one.line, one.column) not in self._told]

    @cached_property
    def _told(self) -> frozenset[tuple[str, int, int]]:
        return frozenset((one.file, one.line, one.column) for one in self.loaded.problems)

    def cached_environment(self, name: str) -> Resource | None:
        """An Environment of this very commit as it was found before."""
        same, _ = self._cached(name)
        return None if same is None else same.environment

    def missing_environment(self, name: str, environments: Mapping[Ref, Resource]) -> list[Problem]:
        known = self.loaded.declared | environments.keys()
        declared = tuple(sorted(ref.name for ref in known if ref.kind == ENVIRONMENT))
        if name in declared or (not declared and name == DEFAULT_ENVIRONMENT):
            return []
        message = f"there is no Environment named {name!r}"
        return [Problem(", ".join(self._folders), 0, 0, "", message, declared, words.nearest(name, declared))]

    # -- one environment ---------------------------------------------------------------------------------------------

    def understood(self, name: str | None) -> Understood:
        """The whole of an environment. What stayed as it was is taken over."""
        same, earlier = self._cached(name) if name is not None else (None, None)
        if same is not None:
            same = same.at(self._commit)
            return Understood(same.environment, same.environments, same.warnings, same.resources, same)
        if earlier is not None:
            self._take_over(earlier)
        return self._anew(name, earlier)

    def _take_over(self, earlier: CachedEnvironment) -> None:
        for key, file in earlier.files().items():
            self._cache.files.setdefault(key, file)
        self._code.ask(earlier.asked)
        for names, sound in earlier.sound.items():
            if self._unchanged({path: earlier.asked[path] for path in sound.paths}):
                self._code.sound[names] = sound._replace(ref=replace(sound.ref, commit=self._commit))

    def _anew(self, name: str | None, earlier: CachedEnvironment | None) -> Understood:
        drafts, repeated = validate.unique(self.loaded.drafts)
        problems = [*repeated]
        known = earlier.resources if earlier else {}
        environments, wrong = self._typed(
            [draft for draft in drafts if draft.ref.kind == ENVIRONMENT], earlier.environments if earlier else {}, None
        )
        problems += wrong
        others = [draft for draft in drafts if draft.ref.kind != ENVIRONMENT]
        environment = None
        if name is not None:
            environment = environments.get(Ref(ENVIRONMENT, name))
            problems += self.missing_environment(name, environments)
        if environment is not None:
            others, unmatched = overlays.apply(environment, others, self._kinds, self.loaded.declared)
            problems += unmatched
        resources, wrong = self._typed(others, known, environment)
        problems += wrong
        together = {**resources, **({environment.ref: environment} if environment is not None else {})}
        declared = self.loaded.declared | {draft.ref for draft in drafts}
        wrong, checked = validate.between(
            together, declared - together.keys(), self._kinds, self._code, earlier.checked() if earlier else {}
        )
        problems += wrong
        state = None
        if any(problem.severity == "error" for problem in (*self.loaded.problems, *problems)):
            problems += validate.cycles(resources)
        else:
            try:
                state = self._state(name, environment, environments, resources, checked, earlier)
            except CycleError:
                problems += validate.cycles(resources)
        problems = [*self.loaded.problems, *self._second(problems)]
        self._cache.retain({(blob.path, blob.sha) for blob in self.files})
        return Understood(environment, environments, tuple(problems), resources, state)

    def _typed(
        self, drafts: Sequence[Draft], known: Mapping[Ref, Resource], environment: Resource | None
    ) -> tuple[dict[Ref, Resource], list[Problem]]:
        resources: dict[Ref, Resource] = {}
        problems: list[Problem] = []
        for draft in drafts:
            key = draft.key if environment is None or draft.base is None else patched_key(draft.key, environment)
            before = known.get(draft.ref)
            outcome = before if before is not None and before.key == key else understand(draft, self._kinds)
            if isinstance(outcome, Resource):
                resources[draft.ref] = outcome if outcome.key == key else replace(outcome, key=key)
            else:
                problems += outcome
        return resources, problems

    def _state(
        self, name: str | None, environment: Resource | None, environments: Mapping[Ref, Resource],
        resources: Mapping[Ref, Resource], checked: Mapping[Ref, validate.Checked], earlier: CachedEnvironment | None,
    ) -> CachedEnvironment | None:  # fmt: skip
        """None where the environment has no name, or is not declared though others are. Raises CycleError."""
        used = {resource.facts.names for resource in resources.values()}
        sound = {names: found for names, found in self._code.sound.items() if names in used}
        code = {ref: sound[resource.facts.names].ref for ref, resource in resources.items() if resource.facts.names}
        prints = fingerprints(resources, code, self._kinds, earlier.known if earlier else None)
        if name is None or (environment is None and environments):
            return None
        spec = environment.spec if environment is not None else self._kinds[ENVIRONMENT].spec()
        drafts = tuple(draft for draft in self.loaded.drafts if isinstance(draft, LazyDraft))
        files = dict.fromkeys((blob.path, blob.sha) for blob in self.files)
        asked = {*map(self._at, self._folders), *(path for one in sound.values() for path in one.paths)}
        return CachedEnvironment(
            name, self._folders, {path: self._digest(path) for path in sorted(asked)},
            tuple(files.keys() - {(draft.file, draft.sha) for draft in drafts}), environment, environments, resources,
            sound, prints, snapshot_digest(name, spec, prints), len(drafts), lambda: drafts, lambda: checked,
        )  # fmt: skip

    # -- earlier ones ------------------------------------------------------------------------------------------------

    def _cached(self, name: str) -> tuple[CachedEnvironment | None, CachedEnvironment | None]:
        """The state of an environment that this commit has again; or the newest other one, which spares looking at most
        of it again."""
        known = [state for state in self._cache.states if (state.name, state.folders) == (name, self._folders)]
        same = self._first_same([state.asked for state in known])
        if same is not None:
            self._cache.remember(known[same])
            return known[same], None
        kept = self._kept(name)
        same = self._first_same([cached.asked_of(one.head) for one in kept])
        if same is not None and (state := self._revive(kept[same])) is not None:
            self._cache.remember(state)
            return state, None
        if not known and (earlier := self._newest(kept)) is not None:
            self._cache.remember(earlier)  # it may well be asked for next
            return None, earlier
        return None, known[0] if known else None

    def _first_same(self, asked: Sequence[Asked]) -> int | None:
        self._code.ask(path for one in asked for path in one if not path.startswith(_LISTING))
        return next((number for number, one in enumerate(asked) if self._unchanged(one)), None)

    def remember(self, state: CachedEnvironment) -> None:
        """Keep it, in memory and, where that is worth the while, on disk."""
        cache = self._cache
        known = any(
            (one.name, one.folders, one.asked) == (state.name, state.folders, state.asked) for one in cache.states
        )
        if known:
            return
        cache.remember(state)
        if cache.store is not None and state.objects >= cache.few:
            head, body = cached.head(state.name, state.asked), cached.encode(state)
            cache.store.add_state(state.folders, state.name, head, body, self._kinds)
            for draft in state.drafts():
                draft.let_go(partial(self.body, Blob(draft.file, draft.sha), draft.index))

    def _kept(self, name: str | None) -> Sequence[CachedState]:
        return self._cache.store.states(self._folders, self._kinds, name) if self._cache.store else ()

    def _newest(self, kept: Sequence[CachedState]) -> CachedEnvironment | None:
        return self._revive(kept[0]) if kept else None

    def _revive(self, kept: CachedState) -> CachedEnvironment | None:
        if kept not in self._revived:
            body = self._cache.store.state(kept) if self._cache.store else None
            state = None if body is None else cached.decode(kept.head, self._folders, body, self._kinds, self)
            self._revived[kept] = state
        return self._revived[kept]

    # -- cached.Rereader ---------------------------------------------------------------------------------------------

    def text(self, blob: Blob) -> str:
        """Of a file, for places."""
        return text(self._source, blob)

    def body(self, blob: Blob, index: int) -> Body:
        """One object of a file, from where it is kept."""
        return self._cache.body(self._source, self._kinds, partial(read_row, kinds=self._kinds), blob, index)

    # -- digests -----------------------------------------------------------------------------------------------------

    def _unchanged(self, asked: Asked) -> bool:
        return all(self._digest(path) == digest for path, digest in asked.items())

    def _at(self, folder: str) -> str:
        """What names the whole of a folder: its tree, where that costs little, or a listing of its files."""
        return folder if isinstance(self._source, ManyDigests) else f"{_LISTING}{folder}"

    def _digest(self, path: str) -> str | None:
        if not path.startswith(_LISTING):
            return self._code.digest(path)
        folder = path.removeprefix(_LISTING)
        return listing_digest((blob.path, blob.sha) for blob in self._blobs[folder]) if folder in self._blobs else None
