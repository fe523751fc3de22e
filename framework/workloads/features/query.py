"""SQL of a spec: what of it may be run, and where in it something stands."""

from __future__ import annotations

import re

from framework.workloads.context import WorkloadError

_LITERAL = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_CLOSED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|--[^\n]*|/\*.*?\*/""", re.DOTALL)
"""What begins and ends with marks of its own: text, names in quotes, and comments."""
_READER = re.compile(r"(?<![^\W\d])(read_\w+)[\"'`]?\s*(?:\(|--|/\*)", re.IGNORECASE)
_SCAN = re.compile(r"^\s*\w+ SCAN \[", re.MULTILINE)
_PLACE = re.compile(r" at Line: (\d+), Column: (\d+)$")


def refuse_files(sql: str) -> None:
    """Raise "TransformFailed" for SQL that reads files by itself: what is read, and from where, stands in ``sources``,
    which cannot leave the project.

    The engine calls a reader by its name in any case and in any quotes, those of text among them. What stands in text
    and comments is no call; where it is not certain what is text, as behind a dollar quote, everything is read.
    """
    found = _READER.search(_calls(sql))
    if found is not None:
        raise _refused(found[1])


def refuse_scans(plan: str) -> None:
    """Raise "TransformFailed" for a plan, or an error that shows one, that has a file in it although all sources are in
    memory: so that a reader which only the engine knows tells nothing of a file either."""
    found = _SCAN.search(plan)
    if found is not None:
        raise _refused("it")


def _refused(reader: str) -> WorkloadError:
    told = f"{reader} reads a file that is no source; name it under sources"
    return WorkloadError("TransformFailed", f"the SQL is refused: {told}")


def place_of(sql: str, name: str) -> tuple[int, int]:
    """Line and column, from 1, where ``name`` stands first as an identifier; (0, 0) where it does not."""
    quoted = re.escape(name.replace('"', '""'))
    word = re.compile(rf'"{quoted}"|(?<![\w"]){re.escape(name)}(?![\w"])', re.IGNORECASE)
    found = word.search(without_literals(sql))
    return (0, 0) if found is None else at(sql, found.start())


def place_in(message: str) -> tuple[str, int, int]:
    """A parser's message without its place, and the place; (0, 0) where it gives none."""
    found = _PLACE.search(message)
    if found is None:
        return message, 0, 0
    return message[: found.start()], int(found[1]), int(found[2])


def at(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from 1, of a place in ``text``."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def without_quotes(sql: str) -> str:
    """The same text, of the same length, with blanks in place of strings and comments, and a word without quotes in
    place of each name in quotes."""
    return _CLOSED.sub(lambda found: ("x" if found[0][0] in '"`' else " ") * len(found[0]), sql)


def without_literals(sql: str) -> str:
    """The same text with blanks in place of strings and comments, so that places stay what they are."""
    return _LITERAL.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), sql)


def _calls(sql: str) -> str:
    """``sql`` with nothing in quotes but what may be called, and without comments; as it is where something in it may
    be read in two ways."""
    kept: list[str] = []
    end = 0
    for found in _CLOSED.finditer(sql):
        before, closed = sql[end : found.start()], found[0]
        if _uncertain(before, closed):
            return sql
        kept += [before, _blank(closed)]
        end = found.end()
    return sql if _uncertain(sql[end:], "") else "".join([*kept, sql[end:]])


def _blank(closed: str) -> str:
    if closed[0] in "-/":
        return " "
    return closed if re.fullmatch(r"read_\w+", closed[1:-1], re.IGNORECASE) else closed[0] * 2


def _uncertain(before: str, closed: str) -> bool:
    """Whether what stands before ``closed``, or in it, may have it begin or end elsewhere: a dollar quote, a prefix of
    text (``E'..'``, ``q'[..]'``), a quote that nothing closes, a comment in a comment or across lines."""
    if re.search(r"[$'\"`]", before):
        return True
    if closed[:1] == "-":
        return len(closed.splitlines()) > 1
    if closed[:1] == "/":
        return "/*" in closed[1:] or closed[2:3] == "!"
    return bool(closed) and (re.search(r"[\w&]$", before) is not None or "\\" + closed[0] in closed)
