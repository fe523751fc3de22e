"""The workflow files: one text for us and for new projects, valid, pinned, and allowed as little as they need."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from controllers.scaffold import WORKFLOWS
from framework.render.preview import MARKER
from tests.unit.scaffold.workflows import INSTALLS, OURS, ROOT, SCAFFOLD, parsed, steps

SCHEMA = ROOT.parent / "shared" / "schemas" / "schemastore" / "github-workflow.json"
FILES = [*(SCAFFOLD / f"{name}.yml" for name in WORKFLOWS), *sorted(OURS.glob("*.yml"))]
EACH = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
TEMPLATES = pytest.mark.parametrize("name", WORKFLOWS)

PERMISSIONS = {
    "validate": {"contents": "read"},
    "code-scanning": {"actions": "read", "contents": "read", "security-events": "write"},
    "plan": {"contents": "read"},
    "preview": {"contents": "read"},
    "comment": {"actions": "read", "pull-requests": "write"},
    "review": {"actions": "read", "contents": "read", "pull-requests": "read"},
    "reconcile": {"contents": "read"},
    "look": {"contents": "read"},
    "tell": {"issues": "write"},
    "test": {"contents": "read"},
    "fuzz": {"contents": "read"},
}
"""What each job may do; a change here deserves a second pair of eyes."""


def test_the_templates_are_the_workflows_that_are_listed() -> None:
    assert sorted(path.stem for path in SCAFFOLD.glob("*")) == sorted(WORKFLOWS)
    assert sorted(path.stem for path in OURS.glob("*")) == sorted([*WORKFLOWS, "ci", "fuzz"])


@TEMPLATES
def test_ours_is_the_template_but_for_how_mlopsctl_is_installed(name: str) -> None:
    text = (SCAFFOLD / f"{name}.yml").read_text()
    for theirs, ours in INSTALLS.items():
        text = text.replace(f"run: {theirs}\n", f"run: {ours}\n")
    assert (OURS / f"{name}.yml").read_text() == text
    assert "$PROJECT/requirements.txt" not in text


@EACH
def test_it_is_a_workflow(path: Path) -> None:
    if not SCHEMA.exists():
        pytest.skip(f"{SCHEMA.name} of SchemaStore is not here")
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).validate(parsed(path))


@EACH
def test_every_action_is_pinned_by_commit_with_its_version(path: Path) -> None:
    lines = [line.strip() for line in path.read_text().splitlines() if re.search(r"\buses:", line)]
    wrong = [line for line in lines if not re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)]
    assert wrong == []


def test_an_action_has_one_version_everywhere() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for path in FILES:
        for action, pin in re.findall(r"uses: (\S+?)@(.+)$", path.read_text(), flags=re.MULTILINE):
            found[action].add(pin)
    assert {action: pins for action, pins in found.items() if len(pins) > 1} == {}


@EACH
def test_nothing_is_allowed_that_a_job_does_not_ask_for(path: Path) -> None:
    workflow = parsed(path)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["permissions"] == PERMISSIONS[name]
        assert 0 < job["timeout-minutes"] <= 180
    assert workflow["concurrency"]["group"]


@EACH
def test_no_credentials_are_left_in_a_work_tree(path: Path) -> None:
    checkouts = [step for step in steps(parsed(path)) if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@EACH
def test_no_value_is_pasted_into_a_script(path: Path) -> None:
    for step in steps(parsed(path)):
        assert "${{" not in step.get("run", "") + step.get("with", {}).get("script", "")


@EACH
def test_pull_requests_get_no_secrets_and_no_writing_token(path: Path) -> None:
    workflow = parsed(path)
    events = workflow["on"]
    assert "pull_request_target" not in events
    if "pull_request" not in events:
        return
    assert "secrets." not in path.read_text()
    for job in workflow["jobs"].values():
        # What may write runs nothing of the pull request.
        if "write" in job["permissions"].values():
            assert not any("run" in step or "checkout" in step.get("uses", "") for step in job["steps"])


def test_what_a_pull_request_started_with_a_writing_token_runs_nothing() -> None:
    workflow = parsed(SCAFFOLD / "plan-comment.yml")
    assert set(workflow["on"]) == {"workflow_run"}
    assert workflow["on"]["workflow_run"]["workflows"] == [parsed(SCAFFOLD / "plan.yml")["name"]]
    used = {step.get("uses", "run").partition("@")[0] for step in steps(workflow)}
    assert used == {"actions/github-script", "actions/download-artifact"}
    script = "".join(step["with"].get("script", "") for step in steps(workflow))
    assert re.findall(r"\b(?:exec|eval|spawn|Function|import)\b", script) == []
    assert set(re.findall(r"require\('(\w+)'\)", script)) == {"fs", "path"}


def test_a_preview_is_off_by_default_and_runs_no_fork() -> None:
    jobs = parsed(SCAFFOLD / "preview.yml")["jobs"]
    asked = jobs["preview"]["if"]
    assert "vars.MLOPS_PREVIEW == 'true' &&" in asked
    assert "github.event.pull_request.head.repo.full_name == github.repository" in asked
    assert jobs["comment"]["needs"] == "preview"
    script = jobs["comment"]["steps"][-1]["with"]["script"]
    assert f"const MARKER = '{MARKER}';" in script
    assert re.findall(r"\b(?:exec|eval|spawn|Function|import)\b", script) == []


@pytest.mark.parametrize("name", ["reconcile", "drift"])
def test_secrets_are_given_to_one_step_behind_an_environment(name: str) -> None:
    workflow = parsed(SCAFFOLD / f"{name}.yml")
    holders = [
        (job, step["name"])
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if "secrets." in json.dumps(step)
    ]
    assert len(holders) == 1
    (job, step), *_ = holders
    assert job["environment"]
    assert step in {"Reconcile", "Plan against what runs"}


def test_one_reconcile_at_a_time_and_none_is_cancelled() -> None:
    concurrency = parsed(SCAFFOLD / "reconcile.yml")["concurrency"]
    assert "MLOPS_ENVIRONMENT" in concurrency["group"]
    assert concurrency["cancel-in-progress"] is False


@TEMPLATES
def test_each_can_be_called_by_another_workflow(name: str) -> None:
    events = parsed(SCAFFOLD / f"{name}.yml")["on"]
    if name == "plan-comment":  # it reads the event of the run that it comments on, which a caller does not have
        assert "workflow_call" not in events
        return
    inputs: Mapping[str, Any] = events["workflow_call"]["inputs"]
    wanted = {"project", "python-version"} | ({"environment"} if name != "validate" else set())
    assert wanted <= set(inputs)
    assert all(one["description"] and "default" in one for one in inputs.values())
    assert set(events) - {"workflow_call"}


def test_examples_are_drawn_on_a_schedule_and_never_the_same_ones() -> None:
    workflow = parsed(OURS / "fuzz.yml")
    assert workflow["on"]["schedule"]
    (step,) = [step for step in steps(workflow) if "run" in step]
    assert "MLOPS_FUZZ" in step["env"]
    assert "GITHUB_RUN_NUMBER" in step["run"]
    assert step["run"].endswith("make fuzz\n")


@pytest.mark.parametrize("folder", [SCAFFOLD, OURS], ids=["template", "ours"])
def test_zizmor_finds_nothing(folder: Path) -> None:
    if find_spec("zizmor") is None and not (Path(sys.executable).parent / "zizmor").exists():
        pytest.skip("zizmor is not installed")
    done = subprocess.run(
        [Path(sys.executable).parent / "zizmor", "--offline", "--pedantic", "--no-progress", "--color=never",
         *sorted(folder.glob("*.yml"))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
