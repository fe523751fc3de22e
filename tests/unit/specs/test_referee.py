"""The second opinion on edits."""

from __future__ import annotations

import pytest

from framework.specs.yaml import editor
from framework.specs.yaml.editor import EditError, set_value
from framework.specs.yaml.referee import documents, same, same_elsewhere

TEXT = "a: {b: 1, c: [x, y]}  # why\nd: 2013-01-01\n---\ne: 010\n"


def test_scalars_are_read_as_they_are_written() -> None:
    assert documents(TEXT) == [{"a": {"b": "1", "c": ["x", "y"]}, "d": "2013-01-01"}, {"e": "010"}]
    assert documents("a: [") is None


def test_form_does_not_count_and_meaning_does() -> None:
    assert same(TEXT, "a:\n  b: 1\n  c:\n    - x\n    - y\nd: 2013-01-01\n---\ne: 010\n")
    assert not same(TEXT, TEXT.replace("010", "10"))


@pytest.mark.parametrize(
    ("after", "agreed"),
    [
        (TEXT.replace("[x, y]", "[x, z]"), True),
        (TEXT.replace("[x, y]", "[x, z]").replace("b: 1", "b: 2"), False),
        (TEXT.replace("[x, y]", "[x, z]").replace("010", "8"), False),
        (TEXT.replace("[x, y]", "[x, y, z]"), False),
        ("a: [", False),
    ],
)
def test_only_the_value_that_was_asked_for_may_differ(after: str, agreed: bool) -> None:
    assert same_elsewhere(TEXT, after, ("a", "c", 1)) is agreed


def test_a_value_where_nothing_stood_is_no_other_difference() -> None:
    assert same_elsewhere("a:\nb: 1\n", "a:\n  x: {y: 2}\nb: 1\n", ("a", "x", "y"))


def test_an_edit_that_the_referee_does_not_confirm_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editor.referee, "same_elsewhere", lambda before, after, path: False)
    with pytest.raises(EditError, match="would change other values"):
        set_value("kind: A\nspec: {x: 1}\n", 0, "spec.x", 2)
