"""A version is pinned in the Environment's file, and nothing else of the file changes."""

from __future__ import annotations

import difflib
from typing import Any

import pytest

from framework.api.meta import Ref
from framework.backends.memory import MemorySource
from framework.specs.pins import Edited, pin
from framework.specs.yaml.editor import EditError
from framework.specs.yaml.positions import parse

PROD = """\
# Production. Ask before you touch it.
apiVersion: mlops/v1alpha1
kind: Environment
metadata: {name: prod}
spec:
  storage: s3://bucket/prod   # never the other one
  patches:
    # twice the replicas
    - target: {kind: ModelDeployment}
      patch: {serving: {replicas: {max: 2}}}
"""


def patches(text: str) -> Any:
    return parse("", text.encode()).documents[0].data["spec"].get("patches")


def pin_version(text: str, environment: str, deployment: str, version: str) -> str:
    return pin(text, environment, Ref("ModelDeployment", deployment), "model.version", version)


def changed(old: str, new: str) -> tuple[list[str], list[str]]:
    rows = list(difflib.ndiff(old.splitlines(), new.splitlines()))
    return [row[2:] for row in rows if row[:1] == "-"], [row[2:] for row in rows if row[:1] == "+"]


def test_a_first_pin_is_a_patch_of_its_own_behind_the_others() -> None:
    pinned = pin_version(PROD, "prod", "delay", "abc")
    assert patches(pinned)[-1] == {
        "target": {"kind": "ModelDeployment", "name": "delay"},
        "patch": {"model": {"version": "abc"}},
    }
    removed, added = changed(PROD, pinned)
    assert removed == []
    assert 1 <= len(added) <= 6


def test_an_environment_without_patches_gets_its_first() -> None:
    bare = PROD.partition("  patches:")[0]
    pinned = pin_version(bare, "prod", "delay", "abc")
    assert len(patches(pinned)) == 1
    assert changed(bare, pinned)[0] == []


def test_a_second_pin_replaces_the_version_alone() -> None:
    first = pin_version(PROD, "prod", "delay", "abc")
    second = pin_version(first, "prod", "delay", "def")
    removed, added = changed(first, second)
    assert (len(removed), len(added)) == (1, 1)
    assert ("abc" in removed[0], "def" in added[0]) == (True, True)
    assert pin_version(second, "prod", "delay", "def") == second


def test_a_patch_that_says_more_keeps_what_it_says() -> None:
    text = PROD + (
        "    - target: {kind: ModelDeployment, name: delay}\n"
        "      patch: {model: {version: old}, serving: {timeout: 1s}}  # slow network\n"
    )
    pinned = pin_version(text, "prod", "delay", "new")
    assert changed(text, pinned)[1] == ["      patch: {model: {version: new}, serving: {timeout: 1s}}  # slow network"]


@pytest.mark.parametrize(
    "other",
    [
        "{target: {kind: ModelDeployment}, patch: {model: {version: old}}}",
        "{target: {kind: ModelDeployment, labels: {tier: gold}}, patch: {model: {version: old}}}",
        "{target: {kind: ModelDeployment, name: delay, labels: {tier: gold}}, patch: {model: {version: old}}}",
        "{target: {kind: ModelDeployment, name: delay}, jsonPatch: [{op: add, path: /model/version, value: old}]}",
        "{target: {kind: ModelDeployment, name: delay}, jsonPatch: [{op: replace, path: /model, value: {version: 1}}]}",
    ],
)
def test_a_patch_that_others_share_or_that_works_otherwise_is_left_alone(other: str) -> None:
    older = "{target: {kind: ModelDeployment, name: delay}, patch: {model: {version: older}}}"
    text = f"{PROD}    - {older}\n    - {other}\n"
    pinned = pin_version(text, "prod", "delay", "new")
    assert patches(pinned)[:-1] == patches(text)
    assert patches(pinned)[-1]["patch"] == {"model": {"version": "new"}}


def test_a_patch_of_another_deployment_is_left_alone() -> None:
    text = pin_version(PROD, "prod", "other", "abc")
    pinned = pin_version(text, "prod", "delay", "abc")
    assert [entry["target"].get("name") for entry in patches(pinned)] == [None, "other", "delay"]


def test_only_the_environment_that_is_meant_is_edited() -> None:
    text = f"{PROD}---\n{PROD.replace('name: prod', 'name: staging')}"
    pinned = pin_version(text, "staging", "delay", "abc")
    assert pinned.startswith(PROD)
    assert "delay" in pinned
    with pytest.raises(EditError):
        pin_version(text, "nowhere", "delay", "abc")


def test_a_commit_as_an_edit_would_leave_it() -> None:
    source = MemorySource()
    files = {"specs/a.yaml": "a: 1\n", "specs/b.yaml": "b: 1\n", "code/x.py": "x = 1\n"}
    commit, later = source.commit(files), source.commit({**files, "code/x.py": "x = 2\n"})
    edited = Edited(source, commit, "specs/a.yaml", b"a: 2\n")
    real = MemorySource()
    expected = real.commit({**files, "specs/a.yaml": "a: 2\n"})
    assert edited.blobs(commit, "specs") == real.blobs(expected, "specs")
    contents = edited.read(edited.blobs(commit, ""))
    assert sorted(contents.values()) == [b"a: 2\n", b"b: 1\n", b"x = 1\n"]
    assert edited.tree_digest(commit, "specs/a.yaml") == real.tree_digest(expected, "specs/a.yaml")
    assert edited.tree_digest(commit, "specs") != source.tree_digest(commit, "specs")
    assert edited.tree_digest(commit, "code") == source.tree_digest(commit, "code")
    assert edited.tree_digest(commit, "nothing") is None
    assert edited.blobs(later, "specs") == source.blobs(later, "specs")
    assert edited.resolve("main") == later
