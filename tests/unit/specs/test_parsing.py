"""YAML text to plain data and positions; what two readers of YAML understand differently is refused at its place."""

from __future__ import annotations

import pytest

from framework.specs.yaml import paths
from framework.specs.yaml.positions import MAX_ALIASES, MAX_DEPTH, MAX_NODES, MAX_PROBLEMS, ParsedFile, parse

TEXT = """\
# a comment
kind: FeatureView
metadata: {name: trips, labels: {"app.io/team": data}}
spec:
  entities: [trip, 'day']
  steps:
    - setWeight: 10
    - analyze:
        for: 1m
  note: |
    two
    lines
---
second: &one {x: 1}
again: *one
"""


def read(text: str | bytes) -> ParsedFile:
    return parse("a.yaml", text.encode() if isinstance(text, str) else text)


def test_documents_of_a_file_are_plain_data() -> None:
    parsed = read(TEXT)

    assert not parsed.problems
    assert [document.data for document in parsed.documents] == [
        {
            "kind": "FeatureView",
            "metadata": {"name": "trips", "labels": {"app.io/team": "data"}},
            "spec": {
                "entities": ["trip", "day"],
                "steps": [{"setWeight": 10}, {"analyze": {"for": "1m"}}],
                "note": "two\nlines\n",
            },
        },
        {"second": {"x": 1}, "again": {"x": 1}},
    ]


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("kind", (2, 7), (2, 1)),
        ("metadata.name", (3, 18), (3, 12)),
        ('metadata.labels["app.io/team"]', (3, 49), (3, 34)),
        ("spec", (4, 1), (4, 1)),  # a mapping is shown at its key
        ("spec.entities[1]", (5, 20), (5, 20)),
        ("spec.steps.0.setWeight", (7, 18), (7, 7)),
        ("spec.steps[1].analyze.for", (9, 14), (9, 9)),
        ("spec.steps[1].analyze.missing", (8, 7), (8, 7)),  # what is not there: its nearest parent
        ("nowhere.at.all", (2, 1), (2, 1)),
    ],
)
def test_a_path_is_found_where_it_was_written(path: str, value: tuple[int, int], key: tuple[int, int]) -> None:
    positions = read(TEXT).documents[0].positions

    assert positions.value(path) == ("a.yaml", *value)
    assert positions.key(path) == ("a.yaml", *key)


def test_positions_belong_to_their_document() -> None:
    assert read(TEXT).documents[1].positions.key("again") == ("a.yaml", 15, 1)


def test_paths_read_back_as_they_were_written() -> None:
    path = ("spec", "labels", "app.io/team", "steps", 3, "a b")

    assert paths.render(path) == 'spec.labels["app.io/team"].steps[3]["a b"]'
    assert paths.parse(paths.render(path)) == path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("TRUE", True), ("False", False), ("~", None), ("", None), ("Null", None),
        ("12", 12), ("-0", 0), ("0x1F", 31), ("0o17", 15), ("1e3", 1000.0), (".5", 0.5), ("-.inf", float("-inf")),
        ("2013-01-01", "2013-01-01"), ("'12:30:45'", "12:30:45"), ("1:80", "1:80"), ("_1", "_1"), ("1.2.3", "1.2.3"),
        ("=", "="), ("tRUE", "tRUE"), ("'yes'", "yes"), ('"010"', "010"), ("yesterday", "yesterday"),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    parsed = read(f"a: {text}\n")

    assert not parsed.problems
    found = parsed.documents[0].data["a"]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("word", ["y", "Yes", "YES", "on", "n", "no", "No", "off", "OFF"])
def test_yaml_1_1_booleans_are_refused_with_a_hint(word: str) -> None:
    (problem,) = read(f"a:\n  - {word}\n").problems

    assert str(problem).startswith(f"a.yaml:2:5: error: a[0]: {word} without quotes is ")
    assert problem.suggestion == ("true" if word.casefold() in {"y", "yes", "on"} else "false")
    assert f'"{word}"' in problem.message


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("a: 1\nb: 2\n'a': 3\n", "3:1: error: a:", "the key 'a' repeats; it is first on line 1"),
        ("x: {b: 1, b: 2}\n", "1:11: error: x.b:", "the key 'b' repeats"),
        ("a: !!python/object/apply:os.system [id]\n", "1:4: error: a:", "tags (!) are not allowed"),
        ("a: !!str 1\n", "1:4: error: a:", "tags (!) are not allowed"),
        ("b: &b {x: 1}\na:\n  <<: *b\n", "3:3: error: a:", "merge keys (<<) are not part of YAML 1.2"),
        ("a: 010\n", "1:4: error: a:", "010 has a leading zero"),
        ("a: 12:30:45\n", "1:4: error: a:", "12:30:45 without quotes is a number to some YAML readers"),
        ("a: 1_000\n", "1:4: error: a:", '1_000 without quotes is a number to some YAML readers'),
        ("a: 1_000.5\n", "1:4: error: a:", 'write 1000.5 if it is a number, or quote it: "1_000.5"'),
        ("a: 0b101\n", "1:4: error: a:", 'write 5 if it is a number, or quote it: "0b101"'),
        ("a: 18446744073709551616\n", "1:4: error: a:", "18446744073709551616 is no whole number of 64 bits"),
        ("a: -9223372036854775809\n", "1:4: error: a:", "-9223372036854775809 is no whole number of 64 bits"),
        ('a: "x\\0y"\n', "1:4: error: a:", "the character U+0000 is not allowed"),
        ('"x\\0": 1\n', "1:1: error:", "the character U+0000 is not allowed in a key"),
        ("a: 1e400\n", "1:4: error: a:", "1e400 is too large to be a number"),
        ("a: x\u202ey\n", "1:5: error:", "the character U+202E shows text in another order than it is read"),
        (f"a: {'9' * 65}\n", "1:4: error: a:", "a number of 65 characters; at most 64"),
        ("a: *nobody\n", "1:4: error: a:", "no anchor &nobody comes before this alias"),
        ("a: &self [*self]\n", "1:11: error: a[0]:", "*self lies inside itself"),
        ("b: &b x\n*b : 1\n", "2:1: error:", "a key must be written out, not an alias"),
        ("--- {a: &a 1}\n--- {b: *a}\n", "2:9: error: b:", "no anchor &a comes before"),
        ("? [a]\n: 1\n", "1:3: error:", "a key must be a word or text"),
        ("a: {{ x }}\n", "1:5: error: a:", "a key must be a word or text"),
        (b"a: 1\nb: caf\xe9\n", "2:7: error:", "the byte 0xe9 is not UTF-8"),
        ("a: 1".encode("utf-16"), "1:1: error:", "UTF-16; save it as UTF-8"),
        ("a:\n\tb: 1\n", "2:1: error:", "a tab; YAML indents with spaces"),
        ("a: b\x07\n", "1:5: error:", "the control character U+0007"),
        ("%TAG ! x\n---\na: 1\n", "1:1: error:", "directives are not used here"),
        ("a: 1\nb: 'open\nc: 2\n", "2:4: error:", "a quote that opens here is not closed"),
        ("a: [1, 2\n", "1:4: error:", "a list opened with '[' is not closed"),
        ("a: {b\n", "1:4: error:", "a mapping opened with '{' is not closed"),
        ("a: b: c\n", "1:5: error:", "a ':' has no place here"),
        ("a: 1\nb\nc: 1\n", "2:1: error:", "this line is no 'key: value'"),
        ("a:\n   b: 1\n  c: 1\n", "3:3: error:", "indented differently"),
        ("- a\nb: c\n", "2:1: error:", "belongs to no item of the list"),
        ("a: 'x' y\n", "1:8: error:", "goes on after a closing quote"),
        ("a: @x\n", "1:4: error:", "a value cannot start with '@'"),
    ],
)  # fmt: skip
def test_what_could_be_misread_is_refused_at_its_place(text: str | bytes, place: str, says: str) -> None:
    problems = read(text).problems

    assert len(problems) == 1, problems
    assert str(problems[0]).startswith(f"a.yaml:{place}")
    assert says in problems[0].message


def test_a_refused_word_does_not_hide_the_rest_of_the_file() -> None:
    parsed = read("a: yes\nb: !x 1\nc: {d: 1, d: 2}\ne: 1\n--- {f: 2}\n")

    assert [problem.line for problem in parsed.problems] == [1, 2, 3]
    assert [(document.data, document.sound) for document in parsed.documents] == [
        ({"a": True, "b": 1, "c": {"d": 1}, "e": 1}, False),
        ({"f": 2}, True),
    ]


@pytest.mark.parametrize(
    ("text", "path", "place"),
    [
        ("a: &x {b: 1}\nc: *x\n", "c", (2, 4)),
        ("a: &x {b: 1}\nc: *x\n", "c.b", (2, 1)),
        ("a: &x yes\n", "a", (1, 4)),
        ("- &x\n  b: 1\n", "[0]", (1, 3)),
        ("a: {b: 1, b: {c: 2}}\n", "a.b", (1, 8)),
        ("{[a]: 1}: 2\nb: !t 3\n", "b", (2, 4)),
        ("a: 1\n--- {b: [2, yes]}\n--- [", "a", (1, 4)),
    ],
)
def test_places_are_known_in_a_text_with_mistakes_too(text: str, path: str, place: tuple[int, int]) -> None:
    assert read(text).documents[0].positions.value(path)[1:] == place


def test_a_byte_order_mark_and_windows_lines_are_harmless() -> None:
    parsed = read(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")

    assert parsed.documents[0].data == {"a": 1, "b": 2}
    assert parsed.documents[0].positions.key("b")[1:] == (2, 1)


@pytest.mark.parametrize(
    ("at_bound", "beyond", "says"),
    [
        ("[" * MAX_DEPTH + "]" * MAX_DEPTH, "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), f"{MAX_DEPTH} levels"),
        (f"a: &a 1\nb: [{'*a, ' * MAX_ALIASES}]", f"a: &a 1\nb: [{'*a, ' * (MAX_ALIASES + 1)}]", "100 aliases"),
        ("[" + "1," * (MAX_NODES - 2) + "]", "[" + "1," * (MAX_NODES - 1) + "]", "50,000 values"),
        ("a: &a [[[1]]]\nb: " + "[" * 60 + "*a" + "]" * 60, "a: &a [[[1]]]\nb: " + "[" * 61 + "*a" + "]" * 61, "*a"),
    ],
    ids=["depth", "aliases", "nodes", "depth-through-alias"],
)
def test_bounds_hold_to_the_last_level(at_bound: str, beyond: str, says: str) -> None:
    assert not read(at_bound).problems
    refused = read(beyond)
    assert refused.broken
    assert says in refused.problems[-1].message


def test_endless_mistakes_are_told_up_to_a_bound() -> None:
    assert len(read("- yes\n" * 1000).problems) == MAX_PROBLEMS
