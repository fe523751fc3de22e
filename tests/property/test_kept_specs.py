"""Whatever was read before, and wherever that is kept: a commit says the same, to the last line and column."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framework.api.errors import SpecError
from framework.backends.memory.source import MemorySource
from framework.kinds import KINDS
from framework.specs.cache.lazy import resources_of
from framework.specs.cache.parse_cache import ParseCache
from framework.specs.cache.store import Store
from framework.specs.read import check, read_environment, read_snapshot


class ManyDigests(MemorySource):
    """As git does, tells many digests at once."""

    def tree_digests(self, commit: str, paths: Sequence[str]) -> Mapping[str, str | None]:
        return {path: self.tree_digest(commit, path) for path in paths}


def view(name: str, columns: str = "{name: id, dtype: Int64}, {name: at, dtype: Datetime}", more: str = "") -> str:
    return f"""\
apiVersion: mlops/v1alpha1
kind: FeatureView
metadata: {{name: {name}, labels: {{team: blue}}}}
spec:
  entities: [id]
  timestamp: at
  sources: {{raw: {{format: csv, path: data/{name}.csv}}}}
  columns: [{columns}]
{more}"""


def training(spine: str = "orders", label: str = "late", more: str = "") -> str:
    return f"""\
apiVersion: mlops/v1alpha1
kind: TrainingJob
metadata: {{name: late}}
spec:
  dataset:
    spine: {spine}
    columns: [price]
    label: {label}
    window: {{from: 2013-01-01, to: 2013-04-01}}
    split: {{by: time, fractions: {{train: 0.7, validation: 0.15, test: 0.15}}}}
  trainer:
    lightgbm: {{rounds: 20}}
{more}"""


def deployment(name: str, route: str = "/late") -> str:
    return f"""\
apiVersion: mlops/v1alpha1
kind: ModelDeployment
metadata: {{name: {name}}}
spec:
  model: {{training: late}}
  serving: {{route: {route}, transformer: "shop.code:tidy"}}
  strategy: {{canary: {{steps: [{{setWeight: 100}}]}}}}
"""


def environment(name: str, more: str = "") -> str:
    return f"apiVersion: mlops/v1alpha1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  storage: s\n{more}"


LATE = "{name: id, dtype: Int64}, {name: at, dtype: Datetime}, {name: late, dtype: Boolean}, {name: price, dtype: Int8}"
PATCHES = """\
  patches:
    - target: {kind: ModelDeployment}
      patch: {serving: {replicas: {max: 3}}}
    - target: {kind: FeatureView, labels: {team: blue}}
      patch: {deletion: delete}
"""
WRONG_PATCH = "  patches:\n    - target: {kind: ModelDeployment}\n      patch: {serving: {replica: {max: 3}}}\n"
POLICY = """\
  policies:
    - kind: TrainingJob
      limits: [{path: trainer.lightgbm.rounds, max: 10}]
      message: too many rounds
"""

FILES: Mapping[str, Sequence[str]] = {
    "specs/env/local.yaml": [
        environment("local"), environment("local", PATCHES), environment("local", WRONG_PATCH),
        environment("local", POLICY), environment("local", "  colour: red\n"),
    ],
    "specs/env/prod.yaml": [environment("prod", PATCHES), environment("prod", POLICY)],
    "specs/orders.yaml": [
        view("orders", LATE), "# moved\n" + view("orders", LATE), view("orders"),
        view("orders", more="  colour: red\n"), view("orders", LATE, "  online: {enabled: true}\n"), "spec: [",
        view("orders", LATE) + "---\n" + view("more"),
    ],
    "specs/more.yaml": [view("more"), "# nothing\n", view("orders", LATE), ""],
    "specs/late.yaml": [
        training(), training(more="  timeout: 1h\n"), training("ordesr"), training(label="lat"), training("more"),
        training(more="  resources: {workers: 0}\n"), training(more='  aliases: {stable: "0123456789"}\n'),
        training(more="  aliases: {stable: latest}\n"),
    ],
    "specs/serve.yml": [
        deployment("a"), deployment("a", "/other") + "---\n" + deployment("b"),
        deployment("a") + "---\n" + deployment("b"), deployment("a").replace("late}", "late, version: stable}"),
    ],
    "specs/notes.txt": ["no spec\n"],
    "shop/code.py": ["def tidy(rows): ...\n", "def tidy(row): ...\n", "def other(): ...\n", "def tidy(:\n"],
    "shop/__init__.py": ["", "import os\n"],
}  # fmt: skip

EDITS = [(path, text) for path, texts in FILES.items() for text in (None, *texts)]
COMMITS = st.lists(st.lists(st.sampled_from(EDITS), max_size=2).map(dict), min_size=2, max_size=6)
"""What each commit has otherwise than the first texts, which are right; None: the file is not there."""


def written(edits: Mapping[str, str | None]) -> dict[str, str]:
    texts: dict[str, str | None] = {**{path: texts[0] for path, texts in FILES.items()}, **edits}
    return {path: text for path, text in texts.items() if text is not None}


def seen(source: MemorySource, commit: str, name: str, cache: ParseCache | None) -> Any:
    """All that can be told from one environment of a commit."""
    try:
        snapshot = read_snapshot(source, commit, "specs", name, KINDS, cache=cache)
    except SpecError as error:
        return error.problems
    resources = resources_of(snapshot.desired)
    return {
        "digest": snapshot.digest,
        "environment": snapshot.environment,
        "file": snapshot.file,
        "resources": [
            (ref, one.metadata, one.spec, one.raw, one.file, one.positions.value("spec.sources"), one.texts, one.key)
            for ref, one in resources.items()
        ],
        "desired": [
            (
                ref,
                one.spec,
                one.metadata,
                one.commit,
                one.identity,
                one.digest,
                one.upstream,
                one.code,
                one.file,
                one.recipe,
            )
            for ref, one in snapshot.desired.items()
        ],
    }


def alone(source: MemorySource, commit: str, cache: ParseCache | None) -> Any:
    try:
        return read_environment(source, commit, "specs", "prod", KINDS, cache)
    except SpecError as error:
        return error.problems


NUMBERS = count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    base = tmp_path_factory.mktemp("kept")
    return lambda: base / str(next(NUMBERS))


@pytest.mark.parametrize("kind", [MemorySource, ManyDigests])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(commits=COMMITS)
def test_nothing_that_was_kept_changes_an_answer(
    kind: type[MemorySource], folder: Callable[[], Path], commits: Sequence[Mapping[str, str | None]]
) -> None:
    source, place = kind(), folder()
    in_memory = ParseCache()
    both = ParseCache(Store(place / "both"), few=0)
    for number, edits in enumerate([*commits, commits[0]]):
        commit = source.commit({**written(edits), "README.md": str(number)})
        for name in ("local", "prod"):
            expected = seen(source, commit, name, None)
            assert seen(source, commit, name, in_memory) == expected
            assert seen(source, commit, name, both) == expected
            for _ in range(2):
                assert seen(source, commit, name, ParseCache(Store(place / "disk"), few=0)) == expected
        expected = check(source, commit, ["specs"], KINDS)
        assert check(source, commit, ["specs"], KINDS, in_memory) == expected
        assert check(source, commit, ["specs"], KINDS, ParseCache(Store(place / "disk"), few=0)) == expected
        assert check(source, commit, ["specs"], KINDS, ParseCache(Store(place / "other"), few=0)) == expected
        assert alone(source, commit, ParseCache(Store(place / "disk"), few=0)) == alone(source, commit, None)


def test_the_sequences_hold_right_commits_and_wrong_ones() -> None:
    """Else the property above would say little."""
    source = MemorySource()
    answers = {
        (path, index): seen(source, source.commit(written({path: text})), "local", None)
        for path, texts in FILES.items()
        for index, text in enumerate(texts)
    }
    wrong = {key for key, answer in answers.items() if isinstance(answer, tuple)}

    assert ("specs/env/local.yaml", 1) not in wrong
    assert len(answers["specs/env/local.yaml", 1]["resources"]) == 4
    assert len(wrong) >= 12
    assert len({str(answers[key]) for key in wrong}) >= 10
