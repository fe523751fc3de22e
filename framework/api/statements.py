"""SQL that a database is asked: one statement that reads. Pure, so that specs are held to it before anything is asked;
the database itself is told to change nothing as well."""

from __future__ import annotations

import re

_CLOSED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$""", re.DOTALL)
"""What begins and ends with marks of its own: text, names in quotes, and comments."""


def mistake(sql: str) -> str:
    """Why ``sql`` is none that may be asked; empty where it may.

    >>> mistake("SELECT 'a;b' FROM t -- all; of it"), mistake("DELETE FROM t")
    ('', 'begins with DELETE; a source is read by a SELECT, or a WITH before one')
    """
    bare = _CLOSED.sub(lambda found: " " if found[0][0] in "-/" else "''", sql).strip()
    first = re.match(r"[(\s]*(\w*)", bare)
    word = first[1].upper() if first is not None else ""
    if word not in ("SELECT", "WITH"):
        return f"begins with {word or 'nothing'}; a source is read by a SELECT, or a WITH before one"
    if ";" in bare.rstrip("; \t\r\n"):
        return "holds several statements; a source is read by one"
    return ""


def plain(sql: str) -> str:
    """The statement as it may be part of another one: without comments, and without what ends it."""
    return _CLOSED.sub(lambda found: " " if found[0][0] in "-/" else found[0], sql).strip().rstrip("; \t\r\n")
