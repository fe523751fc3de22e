"""Objects that were read before: what rules need of them is at hand, the rest is made when it is asked for.

The classes are those of ``resource`` and ``planning`` with fields that come late, so that who uses them cannot tell.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from framework.api.errors import Problem
from framework.api.meta import Metadata, Ref
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.fingerprint import Texts, identity_of
from framework.ports import CodeRef, Json, SourceData
from framework.specs.language.resource import Draft, Facts, Resource
from framework.specs.yaml.positions import DocumentPositions, Positions


@dataclass(frozen=True)
class Body:
    """One object of a file, understood as far as it is by itself. ``head`` is the object, its ``spec`` left None;
    ``spec`` is JSON. Without ``facts`` and ``texts`` the spec is wrong, and ``problems`` say why."""

    head: Mapping[str, Any]
    spec: str = field(repr=False)
    problems: tuple[Problem, ...] = ()
    facts: Facts | None = None
    texts: Texts | None = None


class LazyFacts(Facts):
    """Facts of which those that are asked of everybody are at hand, and of the rest whether there are any. ``text`` is
    the JSON of all, which ``read`` understands once one of the others is asked for."""

    text: str
    has: int
    """As :func:`has_of` tells."""
    upstreams: tuple[Ref, ...]
    names: tuple[str, ...]
    _read: Callable[[str], Facts]

    def __init__(
        self, text: str, read: Callable[[str], Facts], upstreams: tuple[Ref, ...], names: tuple[str, ...], has: int
    ) -> None:
        self.__dict__.update(text=text, upstreams=upstreams, names=names, _read=read, has=has)
        self.__dict__.update({name: () for bit, name in enumerate(_REST) if not has >> bit & 1})

    def __getattr__(self, name: str) -> Any:
        """Called for what is not at hand alone."""
        if name not in _FACTS:
            raise AttributeError(name)
        self.__dict__.update(vars(self._read(self.text)))
        return self.__dict__[name]


_FACTS = frozenset(item.name for item in fields(Facts))
_REST = ("claims", "warnings", "secrets", "places", "borrows", "data")


def has_of(facts: Facts) -> int:
    """Which facts there are besides references and entrypoints: a bit for each of :data:`_REST`."""
    if isinstance(facts, LazyFacts):
        return facts.has
    return sum(bool(getattr(facts, name)) << bit for bit, name in enumerate(_REST))


class LazyDraft(Draft):
    """``facts`` None: only the body knows whether its spec is right. Where it is and nothing patches it, ``spec`` and
    ``texts`` are the resource's."""

    facts: Facts | None
    _model: type[BaseModel]
    _load: Callable[[], Body]
    _metadata: str | None
    _text: Callable[[], str]

    def __init__(
        self, ref: Ref, file: str, sha: str, index: int, text: Callable[[], str], load: Callable[[], Body],
        model: type[BaseModel], facts: Facts | None = None, metadata: str | None = None,
    ) -> None:  # fmt: skip
        """``text`` gives the file's text, for places; ``metadata`` may be at hand already, as JSON."""
        self.__dict__.update(
            ref=ref, file=file, sha=sha, index=index, facts=facts,
            _load=load, _text=text, _model=model, _metadata=metadata,
        )  # fmt: skip

    @property
    def body(self) -> Body:
        """Not kept here: what it is asked for is made of it once, and takes a part of the memory."""
        return self._load()

    def let_go(self, load: Callable[[], Body]) -> None:
        """``load`` brings the body from elsewhere from now on, so that it need not be held here."""
        self.__dict__.update(_metadata=self.metadata_text, _load=load)

    @property
    def metadata_text(self) -> str:
        return json.dumps(self.body.head["metadata"]) if self._metadata is None else self._metadata

    @cached_property
    def metadata(self) -> Metadata:
        return Metadata.model_validate_json(self.metadata_text, strict=True)

    @cached_property
    def raw(self) -> Mapping[str, Any]:
        return {**self.body.head, "spec": json.loads(self.body.spec)}

    @cached_property
    def positions(self) -> Positions:
        return DocumentPositions(self.file, self._text, self.index)

    @cached_property
    def spec(self) -> BaseModel:
        return self._model.model_validate_json(self.body.spec, strict=True)

    @property
    def texts(self) -> Texts:
        texts = self.body.texts
        assert texts is not None, "a resource comes of a draft whose spec is right"
        return texts


class LazyResource(Resource):
    """Of which the facts are at hand. ``find`` gives what has the rest, the same each time: the draft, or what an
    Environment makes of it."""

    _find: Callable[[], LazyDraft | Resource]

    def __init__(self, ref: Ref, file: str, key: str, facts: Facts, find: Callable[[], LazyDraft | Resource]) -> None:
        self.__dict__.update(ref=ref, file=file, key=key, facts=facts, _find=find)

    def __getattr__(self, name: str) -> Any:
        """Called for what is not at hand alone."""
        if name not in _OF_RESOURCES:
            raise AttributeError(name)
        return getattr(self._find(), name)


_OF_RESOURCES = frozenset(item.name for item in fields(Resource))


class LazyDesired(Desired[BaseModel]):
    """What git asks for, whose spec is read when a plan looks at it."""

    resource: Resource
    """The object as it was written."""
    _workload_version: str

    @classmethod
    def of(
        cls, resource: Resource, *, commit: str, identity: str, digest: str, environment: str, storage: str, root: str,
        upstream: Mapping[Ref, str], meanings: Mapping[str, str], code: CodeRef | None, workload_version: str,
        connections: Mapping[str, Json], data: SourceData,
    ) -> LazyDesired:  # fmt: skip
        desired = cls.__new__(cls)
        desired.__dict__.update(
            ref=resource.ref, commit=commit, identity=identity, digest=digest, environment=environment,
            storage=storage, root=root, upstream=upstream, meanings=meanings, code=code, file=resource.file, data=data,
            resource=resource, _workload_version=workload_version, connections=connections,
        )  # fmt: skip
        return desired

    @cached_property
    def metadata(self) -> Metadata:
        return self.resource.metadata

    @cached_property
    def spec(self) -> BaseModel:
        return self.resource.spec

    @cached_property
    def recipe(self) -> str:
        texts = self.resource.texts
        if not self.upstream and not texts.how:
            return self.identity
        code = [self.code.digest] if self.code is not None else []
        return identity_of(texts.recipe, code, {}, self._workload_version)


def resources_of(desired: Mapping[Ref, Desired[Any]]) -> dict[Ref, Resource]:
    """The objects that git's wishes were read from, where they were read from any."""
    return {ref: one.resource for ref, one in desired.items() if isinstance(one, LazyDesired)}
