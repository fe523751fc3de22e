"""The canonical form, one rule at a time. That nothing else changes is in tests/property/test_formatting.py."""

from __future__ import annotations

import pytest

from framework.api.errors import SpecError
from framework.specs.yaml.formatter import format_text

LONG = ", ".join(f"{{name: column_{number:02}, dtype: Float64}}" for number in range(5))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("spec: {}\nkind: X\nother: 1\nmetadata: {}\napiVersion: v",
         "apiVersion: v\nkind: X\nmetadata: {}\nspec: {}\nother: 1\n"),
        ("# Of the file.\n\n# Of the kind.\nkind: X\n# Of the version.\napiVersion: v\n# At the end.",
         "# Of the file.\n\n# Of the kind.\n# Of the version.\napiVersion: v\nkind: X\n# At the end.\n"),
        ("a:\n    b: 1\n    c:\n      - 1", "a:\n  b: 1\n  c:\n    - 1\n"),
        ("a:\n- 1\n-   b: 1\n    c: 2\n- - 3\n  - 4\n-\n- ~",
         "a:\n  - 1\n  - b: 1\n    c: 2\n  - - 3\n    - 4\n  -\n  - ~\n"),
        ("a: { b : 1,c: [ 1,2 , ], }\nd: [ ]\ne: {  }", "a: {b: 1, c: [1, 2]}\nd: []\ne: {}\n"),
        ("a: {b: , c}", "a: {b: , c: }\n"),
        ("a: [1,\n  2,\n  3]", "a: [1, 2, 3]\n"),
        (f"a: [{LONG}]",
         "a:\n" + "".join(f"  - {{name: column_{number:02}, dtype: Float64}}\n" for number in range(5))),
        ("a: [ # why\n  1, # one\n  # two\n  2\n] # end\nb: 1",
         "a:  # why\n  - 1  # one\n  # two\n  - 2\n  # end\nb: 1\n"),
        ("a: 'x'\nb: \"y\"\nc: 0x1F\nd: 1e3\ne: 2013-01-01", "a: 'x'\nb: \"y\"\nc: 0x1F\nd: 1e3\ne: 2013-01-01\n"),
        ("a :   1#no\nb: 2 # yes\nc:\n  3 # three", "a: 1#no\nb: 2  # yes\nc: 3  # three\n"),
        ("a: # why\n  1", "# why\na: 1\n"),
        ("\n\n\na: 1\n\n\n\nb:\n\n  c: 1\n\n\n", "a: 1\n\nb:\n  c: 1\n"),
        ("a:\n  b: 1\n  # last of a\n# first of c\nc: 1", "a:\n  b: 1\n  # last of a\n# first of c\nc: 1\n"),
        ("a:\n- 1\n# of b\nb: 1", "a:\n  - 1\n# of b\nb: 1\n"),
        ("a: |\n      two\n\n        lines\n\n\nb: >-  # folded\n  x\n  y",
         "a: |\n  two\n\n    lines\n\nb: >-  # folded\n  x\n  y\n"),
        ("a: |+\n    kept\n\n\nb: 1", "a: |+\n  kept\n\n\nb: 1\n"),
        ("a: words\n      that go on\nb: 'so\n\n  do these'", "a: words\n  that go on\nb: 'so\n\n  do these'\n"),
        ("a: &x   {b: 1}\nc:   *x\nd: &y\n    e: 1", "a: &x {b: 1}\nc: *x\nd: &y\n  e: 1\n"),
        ("---\na: 1\n---\n# two\nb: 1\n...\n", "a: 1\n---\n# two\nb: 1\n"),
        ("{kind: X, apiVersion: v}", "apiVersion: v\nkind: X\n"),
        ("a: 1\r\nb: [1,\r\n 2]\r\n", "a: 1\nb: [1, 2]\n"),
        ("a: b\t# c\nd:\t1\ne:\t|\t# f\n  x\ty\ng: {h: 1,\ti: 2}\t\n",
         "a: b  # c\nd: 1\ne: |  # f\n  x\ty\ng: {h: 1, i: 2}\n"),
        ("a: words\n \tthat go on", "a: words\n  that go on\n"),
        ("# only a comment", "# only a comment\n"),
        ("", ""),
    ],
)  # fmt: skip
def test_the_canonical_form(before: str, after: str) -> None:
    assert format_text("a.yaml", before.encode()) == after
    assert format_text("a.yaml", after.encode()) == after


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: yes", "yes without quotes"),
        ("a: 1\na: 2", "the key 'a' repeats"),
        ("- 1", "an object with apiVersion, kind, metadata and spec is expected; the file is left as it is"),
        ("a: |2\n    x", "states its own indentation"),
        ('? "a\n  b"\n: 1', "a key of several lines"),
    ],
)
def test_what_is_left_alone(text: str, says: str) -> None:
    with pytest.raises(SpecError, match=says) as refused:
        format_text("a.yaml", text.encode())

    assert refused.value.problems[0].file == "a.yaml"
    assert refused.value.problems[0].line > 0


def test_a_tab_that_cannot_go_is_told_with_its_place() -> None:
    with pytest.raises(SpecError, match=r"a.yaml:2:8: error: a tab inside text without quotes"):
        format_text("a.yaml", b"a:   1\nb: some\ttext\n")
