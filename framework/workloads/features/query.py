"""SQL of a spec: what of it may be run, and where in it something stands."""

from __future__ import annotations

import re

from framework.workloads.context import WorkloadError

_LITERAL = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_FILE_FUNCTION = re.compile(r"\b(read_\w+)\s*\(", re.IGNORECASE)
_PLACE = re.compile(r" at Line: (\d+), Column: (\d+)$")


def refuse_files(sql: str) -> None:
    """Raise "TransformFailed" for SQL that reads files by itself: what is read, and from where, stands in ``sources``,
    which cannot leave the project."""
    found = _FILE_FUNCTION.search(_without_literals(sql))
    if found is not None:
        told = f"{found[1]} reads a file that is no source; name it under sources"
        raise WorkloadError("TransformFailed", f"the SQL is refused: {told}")


def place_of(sql: str, name: str) -> tuple[int, int]:
    """Line and column, from 1, where ``name`` stands first as an identifier; (0, 0) where it does not."""
    quoted = re.escape(name.replace('"', '""'))
    word = re.compile(rf'"{quoted}"|(?<![\w"]){re.escape(name)}(?![\w"])', re.IGNORECASE)
    found = word.search(_without_literals(sql))
    return (0, 0) if found is None else _at(sql, found.start())


def place_in(message: str) -> tuple[str, int, int]:
    """A parser's message without its place, and the place; (0, 0) where it gives none."""
    found = _PLACE.search(message)
    if found is None:
        return message, 0, 0
    return message[: found.start()], int(found[1]), int(found[2])


def _at(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _without_literals(sql: str) -> str:
    """The same text with blanks in place of strings and comments, so that places stay what they are."""
    return _LITERAL.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), sql)
