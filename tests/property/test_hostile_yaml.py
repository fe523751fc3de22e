"""Whatever bytes a file holds, reading it ends in resources or problems, never in an exception."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from framework.api.errors import Problem, SpecError
from framework.kinds import KINDS
from framework.ports import Blob
from framework.specs.read import check, read_snapshot
from framework.specs.yaml import paths
from framework.specs.yaml.positions import parse
from framework.specs.yaml.syntax import LINE_BREAK

WORDS = (
    "apiVersion", "mlops/v1alpha1", "kind", "metadata", "name", "spec", "strategy", "canary", "steps", "setWeight",
    "entities", "sources", "columns", "dataset", "features", "patches", "target", "patch", "between", "window",
    "trips", "1m", "yes", "~", "1e400", "-0", ".nan", "0x1f", "2013-01-01", "\ud7ff", "a:b", "../..", "x.y:z", *KINDS,
)  # fmt: skip
PUNCTUATION = (": ", "- ", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ", ", "&a ", "*a", "!t ", "? ", "|\n", ">\n",
               '"', "'", "#", "---\n", "...\n", "<<: ", "\t", "\\", "%", "@", "`")  # fmt: skip

texts = st.lists(st.sampled_from(WORDS + PUNCTUATION), max_size=40).map("".join)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(WORDS), st.text(max_size=8))
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=20,
)


class OneFile:
    """A SpecSource whose commit holds one spec file."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def resolve(self, revision: str) -> str:
        return revision

    def blobs(self, commit: str, folder: str) -> Sequence[Blob]:
        return [Blob("specs/a.yaml", "1")]

    def read(self, blobs: Iterable[Blob]) -> Mapping[str, bytes]:
        return {blob.sha: self.data for blob in blobs}

    def tree_digest(self, commit: str, folder: str) -> str | None:
        return None

    def archive(self, commit: str, folder: str) -> bytes:
        return b""


def survives(data: bytes) -> None:
    """Both ways of reading agree on whether ``data`` is wrong, and every problem can be shown."""
    report = check(OneFile(data), "c", ["specs"], KINDS)
    lines = LINE_BREAK.split(data.decode("utf-8-sig", "replace"))
    for problem in report.problems:
        assert problem.message
        str(problem).encode("utf-8", "surrogatepass")
        assert 0 <= problem.line <= len(lines)
        assert problem.line == 0 or 1 <= problem.column <= len(lines[problem.line - 1]) + 1
    refused: tuple[Problem, ...] = ()
    try:
        read_snapshot(OneFile(data), "c", "specs", "local", KINDS)
    except SpecError as error:
        refused = error.problems
        names_nothing = all("no Environment named" in problem.message for problem in refused)
        assert refused
        assert report.errors or names_nothing


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
@example(b"\xef\xbb\xbf")
@example(b"\xff\xfe")
@example(b"a: \xc2\x85b: 1")
def test_any_bytes(data: bytes) -> None:
    survives(data)


@given(texts)
@settings(max_examples=400, deadline=None)
@example('a: "\\ud800"')
@example('{"\\udfff": 1}')
@example('a: "\\U0010ffff\\0"')
@example("a: .nan")
def test_any_text_of_yaml_parts(text: str) -> None:
    survives(text.encode("utf-8", "surrogatepass"))


@given(st.sampled_from(sorted(KINDS)), values, values)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example("Environment", {"name": "local"}, {"patches": [{"target": {"kind": "Environment"}, "patch": {}}]})
@example("Environment", {"name": "local"}, {"patches": [{"target": {"kind": "X\ud800"}, "patch": {"a": 1e400}}]})
@example("FeatureView", {"name": "a"}, {"sources": {"a": {"options": {"b": math.nan}}}})
def test_any_values_in_an_object(kind: str, metadata: Any, spec: Any) -> None:
    data = {"apiVersion": "mlops/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    survives(yaml.safe_dump(data, allow_unicode=False).encode("utf-8", "surrogatepass"))


OBJECTS = [
    document
    for file in sorted((Path(__file__).parents[2] / "mlops_specs").rglob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text())
]
"""Of the example project, which is valid. Dates become dates here, and text again when they are written."""


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_valid_project_with_one_value_replaced(data: st.DataObject) -> None:
    objects = copy.deepcopy(OBJECTS)
    chosen = data.draw(st.integers(0, len(objects) - 1))
    path = data.draw(st.sampled_from([path for path in _paths(objects[chosen], ()) if path]))
    parent = objects[chosen]
    for part in path[:-1]:
        parent = parent[part]
    match data.draw(st.sampled_from(["replace", "remove", "rename"])):
        case "replace":
            parent[path[-1]] = data.draw(values)
        case "remove":
            del parent[path[-1]]
        case "rename" if isinstance(parent, dict):
            parent[data.draw(st.sampled_from(WORDS) | st.text(max_size=6))] = parent.pop(path[-1])
    survives(yaml.safe_dump_all(objects, allow_unicode=False).encode("utf-8", "surrogatepass"))


@given(st.sampled_from(sorted(KINDS)), st.dictionaries(st.sampled_from(WORDS), values, max_size=4))
@settings(max_examples=150, deadline=None)
def test_a_valid_project_under_any_patch(kind: str, patch: dict[str, Any]) -> None:
    objects = copy.deepcopy(OBJECTS)
    for one in objects:
        if one["kind"] == "Environment":
            one["spec"]["patches"] = [{"target": {"kind": kind}, "patch": patch}] * 2
    survives(yaml.safe_dump_all(objects, allow_unicode=False).encode("utf-8", "surrogatepass"))


FILE = """\
apiVersion: mlops/v1alpha1
kind: ModelDeployment
metadata: {name: late, labels: {"app.io/x": y}}
spec:
  model: {training: late}
  serving: {route: /late, replicas: {min: 1, max: 2}}
  strategy:
    canary:
      steps: [{setWeight: 10}, {analyze: {for: 1m}}, {setWeight: 100}]
      analysis: [{metric: error_rate, maxIncrease: 0.01}]
"""


@given(st.lists(st.tuples(st.integers(0, len(FILE)), st.integers(0, 12), st.sampled_from(WORDS + PUNCTUATION + ("",))),
                min_size=1, max_size=3))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_a_damaged_file(damage: list[tuple[int, int, str]]) -> None:
    text = FILE
    for start, length, replacement in damage:
        text = text[:start] + replacement + text[start + length :]
    survives(text.encode())


ROOT = Path(__file__).parents[2]
FILES = [
    path.read_bytes()
    for folder in ("mlops_specs", "tests/data/specs", "tests/data/hostile")
    for path in sorted((ROOT / folder).rglob("*.yaml"))
]
"""Valid specs, and such as were made to hurt."""


@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=4) | texts.map(str.encode)), max_size=4),
    st.integers(0, 3),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_bytes_of_real_files_cut_replaced_and_repeated(
    data: bytes, damage: list[tuple[float, int, bytes]], copies: int
) -> None:
    for where, length, new in damage:
        start = int(where * len(data))
        data = data[:start] + new + data[start + length :]
    survives(data + copies * (b"---\n" + data))


@given(values)
@settings(max_examples=150, deadline=None)
def test_every_path_of_a_document_has_a_place(value: Any) -> None:
    text = yaml.safe_dump({"root": value}, allow_unicode=False)
    for document in parse("a.yaml", text.encode()).documents:
        lines = text.split("\n")
        for path in _paths(document.data, ()):
            place = document.positions.key(path)
            assert 1 <= place.line <= len(lines)
            assert 1 <= place.column <= len(lines[place.line - 1]) + 1
            rendered = paths.render(path)
            if paths.parse(rendered) == path:
                assert document.positions.key(rendered) == place


def _paths(value: Any, path: paths.Path) -> Iterable[paths.Path]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _paths(item, (*path, key))
