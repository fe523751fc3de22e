"""Edits change the one value that was asked for, and not a byte of anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from framework.specs.yaml.editor import EditError, set_value
from framework.specs.yaml.positions import parse

ROOT = Path(__file__).parents[3]

FILE = """\
# A header.
apiVersion: mlops/v1alpha1
kind: ModelDeployment   # the kind
metadata: {name: late, labels: {"app.io/x": 'y'}}
spec:
  model: {training: late, version: latest}  # pinned by promote

  serving:
    # About the route.
    route: "/late"
    replicas: { min: 1,  max: 2 }
  message: |
    two
    lines

  steps:
  - {setWeight: 10}   # first
  - setWeight: 100
    pause:
  empty: {}
  nothing:
# The end.
---
apiVersion: mlops/v1alpha1
kind: Environment
metadata:
    name: prod
spec: {}
"""
LATE = ("ModelDeployment", "late")


def data(text: str, index: int = 0) -> Any:
    found = parse("a.yaml", text.encode())
    assert not found.problems, found.problems
    return found.documents[index].data


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ("spec.model.version", "3f2a9c1b7e", "version: latest}", "version: 3f2a9c1b7e}"),
        ("spec.model.version", "1234567890", "version: latest}", 'version: "1234567890"}'),
        ("spec.model.version", "yes", "version: latest}", 'version: "yes"}'),
        ("spec.model.version", "a, b}", "version: latest}", 'version: "a, b}"}'),
        ("spec.model.alias", "best", "version: latest}", "version: latest, alias: best}"),
        ("spec.serving.route", "/other", '"/late"', '"/other"'),
        ("spec.serving.route", 7, '"/late"', "7"),
        ('metadata.labels["app.io/x"]', "it's", "'y'", "'it''s'"),
        ('metadata.labels["app.io/y"]', "z", "'y'}", "'y', app.io/y: z}"),
        ("metadata.annotations", {"mlops/acknowledge-breaking": "3f2a9c1b7e"}, "'y'}}",
         "'y'}, annotations: {mlops/acknowledge-breaking: 3f2a9c1b7e}}"),
        ("metadata.annotations.a", "b", "'y'}}", "'y'}, annotations: {a: b}}"),
        ("spec.serving.replicas.max", 12, "max: 2 }", "max: 12 }"),
        ("spec.serving.replicas", None, "{ min: 1,  max: 2 }", "null"),
        ("spec.serving.timeout", "2s", "  max: 2 }\n", "  max: 2 }\n    timeout: 2s\n"),
        ("spec.steps[0].setWeight", 20, "10}   # first", "20}   # first"),
        ("spec.steps[1].setWeight", 90, "setWeight: 100", "setWeight: 90"),
        ("spec.steps[1].pause", {"for": "5m"}, "pause:\n", "pause: {for: 5m}\n"),
        ("spec.steps[1].pause.for", "5m", "pause:\n", "pause: {for: 5m}\n"),
        ("spec.steps[2]", {"setWeight": 100}, "    pause:\n", "    pause:\n  - {setWeight: 100}\n"),
        ("spec.empty", [1, 0.5, None, True], "empty: {}", "empty: [1, 0.5, null, true]"),
        ("spec.empty.a.b", "c", "empty: {}", "empty: {a: {b: c}}"),
        ("spec.nothing", "x", "nothing:\n", "nothing: x\n"),
        ("spec.nothing.deep", ["x"], "nothing:\n", "nothing: {deep: [x]}\n"),
        ("spec.new", "x", "nothing:\n", "nothing:\n  new: x\n"),
        ("spec.message", "one", "|\n    two\n    lines\n\n", "one\n"),
        ("spec.message", "three\nfour\n", "|\n    two\n    lines\n\n", "|\n    three\n    four\n"),
        ("spec.serving.route", "a\nb", '"/late"', '"a\\nb"'),
        ("spec.new", {"list": [{"name": "x" * 40}, {"name": "y" * 40}, {"name": "z" * 40}]}, "nothing:\n",
         f"nothing:\n  new:\n    list:\n      - {{name: {'x' * 40}}}\n      - {{name: {'y' * 40}}}\n"
         f"      - {{name: {'z' * 40}}}\n"),
    ],
)  # fmt: skip
def test_only_the_value_changes(path: str, value: Any, old: str, new: str) -> None:
    assert FILE.count(old) == 1, old

    assert set_value(FILE, LATE, path, value) == FILE.replace(old, new)


def test_a_value_that_is_there_already_changes_nothing() -> None:
    assert set_value(FILE, LATE, "spec.serving.replicas.max", 2) == FILE
    assert set_value(FILE, LATE, "spec.serving.replicas", {"max": 2, "min": 1}) == FILE


def test_one_of_several_documents_by_position_or_by_name() -> None:
    by_name = set_value(FILE, ("Environment", "prod"), "spec.suspend", True)

    assert by_name == FILE.replace("spec: {}", "spec: {suspend: true}")
    assert set_value(FILE, 1, "spec.suspend", True) == by_name
    owned = FILE.replace("    name: prod\n", "    name: prod\n    owner: me\n")
    assert set_value(FILE, 1, "metadata.owner", "me") == owned


def test_a_block_is_replaced_by_a_block_of_its_own_indentation() -> None:
    text = "kind: X\nspec:  # about it\n   a: 1\n   b: 2\nlast: 1\n"

    assert set_value(text, 0, "spec", {"c": {"d": 1}, "e": [1, 2]}) == (
        "kind: X\nspec:  # about it\n   c: {d: 1}\n   e: [1, 2]\nlast: 1\n"
    )
    assert set_value(text, 0, "spec", "text") == "kind: X\nspec: text  # about it\nlast: 1\n"
    assert set_value(text, 0, "spec", {}) == "kind: X\nspec: {}  # about it\nlast: 1\n"


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_line_endings_stay(ending: str) -> None:
    text = "kind: X\nspec: {a: 1}\n".replace("\n", ending or "\n").removesuffix("" if ending else "\n")
    newline = ending or "\n"

    assert set_value(text, 0, "spec.a", 2) == text.replace("1", "2")
    assert set_value(text, 0, "more", "x") == f"kind: X{newline}spec: {{a: 1}}{newline}more: x{newline}"


@pytest.mark.parametrize(
    ("text", "document", "path", "says"),
    [
        (FILE, ("ModelDeployment", "early"), "spec.a", "ModelDeployment/early is not defined in this file"),
        (FILE, 2, "spec.a", "there is no document 2"),
        (FILE, 0, "", "a path is needed"),
        (FILE, 0, "spec.model.version.deep", r"spec.model.version is no mapping"),
        (FILE, 0, "spec.steps.first", "spec.steps is no mapping"),
        (FILE, 0, "spec.steps[7]", "spec.steps is no list of 7 items"),
        (FILE, 0, "spec.model[0]", "spec.model is no list"),
        ("a: [", 0, "a", "line 1: "),
        ("a: &x {b: 1}\nc: *x\n", 0, "a.b", "would change other values"),
        ("a: &x {b: 1}\nc: *x\n", 0, "c.b", r"\*x stands at c"),
        ("a: {b: &x 1}\nc: *x\n", 0, "a", "without breaking the file: line 2: no anchor &x"),
    ],
)
def test_what_cannot_be_edited_is_refused(text: str, document: Any, path: str, says: str) -> None:
    with pytest.raises(EditError, match=says):
        set_value(text, document, path, 5)


def test_characters_that_a_file_may_not_hold_are_escaped() -> None:
    assert set_value("a: 1\n", 0, "a", "\a\x85\u2028é\U0001f600") == 'a: "\\u0007\\u0085\\u2028é\U0001f600"\n'


def test_an_alias_itself_may_be_replaced() -> None:
    assert set_value("a: &x {b: 1}\nc: *x\n", 0, "c", {"b": 2}) == "a: &x {b: 1}\nc: {b: 2}\n"


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in items for found in leaves(item, (*path, key)))]


SPECS = sorted([*(ROOT / "mlops_specs").rglob("*.yaml"), *(ROOT / "examples").rglob("*.yaml")])


VALUES: list[Any] = ["changed", 7, ["a", {"b": None}], {"k": "v: w"}]


@pytest.mark.slow
@pytest.mark.parametrize("file", SPECS, ids=lambda file: file.stem)
def test_every_value_of_the_example_project(file: Path) -> None:
    """Values and comments elsewhere stay, whatever is put in its place."""
    text = file.read_text()
    before = data(text)
    for number, path in enumerate(leaves(before)[1:]):
        value = VALUES[number % len(VALUES)]
        changed = set_value(text, 0, path, value)
        after: Any = data(changed)
        parent, expected = after, before
        for part in path[:-1]:
            parent, expected = parent[part], expected[part]
        assert parent[path[-1]] == value
        parent[path[-1]] = expected[path[-1]]
        assert after == before
        whole = isinstance(expected[path[-1]], dict | list)
        comments = [line for line in text.splitlines() if line.strip().startswith("#")]
        assert whole or [line for line in changed.splitlines() if line.strip().startswith("#")] == comments
