"""Edits of spec files that leave everything else as its author wrote it.

The new text is spliced in at the place of the old value, so comments, quotes, order, indentation, flow style and line
breaks of the rest cannot change. The result is read again before it is handed out: an edit that would make any other
value read differently (through an anchor, say) is refused, by our own parser or by an independent one.
"""

from __future__ import annotations

import json
from typing import Any

from framework.api.errors import MlopsError
from framework.ports.json import Json
from framework.specs.yaml import nodes, paths, referee, writing
from framework.specs.yaml.nodes import Alias, Mapping, Node, Scalar, Sequence, YamlTree
from framework.specs.yaml.paths import Path
from framework.specs.yaml.positions import ParsedFile, parse


class EditError(MlopsError):
    """The edit cannot be made, or would change more than what was asked for."""


def set_value(text: str, document: int | tuple[str, str], path: str | Path, value: Json) -> str:
    """``text`` with one value replaced or added.

    Args:
        document: the position of the object in the file, from 0, or its (kind, name).
        path: of the value (``spec.model.version``, ``spec.patches[0].patch``). Mappings on the way that do not exist
            are made; an index one behind the end of a list appends.
        value: plain data: text, numbers, booleans, None, lists and mappings.

    Raises:
        EditError: there is no such document, the path leads through something else than mappings and lists, the text
            has mistakes, or the result would read differently anywhere else.
    """
    before = _parsed(text)
    index = _find(before, document)
    steps = paths.parse(path) if isinstance(path, str) else path
    if not steps:
        raise EditError("a path is needed: the whole document is not replaced")
    expected = {one.positions.index: one.data for one in before.documents}
    if index not in expected:
        raise EditError(f"there is no document {index} in the file")
    wanted = {**expected, index: _with(expected[index], steps, value)}
    if _meaning(wanted) == _meaning(expected):
        return text
    tree = nodes.read(text)
    result = _Edit(tree).apply(tree.roots[index], steps, value)
    told = paths.render(steps)
    try:
        after = {one.positions.index: one.data for one in _parsed(result).documents}
    except EditError as error:
        raise EditError(f"{told} cannot be set without breaking the file: {error}") from None
    if _meaning(after) != _meaning(wanted) or not referee.same_elsewhere(text, result, steps):
        raise EditError(f"setting {told} would change other values, too; edit the file by hand")
    return result


def _parsed(text: str) -> ParsedFile:
    found = parse("", text.encode("utf-8", "surrogatepass"))
    if found.problems:
        first = found.problems[0]
        raise EditError(f"line {first.line}: {first.message}")
    return found


def _find(parsed: ParsedFile, document: int | tuple[str, str]) -> int:
    if isinstance(document, int):
        return document
    for one in parsed.documents:
        if one.ref == document:
            return one.positions.index
    raise EditError(f"{'/'.join(document)} is not defined in this file")


def _with(data: Any, path: Path, value: Any, walked: Path = ()) -> Any:
    """``data`` with ``value`` at ``path``. What lies on the way is copied, or made where it does not exist yet."""
    if not path:
        return value
    part, *rest = path
    container = ({} if isinstance(part, str) else []) if data is None else data
    below = (tuple(rest), value, (*walked, part))
    if isinstance(part, str) and isinstance(container, dict):
        return {**container, part: _with(container.get(part), *below)}
    if isinstance(part, int) and isinstance(container, list) and 0 <= part <= len(container):
        before, old, after = container[:part], container[part : part + 1], container[part + 1 :]
        return [*before, _with(old[0] if old else None, *below), *after]
    raise EditError(f"{paths.render(walked) or 'the document'} is no {_form(part)}")


def _form(part: str | int) -> str:
    return "mapping" if isinstance(part, str) else f"list of {part} items or more"


def _meaning(documents: dict[int, Any]) -> str:
    return json.dumps({str(index): data for index, data in documents.items()}, sort_keys=True)


class _Edit:
    """One splice. The tree tells where; nothing outside the place is touched."""

    def __init__(self, tree: YamlTree) -> None:
        self.tree, self.text = tree, tree.text
        self.newline = "\r\n" if "\r\n" in tree.text else "\n"

    def apply(self, root: Node, path: Path, value: Json) -> str:
        node: Node = root
        parent: Mapping | Sequence | None = None
        flow = isinstance(node, Mapping | Sequence) and node.flow
        key: Scalar | None = None
        for position, part in enumerate(path):
            rest = _nested(path[position + 1 :], value)
            if isinstance(node, Alias):
                raise EditError(f"*{node.name} stands at {paths.render(path[:position])}; edit the file by hand")
            if isinstance(node, Scalar) or not (node.entries if isinstance(node, Mapping) else node.items):
                # Nothing is there, or an empty collection: it is written anew as a whole.
                return self._replace(node, parent, key, flow, _nested(path[position:], value))
            flow = flow or node.flow
            below = nodes.below(node, part)
            if below is None:
                return self._add(node, part, rest, flow)
            parent, (key, node) = node, below
        return self._replace(node, parent, key, flow, value)

    def _replace(
        self, node: Node, parent: Mapping | Sequence | None, key: Scalar | None, flow: bool, value: Json
    ) -> str:
        indent = self.tree.column(parent.start) if parent is not None else -writing.INDENT
        if isinstance(node, Mapping | Sequence) and not node.flow:
            return self._replace_block(node, key, indent, value)
        if isinstance(node, Scalar) and node.style in ("|", ">"):
            return self._splice(node.start, node.end, self._multiline(value, indent) + self.newline)
        quote = node.style if isinstance(node, Scalar) else ""
        nested = isinstance(value, dict | list)
        if isinstance(value, str) and "\n" in value and not flow and quote == "":
            new = self._multiline(value, indent)
        else:
            new = writing.flow(value) if nested else writing.scalar(value, quote)
        if node.start > 0 and self.text[node.start - 1] in ":-":
            new = f" {new}"
        return self._splice(node.start, node.end, new)

    def _replace_block(self, node: Mapping | Sequence, key: Scalar | None, indent: int, value: Json) -> str:
        """The text between the key and the first line of its value, a comment mostly, stays."""
        if isinstance(value, dict | list) and value:
            column = self.tree.column(node.start)
            lines = writing.block(value, column)
            return self._splice(node.start, node.end, self._joined(lines)[column:] + self._closing(node))
        if key is None:
            return self._splice(node.start, node.end, writing.flow(value) + self._closing(node))
        colon = self.text.index(":", key.end) + 1
        line = self.tree.starts[self.tree.line(colon) + 1]
        kept = self.text[colon:line].rstrip("\r\n")
        return self._splice(colon, node.end, f" {writing.flow(value)}{kept}" + self._closing(node))

    def _closing(self, node: Node) -> str:
        return self.newline if self.text[node.end - 1] in "\r\n" else ""

    def _add(self, node: Mapping | Sequence, part: str | int, value: Json, flow: bool) -> str:
        last: Node = node.entries[-1][1] if isinstance(node, Mapping) else node.items[-1]
        if flow:
            new = writing.flow({part: value})[1:-1] if isinstance(node, Mapping) else writing.flow(value)
            return self._splice(last.end, last.end, f", {new}")
        column = self.tree.column(node.start)
        lines = writing.entry(str(part), value, column) if isinstance(node, Mapping) else writing.item(value, column)
        line = self.tree.line(max(last.end - 1, 0) if self.text[last.end - 1 : last.end] in "\r\n" else last.end)
        after = self.tree.starts[line + 1] if line + 1 < len(self.tree.starts) else len(self.text)
        open_end = "" if self.text[:after].endswith(("\n", "\r")) else self.newline
        return self._splice(after, after, f"{open_end}{self._joined(lines)}{self.newline}")

    def _multiline(self, value: Json, indent: int) -> str:
        """Text of several lines as a literal block, anything else on one line."""
        if not isinstance(value, str) or not _is_literal(value):
            return writing.flow(value)
        body = value.removesuffix("\n")
        mark = "" if value.endswith("\n") else "-"
        pad = " " * (indent + writing.INDENT)
        return self._joined([f"|{mark}", *(f"{pad}{line}" if line else "" for line in body.split("\n"))])

    def _joined(self, lines: list[str]) -> str:
        return self.newline.join(lines)

    def _splice(self, start: int, end: int, new: str) -> str:
        return f"{self.text[:start]}{new}{self.text[end:]}"


def _is_literal(text: str) -> bool:
    """Whether a literal block can hold it without marks for its indentation and its end."""
    return "\n" in text.rstrip("\n") and not text.startswith((" ", "\n")) and not text.endswith("\n\n")


def _nested(path: Path, value: Json) -> Json:
    """``value`` inside the mappings and lists that ``path`` names."""
    for part in reversed(path):
        value = {part: value} if isinstance(part, str) else [value]
    return value
