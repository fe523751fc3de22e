"""YAML text as a tree of what was written where, so that an edit touches only what it changes, and a mistake is told at
its place.

``positions`` reads what a file means; this keeps how it was written: the offset at which every scalar and collection
starts and ends, its style, anchors, aliases and comments.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

import yaml

from framework.specs.yaml.scalars import resolve
from framework.specs.yaml.syntax import LINE_BREAK

_FOLDED = re.compile(r"[ \t]*[\n\r\x85\u2028\u2029][ \t]*")
_TRIVIA = re.compile(r"(?:\s|\ufeff|#[^\n\r\x85\u2028\u2029]*)*")


@dataclass(frozen=True)
class Scalar:
    """``start`` and ``end`` leave out the anchor, where ``at`` is. ``style`` is "" for plain, else the first mark."""

    at: int
    start: int
    end: int
    value: str
    style: str = ""
    anchor: str | None = None

    @property
    def data(self) -> str | int | float | bool | None:
        return self.value if self.style else resolve(self.value)


@dataclass(frozen=True)
class Alias:
    at: int
    start: int
    end: int
    name: str


@dataclass
class Mapping:
    """``end`` of a flow mapping is behind its brace, of a block mapping behind its last value."""

    at: int
    start: int
    flow: bool
    anchor: str | None = None
    end: int = 0
    entries: list[tuple[Scalar, Node]] = field(default_factory=list)

    @cached_property
    def named(self) -> dict[str, tuple[Scalar, Node]]:
        """The entries by key; of keys that repeat, the first."""
        return {entry[0].value: entry for entry in reversed(self.entries)}


@dataclass
class Sequence:
    at: int
    start: int
    flow: bool
    anchor: str | None = None
    end: int = 0
    items: list[Node] = field(default_factory=list)


Node = Scalar | Alias | Mapping | Sequence


@dataclass(frozen=True)
class Comment:
    """``own`` where nothing but spaces stands before it on its line."""

    start: int
    text: str
    own: bool
    line: int
    column: int


@dataclass
class YamlTree:
    """``roots`` are the documents, ``marks`` the offsets at which each begins. Lines and columns count from 0."""

    text: str
    roots: list[Node] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)

    def line(self, offset: int) -> int:
        return bisect_right(self.starts, offset) - 1

    def column(self, offset: int) -> int:
        return offset - self.starts[self.line(offset)]

    def blank(self, line: int) -> bool:
        """Whether a line holds nothing at all; False before the first."""
        if line < 0:
            return False
        end = self.starts[line + 1] if line + 1 < len(self.starts) else len(self.text)
        return not self.text[self.starts[line] : end].strip()


def read(text: str, most: int | None = None) -> YamlTree:
    """The tree of a text that ``positions.parse`` found no fault with; with ``most``, of as much of any text as can be
    read, and of so many events at most.

    Raises:
        yaml.YAMLError: the text is not YAML, and the whole of it is wanted.
    """
    tree = YamlTree(text, starts=[0, *(match.end() for match in LINE_BREAK.finditer(text))])
    with suppress(*([] if most is None else [yaml.YAMLError])):
        _Builder(tree).build(most)
    return tree


def spaced(text: str) -> str:
    """``text`` with spaces for the tabs between its words, which mean the same there and which not every reader takes.

    Raises:
        yaml.YAMLError: the text is not YAML.
    """
    tree = read(text)
    words = [(comment.start, comment.start + len(comment.text)) for comment in tree.comments]
    leaves = (node for root in tree.roots for node in walk(root) if not any(children(node)))
    words += [word for node in leaves for word in _words(text, node)]
    parts, seen = [], 0
    for start, end in sorted(words):
        parts += [text[seen:start].replace("\t", " "), text[max(start, seen) : end]]
        seen = max(end, seen)
    return "".join([*parts, text[seen:].replace("\t", " ")])


def _words(text: str, node: Node) -> Iterator[tuple[int, int]]:
    """Where a leaf has text of its own: all of it, but for what stands behind ``|`` and ``>`` on their line, and for
    the indentation of further lines of plain text."""
    plain = isinstance(node, Scalar) and not node.style
    start = node.start
    if isinstance(node, Scalar) and node.style in ("|", ">"):
        found = LINE_BREAK.search(text, start, node.end)
        start = found.start() if found is not None else node.end
    for space in _FOLDED.finditer(text, start, node.end) if plain else ():
        yield start, space.start()
        start = space.end()
    yield start, node.end


def below(node: Node, part: str | int) -> tuple[Scalar | None, Node] | None:
    """What ``part`` names in a mapping, behind its key, or in a list, which has none."""
    if isinstance(node, Mapping):
        return node.named.get(str(part))
    if isinstance(node, Sequence) and str(part).isdecimal() and int(part) < len(node.items):
        return None, node.items[int(part)]
    return None


def walk(node: Node) -> Iterator[Node]:
    """``node`` and all below it, in the order of the text."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(list(children(node)))


def children(node: Node) -> Iterator[Node]:
    if isinstance(node, Mapping):
        for key, value in node.entries:
            yield key
            yield value
    elif isinstance(node, Sequence):
        yield from node.items


class _Builder:
    """Folds the parser's events into nodes and gathers the comments between them."""

    def __init__(self, tree: YamlTree) -> None:
        self.tree = tree
        self._stack: list[Mapping | Sequence] = []
        self._keys: list[Scalar | None] = []
        self._seen = 0
        """Up to here the comments are gathered."""
        self._last = 0
        """Where the newest leaf or bracket ends."""

    def build(self, most: int | None) -> None:
        for event in islice(yaml.parse(self.tree.text, Loader=yaml.CSafeLoader), most):
            self._take(event)
        self._comments(len(self.tree.text))

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self.tree.marks.append(_after(event) if event.explicit else self._last)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.AliasEvent):
            self._comments(_at(event))
            self._seen = self._last = _after(event)
            self._put(Alias(_at(event), _at(event), self._last, str(event.anchor)))
        elif isinstance(event, yaml.CollectionStartEvent):
            start = self._start(event)
            form = Mapping if isinstance(event, yaml.MappingStartEvent) else Sequence
            opened = form(_at(event), start, bool(event.flow_style), event.anchor)
            self._comments(start)
            self._put(opened)
            self._stack.append(opened)
            self._keys.append(None)
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = self._stack.pop()
            self._keys.pop()
            if closed.flow:
                self._comments(_at(event))
                self._seen = self._last = _after(event)
            closed.end = self._last

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        empty = event.value == "" and not event.style
        end = _after(event)
        start = end if empty else self._start(event)
        if event.style in ("|", ">"):
            # It ends with its last line, though the parser reads on to the next word.
            end = start + len(self.tree.text[start:end].rstrip(" "))
        self._comments(start)
        self._seen = self._last = end
        self._put(Scalar(_at(event), start, end, str(event.value), event.style or "", event.anchor))

    def _start(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> int:
        """Where the node itself starts, behind its anchor and the comments that may follow that."""
        start = _at(event)
        if event.anchor is None:
            return start
        found = _TRIVIA.match(self.tree.text, start + 1 + len(event.anchor))
        assert found is not None
        return found.end()

    def _put(self, node: Node) -> None:
        if not self._stack:
            self.tree.roots.append(node)
            return
        parent = self._stack[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
            return
        key = self._keys[-1]
        if key is None:
            # One that is no text is a mistake, and what it was written for is found under no name.
            self._keys[-1] = node if isinstance(node, Scalar) else Scalar(node.at, node.start, node.start, "")
        else:
            parent.entries.append((key, node))
            self._keys[-1] = None

    def _comments(self, until: int) -> None:
        """Between nodes every '#' starts a comment."""
        text = self.tree.text
        while (at := text.find("#", self._seen, until)) >= 0:
            line = self.tree.line(at)
            stop = LINE_BREAK.search(text, at)
            end = stop.start() if stop is not None else len(text)
            own = not text[self.tree.starts[line] : at].strip(" \t\ufeff")
            comment = Comment(at, text[at:end].rstrip(), own, line, at - self.tree.starts[line])
            self.tree.comments.append(comment)
            self._seen = end
        self._seen = max(self._seen, until)


def _at(event: yaml.Event) -> int:
    assert event.start_mark is not None
    return int(event.start_mark.index)


def _after(event: yaml.Event) -> int:
    assert event.end_mark is not None
    return int(event.end_mark.index)
