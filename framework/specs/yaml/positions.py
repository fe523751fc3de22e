"""YAML text -> plain data, and where every key and value of it stands.

The C parser's event stream is folded iteratively, so neither it nor we recurse: nesting is refused at the first level
too deep, before anything can overflow, and a file costs time and memory in proportion to its size at most. Scalars
follow the YAML 1.2 core schema. What YAML allows but two readers understand differently (tags, merge keys, repeated
keys, ``yes``, ``010``) is a Problem, not a guess.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import yaml

from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.specs.yaml import nodes, paths, syntax
from framework.specs.yaml.nodes import Alias, Node, Scalar, YamlTree
from framework.specs.yaml.paths import Path
from framework.specs.yaml.scalars import ScalarError, resolve

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 50_000
MAX_ALIASES = 100
MAX_PROBLEMS = 50
"""Of one file; whoever has more reads the rest after mending these."""
_MOST_EVENTS = 2 * MAX_NODES + 2
"""Of a text with so many values at most: each of them takes one or two, and so does the whole."""


class Position(NamedTuple):
    """A position in a file; ``line`` and ``column`` count from 1."""

    file: str
    line: int
    column: int


class Positions(Protocol):
    """Says where a path of an object was written."""

    def value(self, path: str | Path) -> Position:
        """Where the value at ``path`` stands; for a mapping or list, its key. What is not there: the nearest parent."""
        ...

    def key(self, path: str | Path) -> Position:
        """Where the key of ``path`` stands; for an item of a list, the item."""
        ...


@dataclass(frozen=True)
class DocumentPositions:
    """Positions of one document. Only the text is kept, or how to read it again; it becomes a tree when the first
    problem needs that."""

    file: str
    text: str | Callable[[], str] = field(repr=False)
    index: int

    def _find(self, path: str | Path) -> tuple[Scalar | None, Node | None, bool]:
        """The key and the value at ``path``, and whether they are there; else those of the nearest parent."""
        tree = _tree(self.text)
        key, node = None, tree.roots[self.index] if self.index < len(tree.roots) else None
        for part in paths.parse(path) if isinstance(path, str) else path:
            below = None if node is None else nodes.below(node, part)
            if below is None:
                return key, node, False
            key, node = below
        return key, node, True

    def value(self, path: str | Path) -> Position:
        key, node, exact = self._find(path)
        return self._place(node if key is None or (exact and isinstance(node, Scalar | Alias)) else key)

    def key(self, path: str | Path) -> Position:
        key, node, _ = self._find(path)
        return self._place(key or node)

    def _place(self, node: Node | None) -> Position:
        if node is None:
            return Position(self.file, 1, 1)
        tree = _tree(self.text)
        return Position(self.file, tree.line(node.at) + 1, tree.column(node.at) + 1)


@dataclass(frozen=True)
class Document:
    """One document of a file. ``sound`` is False where a Problem was found in it."""

    data: Any
    positions: DocumentPositions
    sound: bool

    @property
    def ref(self) -> Ref | None:
        """What it calls itself, if it does."""
        if not isinstance(self.data, dict) or not isinstance(metadata := self.data.get("metadata"), dict):
            return None
        kind, name = self.data.get("kind"), metadata.get("name")
        return Ref(kind, name) if isinstance(kind, str) and isinstance(name, str) else None


@dataclass(frozen=True)
class ParsedFile:
    """Documents that could be read whole, and everything wrong with the text. ``broken``: reading ended early."""

    documents: tuple[Document, ...]
    problems: tuple[Problem, ...]
    broken: bool = False


def parse(file: str, data: bytes) -> ParsedFile:
    """Read a YAML file of one or more documents. Never raises: what is wrong comes back as problems.

    Bounds: 1 MiB, 64 levels, 50,000 nodes, 100 aliases; an alias counts as what it expands to.
    """
    text, refusal = syntax.decode(file, data, MAX_BYTES)
    if refusal is not None:
        return ParsedFile((), (refusal,), broken=True)
    reader = _Reader(file, text)
    reader.read()
    documents = tuple(
        Document(value, DocumentPositions(file, text, index), sound)
        for index, (value, sound) in enumerate(reader.documents)
        if value is not None or not sound
    )
    return ParsedFile(documents, tuple(reader.problems), reader.broken)


@lru_cache(maxsize=4)
def _tree(text: str | Callable[[], str]) -> YamlTree:
    """Kept for a while: a file of many documents of which each has a mistake is read once for all of them."""
    return nodes.read(text if isinstance(text, str) else text(), _MOST_EVENTS)


class _RefusedError(Exception):
    """The file passes a bound; nothing after it is read."""


@dataclass
class _Frame:
    """A mapping or list being filled. ``key`` is None while a key comes next; ``ignore`` drops the next value."""

    container: dict[str, Any] | list[Any]
    path: Path
    anchor: str | None
    first_node: int
    first_character: int
    depth: int
    deepest: int
    key: str | None = None
    ignore: bool = False
    lines: dict[str, int] = field(default_factory=dict)


class _Anchor(NamedTuple):
    value: Any
    nodes: int
    characters: int
    levels: int


_MERGE_KEY = "<<"
_KEY_NO_TEXT = "a key must be a word or text, not a list or mapping; quote text that starts with '{' or '['"


class _Reader:
    """Folds the event stream of one file."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.text = file, text
        self.documents: list[tuple[Any, bool]] = []
        self.problems: list[Problem] = []
        self.broken = True
        self._root: Any = None
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Anchor] = {}
        self._open_anchors: set[str] = set()
        self._problems_before = 0
        self._nodes = self._characters = self._aliases = 0

    def read(self) -> None:
        try:
            for event in yaml.parse(self.text, Loader=yaml.CSafeLoader):
                self._take(event)
            self.broken = False
        except _RefusedError:
            pass
        except yaml.YAMLError as error:
            self.problems.append(syntax.explain(self.file, self.text, error))

    # -- events ------------------------------------------------------------------------------------------------------

    def _take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._count(event)
            self._anchors, self._open_anchors = {}, set()
            self._problems_before = len(self.problems)
        elif isinstance(event, yaml.DocumentEndEvent):
            self.documents.append((self._root, len(self.problems) == self._problems_before))
            self._root = None

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._count(event, characters=len(event.value))
        self._check_tag(event)
        plain = not event.style
        if self._wants_key():
            self._set_key(event)
            return
        value: Any = event.value
        if "\0" in value:
            self._add(event, "the character U+0000 is not allowed: files, databases and programs take it for the end")
        if plain:
            try:
                value = resolve(event.value)
            except ScalarError as problem:
                value = problem.stand_in
                self._add(event, str(problem), suggestion=problem.suggestion)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(value, 1, len(event.value), 0)
        self._put(value)

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        self._count(event)
        self._check_tag(event)
        depth = len(self._stack) + 1
        if depth > MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} levels deep")
        container: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        if self._wants_key():
            self._add(event, _KEY_NO_TEXT)
            self._skip_value()
            path = self._stack[-1].path
        else:
            path = self._put(container)
        if event.anchor is not None:
            self._open_anchors.add(event.anchor)
        self._stack.append(_Frame(container, path, event.anchor, self._nodes, self._characters, depth, depth))

    def _close(self) -> None:
        frame = self._stack.pop()
        if frame.anchor is not None:
            self._open_anchors.discard(frame.anchor)
            nodes, characters = self._nodes - frame.first_node + 1, self._characters - frame.first_character
            levels = frame.deepest - frame.depth + 1
            self._anchors[frame.anchor] = _Anchor(frame.container, nodes, characters, levels)
        if self._stack:
            self._stack[-1].deepest = max(self._stack[-1].deepest, frame.deepest)

    def _alias(self, event: yaml.AliasEvent) -> None:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            self._refuse(event, f"more than {MAX_ALIASES} aliases")
        name = str(event.anchor)
        anchor = self._anchors.get(name)
        if self._wants_key():
            self._add(event, "a key must be written out, not an alias")
            self._skip_value()
            return
        if anchor is None:
            inside = name in self._open_anchors
            message = f"*{name} lies inside itself" if inside else f"no anchor &{name} comes before this alias"
            self._add(event, message)
            self._put(None)
            return
        self._count(event, anchor.nodes, anchor.characters)
        depth = len(self._stack) + anchor.levels
        if depth > MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} levels deep through *{name}")
        if self._stack:
            self._stack[-1].deepest = max(self._stack[-1].deepest, depth)
        self._put(anchor.value)

    # -- building ----------------------------------------------------------------------------------------------------

    def _wants_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].container, dict) and self._stack[-1].key is None

    def _set_key(self, event: yaml.ScalarEvent) -> None:
        frame = self._stack[-1]
        assert isinstance(frame.container, dict)
        key, plain = str(event.value), not event.style
        if plain and key == _MERGE_KEY:
            self._add(event, "merge keys (<<) are not part of YAML 1.2; write the fields out")
            self._skip_value()
            return
        if key in frame.container:
            self._add(event, f"the key {key!r} repeats; it is first on line {frame.lines[key]}", extra=(key,))
            self._skip_value()
            return
        if key == "" and plain:
            self._add(event, "a key is missing before ':'")
        if "\0" in key:
            self._add(event, "the character U+0000 is not allowed in a key")
        frame.key, frame.ignore = key, False
        frame.lines[key] = _mark(event)[0]
        frame.container[key] = None

    def _skip_value(self) -> None:
        frame = self._stack[-1]
        frame.key, frame.ignore = "", True

    def _put(self, value: Any) -> Path:
        if not self._stack:
            self._root = value
            return ()
        frame = self._stack[-1]
        if isinstance(frame.container, list):
            path: Path = (*frame.path, len(frame.container))
            frame.container.append(value)
            return path
        assert frame.key is not None
        path = (*frame.path, frame.key)
        if not frame.ignore:
            frame.container[frame.key] = value
        frame.key, frame.ignore = None, False
        return path

    # -- bounds and problems -----------------------------------------------------------------------------------------

    def _count(self, event: yaml.Event, nodes: int = 1, characters: int = 0) -> None:
        self._nodes += nodes
        self._characters += characters
        if self._characters > MAX_BYTES:
            self._refuse(event, f"more than {MAX_BYTES >> 20} MiB of text in one file, aliases expanded")
        if self._nodes > MAX_NODES:
            self._refuse(event, f"more than {MAX_NODES:,} values in one file, aliases expanded")

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            self._add(event, "tags (!) are not allowed; write the plain value")

    def _add(self, event: yaml.Event, message: str, *, suggestion: str | None = None, extra: Path = ()) -> None:
        line, column = _mark(event)
        frame = self._stack[-1] if self._stack else None
        where: Path = ()
        if frame is not None:
            step: Path = (frame.key,) if frame.key else ()
            if isinstance(frame.container, list):
                step = (len(frame.container),)
            where = (*frame.path, *step, *extra)
        self.problems.append(Problem(self.file, line, column, paths.render(where), message, suggestion=suggestion))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _RefusedError

    def _refuse(self, event: yaml.Event, message: str) -> None:
        line, column = _mark(event)
        self.problems.append(Problem(self.file, line, column, "", message))
        raise _RefusedError


def _mark(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    assert mark is not None
    return mark.line + 1, mark.column + 1
