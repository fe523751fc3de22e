"""Patches cost time and memory in proportion to the specs, whatever they say: copies that double are refused early."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import pytest

from tests.unit.specs.conftest import Project

WATCH = """\
apiVersion: mlops/v1alpha1
kind: ModelMonitor
metadata: {name: watch%s}
spec: {deployment: late, window: 5m, drift: {}, alerts: [{file: .mlops/alerts.jsonl}]}
"""
DOUBLED = {"op": "copy", "from": "/alerts", "path": "/alerts/0"}
LIST = {"op": "add", "path": "/l", "value": [[1] * 20_000]}
THERE_AND_BACK = [{"op": "move", "from": "/l", "path": "/m"}, {"op": "move", "from": "/m", "path": "/l"}]
TEXT = {"op": "add", "path": "/x", "value": "y" * 300_000}


def patched(project: Project, *patches: dict[str, Any], monitors: int = 1) -> list[str]:
    """What is wrong where an Environment patches so many monitors so."""
    for number in range(monitors):
        project.write(f"monitors/{number}.yaml", WATCH % number)
    entries = [{"target": {"kind": "ModelMonitor"}, **patch} for patch in patches]
    environment = {"apiVersion": "mlops/v1alpha1", "kind": "Environment", "metadata": {"name": "local"}}
    project.write("environments/local.yaml", json.dumps({**environment, "spec": {"patches": entries}}))
    return [one for one in project.problems() if "spec.patches" in one]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("operations", "place", "says"),
    [
        ([DOUBLED] * 40, "[0].jsonPatch[14].path", "make it more than 50,000 values"),
        ([{"op": "copy", "from": "", "path": "/alerts/-"}] * 40, "[0].jsonPatch[12].path", "more than 50,000 values"),
        ([TEXT, *({"op": "copy", "from": "/x", "path": f"/x{n}"} for n in range(50))],
         "[0].jsonPatch[3].path", "make it more than 1 MiB of text"),
        ([{"op": "add", "path": "/a" * depth, "value": {}} for depth in range(1, 200)],
         "[0].jsonPatch[63].value", "nested more than 64 levels deep"),
        ([{"op": "copy", "from": "/drift", "path": "/drift/a"}] * 200, "[0].jsonPatch[62].path", "nested more than 64"),
        ([LIST, *THERE_AND_BACK * 200], "[0].jsonPatch[50].path", "take too much work; write it into the object"),
    ],
)  # fmt: skip
def test_what_grows_is_refused_at_the_step_that_is_too_much(
    project: Project, operations: list[dict[str, Any]], place: str, says: str
) -> None:
    tracemalloc.start()
    began = time.process_time()
    (problem,) = patched(project, {"jsonPatch": operations})
    seconds, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert f"error: spec.patches{place}: " in problem
    assert says in problem
    assert seconds < 20  # many times less where nothing is traced
    assert peak < 100 << 20


def test_so_it_is_where_each_patch_of_a_chain_is_small(project: Project) -> None:
    (problem,) = patched(project, *[{"jsonPatch": [DOUBLED]}] * 40)

    assert "spec.patches[14].jsonPatch[0].path: the patches up to here make it more than 50,000 values" in problem


@pytest.mark.slow
@pytest.mark.parametrize(
    ("patches", "says"),
    [
        ([{"patch": {"segments": ["c"] * 20_000}}], "spec.patches[0].patch: the patches up to here write more than"),
        ([{"patch": {"segments": ["c" * 500_000]}}], "spec.patches[0].patch: the patches up to here write more than"),
        ([{"patch": {"minRows": rows}} for rows in range(1, 3000)], "].patch: the patches up to here write more than"),
    ],
)
def test_what_many_objects_are_given_together_is_bounded(
    project: Project, patches: list[dict[str, Any]], says: str
) -> None:
    (problem,) = patched(project, *patches, monitors=60)

    assert says in problem


def test_a_patch_that_is_large_but_none_too_many_is_applied(project: Project) -> None:
    alerts = [{"file": f".mlops/{number}.jsonl"} for number in range(2000)]

    assert patched(project, {"patch": {"alerts": alerts}}, {"patch": {"minRows": 7}}, monitors=3) == []
    assert len(project.spec("ModelMonitor", "watch2").alerts) == 2000


def test_patches_without_a_target_are_told_soon(project: Project) -> None:
    entries = [{"target": {"kind": "ModelMonitor", "name": f"nobody{number}"}} for number in range(2000)]
    began = time.process_time()
    problems = patched(project, *({**entry, "patch": {"minRows": 1}} for entry in entries), monitors=200)

    assert len(problems) == 2000
    assert "no ModelMonitor is named 'nobody7'" in problems[7]
    assert time.process_time() - began < 20


def test_aliases_count_as_the_text_that_they_stand_for(project: Project) -> None:
    text = f"note: &x {'y' * 300_000}\nothers: [*x, *x, *x, *x]\n"
    project.write("aliased.yaml", text)

    assert project.problems() == ["aliased.yaml:2:18: error: more than 1 MiB of text in one file, aliases expanded"]
