"""An environment at one commit that was found sound, kept so that whatever stays as it was is not looked at again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from typing import Any, NamedTuple, Protocol, cast

from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.planning.grammar.kind import Kind
from framework.ports import Blob, CodeRef
from framework.specs.cache import rows
from framework.specs.cache.lazy import Body, LazyDraft, LazyFacts, LazyResource, has_of
from framework.specs.cache.rows import LoadedFile
from framework.specs.language.resource import ENVIRONMENT, Facts, Resource, patched_key
from framework.specs.loader import understand_anew
from framework.specs.patches import overlays
from framework.specs.rules.code import Sound
from framework.specs.rules.validate import Checked
from framework.specs.snapshot import Fingerprint

Asked = Mapping[str, str | None]


@dataclass(frozen=True)
class CachedEnvironment:
    """The environment ``name`` in ``folders``. ``asked`` is every digest that this rests on: while they are the same,
    all of this is. ``sound`` are the entrypoints of its resources; ``empty`` files without objects; ``drafts`` the
    objects of all others, in the order of files. What only a commit with changes needs is found when it is called for.
    """

    name: str
    folders: tuple[str, ...]
    asked: Asked
    empty: tuple[tuple[str, str], ...]
    environment: Resource | None
    environments: Mapping[Ref, Resource]
    resources: Mapping[Ref, Resource]
    sound: Mapping[tuple[str, ...], Sound]
    fingerprints: Mapping[Ref, Fingerprint]
    """In dependency order."""
    digest: str
    objects: int
    drafts: Callable[[], tuple[LazyDraft, ...]] = field(repr=False)
    checked: Callable[[], Mapping[Ref, Checked]] = field(repr=False)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(sorted({warning for resource in self.together for warning in resource.facts.warnings}))

    @property
    def together(self) -> tuple[Resource, ...]:
        """The resources and their Environment."""
        return (*self.resources.values(), *([self.environment] if self.environment else []))

    def known(self, resource: Resource, code: CodeRef | None, built_of: Mapping[Ref, str]) -> Fingerprint | None:
        """The fingerprint of a resource where it was made of the same text, code and upstreams."""
        before, old = self.resources.get(resource.ref), self.code.get(resource.ref)
        if before is None or before.key != resource.key or (old and old.digest) != (code and code.digest):
            return None
        prints = self.fingerprints
        same = all(ref in prints and prints[ref].identity == identity for ref, identity in built_of.items())
        return prints.get(resource.ref) if same else None

    @cached_property
    def code(self) -> Mapping[Ref, CodeRef]:
        """Of the resources that name any."""
        named = ((ref, resource.facts.names) for ref, resource in self.resources.items())
        return {ref: self.sound[names].ref for ref, names in named if names}

    def at(self, commit: str) -> CachedEnvironment:
        """The same at another commit."""
        moved = {names: one._replace(ref=replace(one.ref, commit=commit)) for names, one in self.sound.items()}
        return replace(self, sound=moved)

    def files(self) -> Mapping[tuple[str, str], LoadedFile]:
        """By path and blob SHA."""
        drafts: dict[tuple[str, str], list[LazyDraft]] = {key: [] for key in self.empty}
        for draft in self.drafts():
            drafts.setdefault((draft.file, draft.sha), []).append(draft)
        return {
            key: LoadedFile(tuple(found), (), frozenset(draft.ref for draft in found)) for key, found in drafts.items()
        }


def head(name: str, asked: Asked) -> bytes:
    return rows.dumps([name, asked]).encode("ascii")


def asked_of(head: bytes) -> Asked:
    return cast(Asked, json.loads(head)[1])


def encode(state: CachedEnvironment) -> bytes:
    """Everything that no head says, as JSON. Specs are left out: they are read from their files' rows."""
    drafts, checked = state.drafts(), state.checked()
    kinds = list(dict.fromkeys(draft.ref.kind for draft in drafts))
    numbers = _Numbers(_numbered(kinds), _numbered(draft.ref for draft in drafts), _numbered(state.sound))
    document = {
        "empty": state.empty,
        "environment": None if state.environment is None else numbers.refs[state.environment.ref],
        "kinds": kinds,
        "sound": [
            (names, one.paths, (one.ref.commit, one.ref.folder, one.ref.digest, one.ref.files))
            for names, one in state.sound.items()
        ],
        "digest": state.digest,
        "drafts": [_row(state, draft, checked.get(draft.ref), numbers) for draft in drafts],
        "order": [numbers.refs[ref] for ref in state.fingerprints],
    }
    return rows.dumps(document).encode("ascii")


_PATCHED = 64
"""Of a row whose object the Environment patches, beside what ``has_of`` tells."""


class _Numbers(NamedTuple):
    kinds: Mapping[str, int]
    refs: Mapping[Ref, int]
    names: Mapping[tuple[str, ...], int]


def _numbered(items: Iterable[Any]) -> dict[Any, int]:
    return {item: number for number, item in enumerate(items)}


def _row(state: CachedEnvironment, draft: LazyDraft, checked: Checked | None, numbers: _Numbers) -> list[Any]:
    ref = draft.ref
    resource = state.environments[ref] if ref.kind == ENVIRONMENT else state.resources[ref]
    facts = resource.facts
    text = facts.text if isinstance(facts, LazyFacts) else rows.dumps(rows.facts_row(facts))
    return [
        numbers.kinds[ref.kind], ref.name, draft.file, draft.sha, draft.index, draft.metadata_text, text,
        has_of(facts) + _PATCHED * int(resource.key != draft.key),
        numbers.names.get(facts.names), [numbers.refs[one] for one in facts.upstreams],
        None if checked is None else [numbers.refs[one] for one, _ in checked.looked if one not in facts.upstreams],
        *state.fingerprints.get(ref, (None, None)),
    ]  # fmt: skip


class Rereader(Protocol):
    """Where what rows only name is read again."""

    def text(self, blob: Blob) -> str: ...

    def body(self, blob: Blob, index: int) -> Body:
        """Of the object at that place in the file."""
        ...


def decode(
    head: bytes, folders: tuple[str, ...], body: bytes, kinds: Mapping[str, Kind], files: Rereader
) -> CachedEnvironment:
    """The other way. Both parts are ours: the store sees to that."""
    environment_name, asked = json.loads(head)
    document = json.loads(body)
    sheet = _Sheet(document, kinds, files)
    chosen = document["environment"]
    order = document["order"]
    ordered = [(sheet.refs[number], sheet.rows[number]) for number in order]
    return CachedEnvironment(
        name=environment_name,
        folders=folders,
        asked=asked,
        empty=tuple((path, sha) for path, sha in document["empty"]),
        environment=None if chosen is None else sheet.environments[sheet.refs[chosen]],
        environments=sheet.environments,
        resources={ref: sheet.resource(number) for number, ref in enumerate(sheet.refs) if ref.kind != ENVIRONMENT},
        sound=sheet.sound,
        fingerprints={ref: Fingerprint(row[11], row[12]) for ref, row in ordered},
        digest=document["digest"],
        objects=len(sheet.rows),
        drafts=cache(lambda: tuple(sheet.draft(number) for number in range(len(sheet.rows)))),
        checked=cache(sheet.checked),
    )


class _Sheet:
    """The rows of a body."""

    def __init__(self, document: Mapping[str, Any], kinds: Mapping[str, Kind], files: Rereader) -> None:
        names = document["kinds"]
        self.rows: list[list[Any]] = document["drafts"]
        self.refs = [Ref(names[row[0]], row[1]) for row in self.rows]
        self.sound = {
            tuple(named): Sound(tuple(paths), CodeRef(commit, folder, digest, tuple(reached)))
            for named, paths, (commit, folder, digest, reached) in document["sound"]
        }
        self._names = list(self.sound)
        self._kinds, self._files = kinds, files
        self._drafts: dict[int, LazyDraft] = {}
        own = [number for number, ref in enumerate(self.refs) if ref.kind == ENVIRONMENT]
        self._environment: Resource | None = None
        self.environments = {self.refs[number]: self.resource(number) for number in own}
        chosen = document["environment"]
        self._environment = None if chosen is None else self.environments[self.refs[chosen]]

    def facts(self, number: int) -> LazyFacts:
        row, refs = self.rows[number], self.refs
        names = () if row[8] is None else self._names[row[8]]
        return LazyFacts(row[6], _facts, tuple([refs[one] for one in row[9]]), names, row[7] & ~_PATCHED)

    def resource(self, number: int) -> Resource:
        row = self.rows[number]
        find = cache(partial(self._patched, number)) if row[7] & _PATCHED else partial(self.draft, number)
        return LazyResource(self.refs[number], row[2], self._key(number), self.facts(number), find)

    def _patched(self, number: int) -> Resource:
        """The draft as the Environment has it; that it is right was found before."""
        assert self._environment is not None
        (draft,), _ = overlays.apply(self._environment, [self.draft(number)], self._kinds, frozenset())
        outcome = understand_anew(draft, self._kinds)
        assert isinstance(outcome, Resource)
        return outcome

    def draft(self, number: int) -> LazyDraft:
        if number not in self._drafts:
            ref, (_, _, file, sha, index, metadata, *_) = self.refs[number], self.rows[number]
            blob, facts = Blob(file, sha), None if self.rows[number][7] & _PATCHED else self.facts(number)
            text, load = partial(self._files.text, blob), partial(self._files.body, blob, index)
            model = self._kinds[ref.kind].spec
            self._drafts[number] = LazyDraft(ref, file, sha, index, text, load, model, facts, metadata)
        return self._drafts[number]

    def checked(self) -> Mapping[Ref, Checked]:
        keys = [self._key(number) for number in range(len(self.rows))]
        return {
            ref: Checked(key, tuple((self.refs[one], keys[one]) for one in (*row[9], *row[10])))
            for ref, row, key in zip(self.refs, self.rows, keys, strict=True)
            if row[10] is not None
        }

    def _key(self, number: int) -> str:
        row = self.rows[number]
        key = f"{row[2]}\0{row[3]}\0{row[4]}"
        return patched_key(key, self._environment) if row[7] & _PATCHED and self._environment is not None else key


def _facts(text: str) -> Facts:
    return rows.facts_of_row(json.loads(text))
