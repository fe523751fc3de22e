"""The canonical form of a spec file: what ``mlopsctl fmt`` writes.

Objects start with apiVersion, kind, metadata and spec; two spaces indent; lists stand two columns inside their key;
flow collections are written ``{a: 1}`` and ``[a, b]`` on one line, or in block style where they do not fit in 120
columns or hold comments; scalars stay as they were written. Comments stay with what they speak of: those on a line of
their own with the next entry, those behind a value with that value. One blank line may separate entries.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from framework.api.errors import Problem, SpecError
from framework.specs.yaml import nodes, positions, referee
from framework.specs.yaml.nodes import Alias, Comment, Mapping, Node, Scalar, Sequence, YamlTree
from framework.specs.yaml.syntax import LINE_BREAK
from framework.specs.yaml.writing import INDENT, WIDTH

KEYS = ("apiVersion", "kind", "metadata", "spec")
_TAB_IN_TEXT = re.compile(r"\S *(\t)[ \t]*(?=\S)")
_HEADER = re.compile(r"([|>])([-+0-9]*)[ \t]*(#.*)?")


def format_text(file: str, data: bytes) -> str:
    """The canonical form of a file. Reads as the same values, keeps every comment, and is its own canonical form.

    Raises:
        SpecError: the file has mistakes, or it cannot be rewritten without a change of meaning.
    """
    parsed = positions.parse(file, data)
    if parsed.problems:
        raise SpecError(parsed.problems)
    tree = nodes.read(data.decode("utf-8-sig"))
    try:
        result = _Writer(tree).write()
    except _StrangeError as strange:
        line, column = tree.line(strange.offset) + 1, tree.column(strange.offset) + 1
        raise SpecError([Problem(file, line, column, "", f"{strange}; the file is left as it is")]) from None
    again = positions.parse(file, result.encode())
    kept = not again.problems and _meaning(again) == _meaning(parsed) and _words(nodes.read(result)) == _words(tree)
    if not kept or not (result == tree.text or referee.same(tree.text, result)):
        raise SpecError([_unchangeable(file, tree)])
    return result


def _unchangeable(file: str, tree: YamlTree) -> Problem:
    """With the place of a tab that ruamel.yaml does not take for a part of a text, where that is why."""
    tabs = (_TAB_IN_TEXT.search(tree.text, node.start, node.end) for node in _plain(tree) if "\t" in node.value)
    tab = next((found.start(1) for found in tabs if found is not None), None)
    if tab is None:
        return Problem(file, 0, 0, "", "cannot be formatted without changing it; it is left as it is")
    message = "a tab inside text without quotes, which not every reader takes; quote the text, or write a space"
    return Problem(file, tree.line(tab) + 1, tree.column(tab) + 1, "", message)


def _plain(tree: YamlTree) -> Iterator[Scalar]:
    """Scalars without quotes, in the order of the text."""
    every = (node for root in tree.roots for node in nodes.walk(root))
    return (node for node in every if isinstance(node, Scalar) and not node.style)


def _words(tree: YamlTree) -> list[str]:
    return sorted(comment.text for comment in tree.comments)


def _meaning(parsed: positions.ParsedFile) -> str:
    return json.dumps([document.data for document in parsed.documents], sort_keys=True)


class _StrangeError(Exception):
    """Something that is valid but has no canonical form here."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass
class _Page:
    """Lines being written. An empty line is asked for by the line that it precedes."""

    lines: list[str] = field(default_factory=list)
    fresh: bool = True
    """A block was just opened: an empty line would lead it in, and is left out."""
    keeps: bool = False
    """The last lines are a text that keeps its line breaks: an empty line would become part of it."""

    def add(self, line: str, *, blank: bool = False) -> None:
        if blank and not self.fresh and not self.keeps:
            self.lines.append("")
        self.lines.append(line)
        self.fresh = self.keeps = False


class _Writer:
    """Walks the tree in the order of the text, so that comments come up one after another."""

    def __init__(self, tree: YamlTree) -> None:
        self.tree = tree
        self.page = _Page()
        self._places = [comment.start for comment in tree.comments]
        self._comment = 0
        """The first comment that is not written yet."""

    def write(self) -> str:
        lines: list[str] = []
        filled = False
        for index, root in enumerate(self.tree.roots):
            end = self.tree.marks[index + 1] if index + 1 < len(self.tree.marks) else len(self.tree.text)
            self.page = _Page()
            content = not (isinstance(root, Scalar) and root.start == root.end)
            if content:
                self._document(root)
            self._leading(end, 0)
            lines += ["---"] if filled and content else []
            lines += self.page.lines
            filled = filled or content
        self.page = _Page()
        self._leading(len(self.tree.text), 0)
        lines += self.page.lines
        return "".join(f"{line}\n" for line in lines)

    # -- documents and entries ---------------------------------------------------------------------------------------

    def _document(self, root: Node) -> None:
        """Comments before the first key head the document, whatever becomes of that key."""
        if not isinstance(root, Mapping) or root.anchor is not None:
            raise _StrangeError("an object with apiVersion, kind, metadata and spec is expected", root.start)
        if not root.entries:
            self._leading(root.end, 0)
            self.page.add("{}")
            return
        first = root.entries[0][0].start
        self._leading(first, 0)
        heading, page = bool(self.page.lines), self.page
        column = -1 if root.flow else self.tree.column(root.start)
        parts: list[tuple[int, bool, _Page]] = []
        for index, (key, value) in enumerate(root.entries):
            comment = self._next()
            above = comment.start if comment is not None and comment.start < key.start else key.start
            blank = self._blank_before(above) if index else False
            self.page = _Page()
            self._entry(key, value, 0, column)
            parts.append((_rank(key.value), blank, self.page))
        if heading and self._blank_before(first):
            page.lines.append("")
        for place, (_, blank, part) in enumerate(sorted(parts, key=lambda part: part[0])):
            if blank and place and not page.keeps:
                page.lines.append("")
            page.lines += part.lines
            page.keeps, page.fresh = part.keeps, False
        self.page = page

    def _collection(self, node: Mapping | Sequence, indent: int, outer: int) -> None:
        """The entries of a mapping or list, and the comments that close it: those that stand as deep as its entries.
        ``outer`` is the column of what it lies in, as it was written."""
        column = self.tree.column(node.start) if not node.flow else outer + 1
        if isinstance(node, Mapping):
            for key, value in node.entries:
                self._entry(key, value, indent, column)
        else:
            for item in node.items:
                self._item(item, indent, column)
        end = node.end
        while (comment := self._next()) is not None and not node.flow:
            if self._comment:
                last = self.tree.comments[self._comment - 1]
                end = max(end, last.start + len(last.text))
            deep = comment.own and comment.column >= column and comment.column > outer
            if not deep or self.tree.text[end : comment.start].strip():
                break
            self._own(comment, indent)

    def _entry(self, key: Scalar, value: Node, indent: int, column: int) -> None:
        if key.anchor is not None or self._spans(key):
            raise _StrangeError("a key of several lines, or with an anchor, has no canonical form", key.start)
        self._leading(key.start, indent)
        blank = self._blank_before(key.start)
        self._value(f"{' ' * indent}{self._source(key)}:", key.end, value, indent, column, blank)

    def _item(self, item: Node, indent: int, column: int) -> None:
        inline = isinstance(item, Scalar | Alias) or item.anchor is not None or self._flows(item, indent + INDENT)
        first = item.start if inline else _leaf(item)
        self._leading(first, indent)
        blank = self._blank_before(first)
        if isinstance(item, Scalar | Alias) or inline:
            self._value(f"{' ' * indent}-", item.start, item, indent, column, blank)
            return
        page, self.page = self.page, _Page()
        self._collection(item, indent + INDENT, column)
        inside, self.page = self.page, page
        start, *rest = inside.lines
        page.add(f"{' ' * indent}- {start[indent + INDENT :]}", blank=blank)
        page.lines += rest
        page.keeps = inside.keeps

    def _value(self, head: str, head_end: int, value: Node, indent: int, column: int, blank: bool) -> None:
        """``head`` (``key:`` or ``-``) and its value, on one line or below it. Comments between the two move above."""
        if not isinstance(value, Alias) and value.anchor is not None:
            head = f"{head} &{value.anchor}"
        if isinstance(value, Mapping | Sequence) and not self._flows(value, len(head) + 1):
            self.page.add(head, blank=blank)
            self._trailing(value.start if value.flow else head_end)
            self.page.fresh = True
            self._collection(value, indent + INDENT, column)
            while value.flow and (comment := self._next()) is not None and self._ends(comment, value.end):
                self._own(comment, indent + INDENT)
            return
        inside = isinstance(value, Mapping | Sequence)
        blank = not self._leading(value.end if inside else value.start, indent, blank) and blank
        if isinstance(value, Scalar) and value.style in ("|", ">"):
            self._text(head, value, indent, blank)
            return
        first, *rest = [self._flow(value)] if isinstance(value, Mapping | Sequence) else self._lines(value, indent)
        self.page.add(f"{head} {first}".rstrip(), blank=blank)
        self.page.lines += rest
        self._trailing(value.end)

    # -- scalars and flow collections --------------------------------------------------------------------------------

    def _lines(self, value: Scalar | Alias, indent: int) -> list[str]:
        """A scalar as it was written; where it has several lines, the others stand two columns inside."""
        first, *rest = [line.strip(" \t") for line in LINE_BREAK.split(self._source(value))]
        return [first, *(f"{' ' * (indent + INDENT)}{line}" if line else "" for line in rest)]

    def _text(self, head: str, value: Scalar, indent: int, blank: bool) -> None:
        """A literal or folded text (``|``, ``>``): its lines are moved, and not changed."""
        header, *body = LINE_BREAK.split(self._source(value))
        found = _HEADER.fullmatch(header)
        if found is None or any(mark.isdigit() for mark in found[2]):
            raise _StrangeError("a text that states its own indentation has no canonical form", value.start)
        margin = next((len(line) - len(line.lstrip(" ")) for line in body if line.strip(" ")), 0)
        lines = [line[margin:] for line in body]
        if lines and not lines[-1]:
            lines.pop()
        marks = found[2] if not value.value or value.value.endswith("\n") else "-"
        while lines and not lines[-1] and "+" not in marks:
            lines.pop()
        note = f"  {found[3].rstrip()}" if found[3] else ""
        self.page.add(f"{head} {found[1]}{marks}{note}", blank=blank)
        self.page.lines += [f"{' ' * (indent + INDENT)}{line}" if line else "" for line in lines]
        self.page.keeps = "+" in marks

    def _flows(self, node: Mapping | Sequence, column: int) -> bool:
        """Whether a collection is written on one line: it was in flow style, fits, and holds no comment."""
        if not node.flow or not (node.entries if isinstance(node, Mapping) else node.items):
            return node.flow
        commented = bisect_left(self._places, node.start) < bisect_left(self._places, node.end)
        return not commented and not self._broken(node) and column + len(self._flow(node)) <= WIDTH

    def _broken(self, node: Node) -> bool:
        """Whether a scalar inside has line breaks of its own."""
        return any(isinstance(one, Scalar) and self._spans(one) for one in nodes.walk(node))

    def _flow(self, node: Node) -> str:
        """``node`` on one line, without its own anchor."""
        if isinstance(node, Mapping):
            return "{" + ", ".join(f"{self._source(key)}: {self._inside(value)}" for key, value in node.entries) + "}"
        if isinstance(node, Sequence):
            return f"[{', '.join(self._inside(item) for item in node.items)}]"
        return self._source(node)

    def _inside(self, node: Node) -> str:
        text = self._flow(node)
        return f"&{node.anchor} {text}" if not isinstance(node, Alias) and node.anchor is not None else text

    def _source(self, node: Scalar | Alias) -> str:
        return self.tree.text[node.start : node.end]

    def _spans(self, node: Scalar) -> bool:
        return LINE_BREAK.search(self._source(node)) is not None

    # -- comments and blank lines ------------------------------------------------------------------------------------

    def _next(self) -> Comment | None:
        return self.tree.comments[self._comment] if self._comment < len(self.tree.comments) else None

    def _own(self, comment: Comment, indent: int, blank: bool = False) -> None:
        self._comment += 1
        blank = blank or (comment.own and self.tree.blank(comment.line - 1))
        self.page.add(f"{' ' * indent}{comment.text}", blank=blank)

    def _leading(self, until: int, indent: int, blank: bool = False) -> bool:
        """Write the comments before ``until``, each on a line of its own; whether there were any. ``blank`` asks for an
        empty line before the first."""
        found = False
        while (comment := self._next()) is not None and comment.start < until:
            self._own(comment, indent, blank and not found)
            found = True
        return found

    def _trailing(self, end: int) -> None:
        """A comment on the line where a value ends stays behind it."""
        comment = self._next()
        if comment is not None and not comment.own and comment.start >= end and comment.line == self.tree.line(end):
            self._comment += 1
            self.page.lines[-1] += f"  {comment.text}"

    def _ends(self, comment: Comment, end: int) -> bool:
        """Whether a comment stands before the bracket that ends at ``end``, or behind it on its line."""
        return comment.start < end or (not comment.own and comment.line == self.tree.line(end))

    def _blank_before(self, offset: int) -> bool:
        return self.tree.blank(self.tree.line(offset) - 1)


def _rank(key: str) -> int:
    return KEYS.index(key) if key in KEYS else len(KEYS)


def _leaf(node: Node) -> int:
    """Where the first word of a node stands."""
    first = next(nodes.children(node), None)
    return node.start if first is None else _leaf(first)
