"""Text that is not YAML, told in plain words and at its place."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from framework.api.errors import Problem

LINE_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
"""As libyaml counts lines."""
_REFUSED = (
    (
        re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"),
        "the control character U+{:04X} is not allowed",
    ),
    (  # these make text look different from what it is (CVE-2021-42574)
        re.compile("[\u202a-\u202e\u2066-\u2069]"),
        "the character U+{:04X} shows text in another order than it is read; write it without",
    ),
    (re.compile(r"^%", re.MULTILINE), "a line may not start with '%': YAML directives are not used here"),
)

_WORDS: Mapping[str, str] = {
    "mapping values are not allowed": (
        "a ':' has no place here; quote text that holds ': ', or check that the line above is complete"
    ),
    "could not find expected ':'": (
        "this line is no 'key: value'; a space belongs after ':', and text over several lines is indented"
    ),
    "did not find expected '-' indicator": (
        "this line belongs to no item of the list; indent it below the '-' or move it out"
    ),
    "did not find expected ',' or ']'": "a list opened with '[' is not closed, or a ',' is missing",
    "did not find expected ',' or '}'": "a mapping opened with '{' is not closed, or a ',' is missing",
    "did not find expected node content": "a value is missing here",
    "block sequence entries are not allowed": "a list item has no place here; start it on a line of its own",
    "found a tab character": "a tab; YAML indents with spaces",
    "found unexpected ':'": "a ':' needs a space after it, or quotes around the text it belongs to",
    "found unknown escape character": (
        "an unknown escape after '\\'; in double quotes write '\\\\', or use single quotes"
    ),
    "did not find expected comment or line break": "only a comment may follow '|' or '>' on the line",
    "did not find expected alphabetic or numeric character": (
        "'*' and '&' name anchors here; quote text that starts with them"
    ),
    "did not find expected <document start>": (
        "this line belongs to no object; check its indentation, or put '---' between two objects"
    ),
    "tag": "tags (!) are not allowed; quote text that starts with '!'",
}
"""By the start of libyaml's complaint."""


def decode(file: str, data: bytes, limit: int) -> tuple[str, Problem | None]:
    """The text of a file, or why it is not read as YAML at all: too long, not UTF-8, control characters, directives."""
    if len(data) > limit:
        return "", Problem(file, 0, 0, "", f"larger than {limit >> 20} MiB; a spec file holds one object or a few")
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "", Problem(file, 1, 1, "", "encoded as UTF-16; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        return "", Problem(file, *_at(data[: error.start].decode("utf-8-sig")), "", message)
    for refused, message in _REFUSED:
        if (match := refused.search(text)) is not None:
            return "", Problem(file, *_at(text[: match.start()]), "", message.format(ord(match[0])))
    return text, None


def _at(before: str) -> tuple[int, int]:
    starts = [0, *(match.end() for match in LINE_BREAK.finditer(before))]
    return len(starts), len(before) - starts[-1] + 1


def explain(file: str, text: str, error: yaml.YAMLError) -> Problem:
    """A parser's complaint as a Problem. An unclosed quote is reported where it opens: that is where it is mended."""
    mark, opened = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    complaint, context = str(getattr(error, "problem", None) or error), str(getattr(error, "context", None) or "")
    if mark is None:
        return Problem(file, 0, 0, "", f"not YAML: {complaint}")
    lines = LINE_BREAK.split(text)
    rest = lines[mark.line][mark.column :] if mark.line < len(lines) else ""
    if "unexpected end of stream" in complaint or "unexpected document indicator" in complaint:
        mark, message = opened or mark, "a quote that opens here is not closed"
    elif "cannot start any token" in complaint:
        message = (
            "a tab; YAML indents with spaces"
            if rest[:1] == "\t"
            else f"a value cannot start with {rest[:1]!r}; quote it"
        )
    elif mark.index >= len(text.rstrip()) and complaint == "did not find expected node content":
        message = "the text ends where a value or a closing ']' or '}' is expected"
    elif complaint == "did not find expected key":
        message = _no_key(lines, mark.line, mark.column)
    else:
        words = next((words for start, words in _WORDS.items() if start in f"{complaint} {context}"), None)
        message = words or f"not YAML: {complaint}"
        if opened is not None and rest == "" and "not closed" in message:
            mark = opened
    if complaint.startswith("could not find expected ':'") and opened is not None:
        mark = opened
    if mark.line >= len(LINE_BREAK.split(text)):  # behind the end of a last line without a line break
        return Problem(file, *_at(text), "", message)
    return Problem(file, mark.line + 1, mark.column + 1, "", message)


def _no_key(lines: list[str], line: int, column: int) -> str:
    before = lines[line][:column].rstrip() if line < len(lines) else ""
    if before.endswith(("'", '"')):
        return "text goes on after a closing quote; quote the whole value"
    if before == "":
        return "indented differently from the keys it should belong to"
    return "a 'key: value' is expected here"
