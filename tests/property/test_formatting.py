"""Formatting keeps the meaning and every comment, and formatting twice is formatting once; edits keep the rest."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from framework.api.errors import SpecError
from framework.specs.yaml import nodes
from framework.specs.yaml.editor import EditError, set_value
from framework.specs.yaml.formatter import format_text
from framework.specs.yaml.positions import parse

WORDS = (
    "a",
    "b c",
    "1",
    "0.5",
    "true",
    "~",
    "null",
    "x: y",
    "# no",
    "- z",
    "it's",
    'say "hi"',
    "2013-01-01",
    "é",
    "",
    " s ",
)
NAMES = ("name", "spec", "kind", "apiVersion", "metadata", "steps", "a-b", "with space", "x.io/y", "on", "7")
COMMENTS = ("# one", "#two", "# three: {x}", "#")


def quoted(word: str, style: str) -> str:
    if style == "'":
        return "'" + word.replace("'", "''") + "'"
    plain = re.fullmatch(r"[\w.-]+( [\w.-]+)*", word) and word not in {"on", "yes"}
    return word if style == "" and plain else json.dumps(word, ensure_ascii=False)


class Author:
    """Writes random YAML the way people do: mixed styles, odd spacing, comments everywhere."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def scalar(self) -> str:
        return quoted(self.pick(*WORDS), self.pick("", "'", '"'))

    def flow(self, depth: int) -> str:
        space = self.pick("", " ", "\n      ")
        comma = self.pick(", ", ",  ", ",\n      ", f", {self.pick(*COMMENTS)}\n      ")
        if depth == 0 or self.pick(True, False):
            return self.scalar()
        items = [self.flow(depth - 1) for _ in range(self.pick(0, 1, 2, 5))]
        if self.pick(True, False):
            return f"[{space}{comma.join(items)}{space}]"
        pairs = [f"k{index}: {item}" for index, item in enumerate(items)]
        return f"{{{space}{comma.join(pairs)}{space}}}"

    def above(self, pad: str) -> list[str]:
        return [self.pick("", f"{pad}{self.pick(*COMMENTS)}") for _ in range(self.pick(0, 0, 0, 1, 2, 3))]

    def behind(self) -> str:
        return self.pick("", "", "", f"  {self.pick(*COMMENTS)}", f" {self.pick(*COMMENTS)}",
                         f"\t{self.pick(*COMMENTS)}", "\t")  # fmt: skip

    def value(self, head: str, pad: str, depth: int) -> list[str]:
        form = self.pick("scalar", "scalar", "flow", "mapping", "list", "text", "folded", "nothing")
        inner = pad + " " * self.pick(1, 2, 4)
        if form == "mapping" and depth:
            return [f"{head}{self.behind()}", *self.mapping(inner, depth - 1)]
        if form == "list" and depth:
            own = self.pick(inner, pad) if head.endswith(":") else inner
            return [f"{head}{self.behind()}", *self.items(own, depth - 1)]
        if form == "text":
            mark = self.pick("|", "|-", ">", ">-", "|+")
            lines = ["one", "", "two # no comment", "  three"]
            return [f"{head} {mark}{self.behind()}", *(f"{inner}{line}".rstrip() for line in lines)]
        if form == "folded":
            return [f"{head} plain text", f"{inner}over lines{self.behind()}"]
        if form == "nothing":
            return [f"{head}{self.behind()}"]
        return [
            f"{head}{self.pick(' ', '   ', chr(9))}{self.flow(3) if form == 'flow' else self.scalar()}{self.behind()}"
        ]

    def mapping(self, pad: str, depth: int) -> list[str]:
        names = self.draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
        lines: list[str] = []
        for name in names:
            lines += [*self.above(pad), *self.value(f"{pad}{quoted(name, self.pick('', chr(34)))}:", pad, depth)]
        return [*lines, *self.above(pad)]

    def items(self, pad: str, depth: int) -> list[str]:
        lines: list[str] = []
        for _ in range(self.pick(1, 2, 3)):
            lines += self.above(pad)
            if depth and self.pick(True, False, False):
                first, *rest = self.mapping(f"{pad}  ", depth - 1)
                lines += [f"{pad}-", first, *rest] if not first.strip() or "#" in first else [
                    f"{pad}- {first.lstrip()}", *rest]  # fmt: skip
            else:
                lines += self.value(f"{pad}-", pad, depth)
        return [*lines, *self.above(pad)]

    def file(self) -> str:
        documents = ["\n".join([*self.above(""), *self.mapping("", 3)]) for _ in range(self.pick(1, 1, 2))]
        return self.pick("", "---\n", "# head\n---\n") + "\n---\n".join(documents) + self.pick("", "\n", "\n\n")


@st.composite
def files(draw: Any) -> str:
    return Author(draw).file()


def told(text: str) -> list[str]:
    return sorted(comment.text for comment in nodes.read(text).comments)


def values(text: str) -> list[Any]:
    found = parse("a.yaml", text.encode())
    assert not found.problems, (text, found.problems)
    return [document.data for document in found.documents]


def holds(text: str) -> None:
    done = format_text("a.yaml", text.encode())
    assert values(done) == values(text)
    assert told(done) == told(text)
    assert format_text("a.yaml", done.encode()) == done
    lines = done.split("\n")
    assert done == "" or done.endswith("\n")
    assert "\t" not in done.replace('"\\t"', "")
    assert not done.startswith("\n")
    assert all(line == line.rstrip() for line in lines)


@given(files())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_files_as_people_write_them(text: str) -> None:
    parsed = parse("a.yaml", text.encode())
    if parsed.problems:  # a random file may hold a word that we refuse; most do not
        return
    holds(text)


@given(files())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_another_parser_reads_the_same_before_and_after(text: str) -> None:
    text = text.replace("\t", " ")  # it takes no tabs between words
    if parse("a.yaml", text.encode()).problems:
        return
    done = format_text("a.yaml", text.encode())

    assert referee(done) == referee(text)


def referee(text: str) -> list[Any]:
    """What ruamel.yaml, which shares no code with the parser that we use, reads by the rules of YAML 1.2."""
    return [document for document in YAML(typ="safe", pure=True).load_all(text) if document is not None]


PARTS = ("a", "b: ", "- ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ", ", "&x ", "*x", "? ", "|\n", ">\n", '"', "'",
         "#c", " # d\n", "---\n", "...\n", "x: y", "\r\n", "|+\n", "|2\n", "~", "\x85", "\u2028", ": ", "\t",
         "\t# e\n")  # fmt: skip


@given(st.lists(st.sampled_from(PARTS), max_size=30).map("".join))
@settings(max_examples=800, deadline=None)
@example("a: |\n  x")
@example("a: |+\n  x\n\n\n")
@example("# c\n---\n---\na: 1\n")
@example("a: 1\n---\n# c\n---\nb: 2\n...\n# d\n")
@example("a:\n- b\n# c\nd: 1")
@example("a: [ # c\n]")
@example("a: {b: , c}")
@example("a: &x # c\n  b: *y")
@example("- a")
@example("a: &x\nb: *x")
@example('a: "x\\\n  y"')
@example("a: |\t# c\n  x\n")
@example("a: one\n \ttwo\t# c\n")
def test_any_text_is_formatted_or_left_alone(text: str) -> None:
    try:
        done = format_text("a.yaml", text.encode())
    except SpecError:
        return
    assert values(done) == values(text)
    assert told(done) == told(text)
    assert format_text("a.yaml", done.encode()) == done


@given(files(), st.data(), st.sampled_from(["new", 7, None, {"a": [1, "b"]}, "two\nlines\n", "x: y", []]))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_an_edit_changes_one_value_or_is_refused(text: str, data: st.DataObject, value: Any) -> None:
    parsed = parse("a.yaml", text.encode())
    if parsed.problems or not isinstance(parsed.documents[0].data, dict):
        return
    document = parsed.documents[0]
    path: tuple[str | int, ...] = ()
    place: Any = document.data
    while isinstance(place, dict | list) and place and (not path or data.draw(st.booleans())):
        part = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        path, place = (*path, part), place[part]
    try:
        done = set_value(text, document.positions.index, path, value)
    except EditError:
        assert "&" in text or isinstance(value, str | dict | list) or value is None
        return
    changed = values(done)
    after: Any = changed[0]
    for part in path[:-1]:
        after = after[part]
    assert after[path[-1]] == value
    after[path[-1]] = place
    assert changed == values(text)
