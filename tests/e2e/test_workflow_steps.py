"""The steps of the workflows, run on a repository of mlopsctl init: exit codes, files, and what reaches GitHub."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from controllers.cli.main import cli
from tests.unit.scaffold.workflows import HAS_NODE, Answer, Runner, step

NEEDS_NODE = pytest.mark.skipif(not HAS_NODE, reason="node, which runs actions/github-script, is not installed")
TRAINING = "mlops_specs/training/late-classifier.yaml"
BOT = {"login": "github-actions[bot]"}


class Repository:
    """A project of ``mlopsctl init``, with commits."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        for role in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{role}_NAME", "t")
            monkeypatch.setenv(f"GIT_{role}_EMAIL", "t@example.com")
        done = CliRunner().invoke(cli, ["init", str(folder)])
        assert done.exit_code == 0, done.output

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def change(self, before: str, after: str, path: str = TRAINING) -> str:
        """A commit that replaces ``before``, which is there once."""
        file = self.folder / path
        text = file.read_text()
        assert text.count(before) == 1
        file.write_text(text.replace(before, after))
        self.git("commit", "--quiet", "--all", "--message", f"{after}")
        return self.head

    def merge(self, branch: str) -> str:
        self.git("switch", "--quiet", "main")
        self.git("merge", "--quiet", "--no-ff", "--no-edit", branch)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    return Repository(tmp_path / "parcels", monkeypatch)


@pytest.fixture
def runner(repository: Repository, tmp_path: Path) -> Runner:
    return Runner(repository.folder, tmp_path / "runner")


# ------------------------------------------------------------------------------------------------------------ validate


def test_validate_is_content_with_a_new_project(runner: Runner) -> None:
    done = runner.run(step("validate", "Validate"))
    assert done.returncode == 0, done.stderr
    assert "::" not in done.stdout
    assert runner.run(step("validate", "Write SARIF")).returncode == 0
    assert json.loads((runner.temp / "specs.sarif").read_text())["runs"][0]["results"] == []


def test_validate_marks_the_line_and_keeps_the_findings(repository: Repository, runner: Runner) -> None:
    repository.change("estimator:", "estimater:")
    done = runner.run(step("validate", "Validate"))
    assert done.returncode == 1
    assert f"::error file={TRAINING},line=" in done.stdout
    assert runner.run(step("validate", "Write SARIF")).returncode == 0
    (found, *_) = json.loads((runner.temp / "specs.sarif").read_text())["runs"][0]["results"]
    assert found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == TRAINING


def test_the_pin_without_its_extras_is_what_light_jobs_install(repository: Repository, runner: Runner) -> None:
    command = step("validate", "Install mlopsctl")["run"].partition("|")[0]
    done = runner.run({"run": command})
    (pin,) = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    assert pin.startswith(("mlopsctl==", "mlopsctl @ "))


# ---------------------------------------------------------------------------------------------------------------- plan


def test_plan_compares_the_merge_with_its_target_for_every_environment(repository: Repository, runner: Runner) -> None:
    repository.change("max_iter: 300", "max_iter: 400")
    done = runner.run(step("plan", "Plan"), ENVIRONMENT="")
    assert done.returncode == 0, done.stderr
    plans = runner.temp / "plans"
    assert sorted(path.name for path in plans.iterdir()) == ["local.json", "local.md", "prod.json", "prod.md"]
    for environment in ("local", "prod"):
        page = (plans / f"{environment}.md").read_text()
        assert page.startswith(f"<!-- mlopsctl-plan:{environment} -->\n")
        assert "max_iter" in page
        assert page in runner.summary
        found = json.loads((plans / f"{environment}.json").read_text())
        assert (found["environment"], found["base"]) == (environment, repository.git("rev-parse", "HEAD^1"))
        assert found["digest"] in page


def test_plan_of_one_environment_and_nothing_to_do(repository: Repository, runner: Runner) -> None:
    repository.change("# From tables to", "# All the way from tables to")
    done = runner.run(step("plan", "Plan"), ENVIRONMENT="local")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (runner.temp / "plans").iterdir()) == ["local.json", "local.md"]
    assert "othing to do" in (runner.temp / "plans" / "local.md").read_text()


def test_a_project_that_declares_no_environment_is_planned_as_local(repository: Repository, runner: Runner) -> None:
    repository.git("rm", "--quiet", "-r", "mlops_specs/environments")
    repository.git("commit", "--quiet", "--message", "none")
    runner.run(step("plan", "Plan"), ENVIRONMENT="")
    assert sorted(path.name for path in (runner.temp / "plans").iterdir()) == ["local.json", "local.md"]


def test_a_commit_that_cannot_be_planned_fails_and_is_told(repository: Repository, runner: Runner) -> None:
    repository.change("spine: deliveries", "spine: delivreies")
    done = runner.run(step("plan", "Plan"), ENVIRONMENT="local")
    assert done.returncode == 1
    page = (runner.temp / "plans" / "local.md").read_text()
    assert page.startswith("<!-- mlopsctl-plan:local -->\n### `local` cannot be planned")
    assert f"{TRAINING}:" in page
    assert "did you mean 'deliveries'" in page


def test_a_plan_that_a_policy_refuses_fails_and_says_why(repository: Repository, runner: Runner) -> None:
    repository.change("replicas: {min: 2, max: 8}", "replicas: {min: 2, max: 99}", "mlops_specs/environments/prod.yaml")
    done = runner.run(step("plan", "Plan"), ENVIRONMENT="prod")
    assert done.returncode == 1
    assert "platform team" in (runner.temp / "plans" / "prod.md").read_text()


# ------------------------------------------------------------------------------------------------------------- comment

HEAD = "a" * 40
RUN = {
    "id": 77,
    "head_sha": HEAD,
    "head_branch": "better",
    "head_repository": {"id": 5, "full_name": "fork/parcels", "owner": {"login": "fork"}},
}
CONTEXT: dict[str, Any] = {
    "repo": {"owner": "team", "repo": "parcels"},
    "serverUrl": "https://github.example.com",
    "runId": 99,
    "ref": "refs/heads/main",
    "payload": {"workflow_run": RUN},
}
PULL: dict[str, Any] = {"number": 12, "head": {"sha": HEAD, "repo": {"id": 5}}}
ARTIFACT = {"id": 31, "name": "plan", "expired": False, "size_in_bytes": 4000}


def found(runner: Runner, pulls: list[Any], artifacts: list[Any], run: Mapping[str, Any] = RUN) -> Any:
    answers = [
        Answer("pulls.list", pulls, {"head": "fork:better", "state": "open"}),
        Answer("actions.listWorkflowRunArtifacts", {"artifacts": artifacts}, {"run_id": 77}),
    ]
    one = step("plan-comment", "Find the pull request and its plan")
    return runner.javascript(one, {**CONTEXT, "payload": {"workflow_run": run}}, answers)


@NEEDS_NODE
def test_the_pull_request_is_the_open_one_at_the_commit_that_was_planned(runner: Runner) -> None:
    assert found(runner, [PULL], [ARTIFACT]).outputs == {"pull": 12, "artifact": 31}


@NEEDS_NODE
@pytest.mark.parametrize(
    ("pulls", "artifacts", "told"),
    [
        ([], [ARTIFACT], "notice"),
        ([{**PULL, "head": {**PULL["head"], "sha": "b" * 40}}], [ARTIFACT], "notice"),
        ([{**PULL, "head": {**PULL["head"], "repo": {"id": 6}}}], [ARTIFACT], "notice"),
        ([{**PULL, "head": {**PULL["head"], "repo": None}}], [ARTIFACT], "notice"),
        ([PULL], [], "notice"),
        ([PULL], [{**ARTIFACT, "expired": True}], "notice"),
        ([PULL], [{**ARTIFACT, "name": "plans"}], "notice"),
        ([PULL], [{**ARTIFACT, "size_in_bytes": 2 << 20}], "failed"),
    ],
    ids=["closed", "moved on", "other fork", "fork gone", "no artifact", "expired", "other artifact", "too large"],
)
def test_where_anything_is_amiss_nothing_is_downloaded(runner: Runner, pulls: Any, artifacts: Any, told: str) -> None:
    played = found(runner, pulls, artifacts)
    assert played.outputs == {}
    assert [word for word, _ in played.told] == [told]


@NEEDS_NODE
def test_a_fork_that_is_gone_is_no_mistake(runner: Runner) -> None:
    assert found(runner, [PULL], [ARTIFACT], {**RUN, "head_repository": None}).outputs == {}


def commented(runner: Runner, comments: list[Any]) -> Any:
    answers = [
        Answer("issues.listComments", comments, {"issue_number": 12}),
        Answer("issues.createComment"),
        Answer("issues.updateComment"),
    ]
    one = step("plan-comment", "Comment")
    return runner.javascript(one, CONTEXT, answers, PLANS=str(runner.temp / "plans"), PULL="12")


def page(runner: Runner, name: str, text: str) -> None:
    (runner.temp / "plans").mkdir(exist_ok=True)
    (runner.temp / "plans" / name).write_text(text)


@NEEDS_NODE
def test_the_plans_of_the_other_workflow_become_one_comment(repository: Repository, runner: Runner) -> None:
    repository.change("max_iter: 300", "max_iter: 400")
    runner.run(step("plan", "Plan"), ENVIRONMENT="")
    played = commented(runner, [])
    (comment,) = played.called("issues.createComment")
    assert comment["issue_number"] == 12
    assert comment["body"].startswith("<!-- mlopsctl plan -->\n_What merging aaaa")
    for environment in ("local", "prod"):
        assert f"### Plan for `{environment}`" in comment["body"]
    assert "/team/parcels/actions/runs/77" in comment["body"]
    assert played.told == []


@NEEDS_NODE
def test_our_own_comment_is_kept_up_to_date_and_nobody_elses_is_touched(runner: Runner) -> None:
    page(runner, "local.md", "<!-- mlopsctl-plan:local -->\n### new\n")
    marked = "<!-- mlopsctl plan -->\nold"
    comments = [
        {"id": 1, "user": {"login": "somebody"}, "body": marked},
        {"id": 2, "user": BOT, "body": "something else"},
        {"id": 3, "user": None, "body": marked},
        {"id": 4, "user": BOT, "body": marked},
    ]
    played = commented(runner, comments)
    assert [call["comment_id"] for call in played.called("issues.updateComment")] == [4]
    assert played.called("issues.createComment") == []
    assert "### new" in played.called("issues.updateComment")[0]["body"]


@NEEDS_NODE
def test_a_hostile_artifact_is_only_text(runner: Runner) -> None:
    secret = runner.temp / "secret.txt"
    secret.write_text("<!-- mlopsctl-plan:link -->\ntoken")
    page(runner, "local.md", "<!-- mlopsctl-plan:local -->\n@team/all ${{ github.token }} <!-- mlopsctl plan --> `x`\n")
    page(runner, "prod.md", "### without the first line\n")
    page(runner, "other.md", "<!-- mlopsctl-plan:local -->\nanother's first line\n")
    page(runner, "..md", "<!-- mlopsctl-plan:. -->\ndots\n")
    page(runner, "script.js", "<!-- mlopsctl-plan:script -->\ncode\n")
    page(runner, "huge.md", "<!-- mlopsctl-plan:huge -->\n" + "x" * 300_000)
    (runner.temp / "plans" / "link.md").symlink_to(secret)
    (runner.temp / "plans" / "folder.md").mkdir()
    (comment,) = commented(runner, []).called("issues.createComment")
    body = comment["body"]
    assert "@\u200bteam/all ${{ github.token }} &lt;!-- mlopsctl plan -->" in body
    assert "@team" not in body
    assert all(word not in body for word in ("token\n", "without the first", "another's", "dots", "code", "xxxx"))
    assert body.count("<!--") == 1


@NEEDS_NODE
def test_a_comment_never_grows_beyond_what_github_takes(runner: Runner) -> None:
    for name in ("a", "b", "c"):
        page(runner, f"{name}.md", f"<!-- mlopsctl-plan:{name} -->\n{name * 40_000}")
    (comment,) = commented(runner, []).called("issues.createComment")
    assert len(comment["body"]) < 65_536
    assert "a" * 40_000 in comment["body"]
    assert "2 more in the artifact" in comment["body"]


@NEEDS_NODE
def test_an_artifact_without_a_plan_is_told(runner: Runner) -> None:
    page(runner, "x.txt", "")
    played = commented(runner, [])
    assert [word for word, _ in played.told] == ["failed"]
    assert played.calls == []


# ------------------------------------------------------------------------------------------------------------- preview


def test_a_preview_that_cannot_be_made_says_why_in_the_comment(repository: Repository, runner: Runner) -> None:
    repository.change("max_iter: 300", "max_itre: {}")
    done = runner.run(step("preview", "Preview"), ENVIRONMENT="nowhere")
    assert done.returncode == 1
    told = (runner.temp / "preview" / "preview.md").read_text()
    assert told.startswith("<!-- mlopsctl preview -->\n### There is no preview for `nowhere`\n")
    assert "nowhere" in told.partition("```")[2]
    assert runner.summary.endswith(told)


@NEEDS_NODE
def test_the_preview_is_one_comment_that_is_only_text(runner: Runner) -> None:
    (runner.temp / "preview").mkdir()
    file = runner.temp / "preview" / "preview.md"
    context = {**CONTEXT, "payload": {"pull_request": {"number": 12, "head": {"sha": HEAD}}}}

    def play(text: str, comments: list[Any]) -> Any:
        file.write_text(text)
        answers = [
            Answer("issues.listComments", comments, {"issue_number": 12}),
            Answer("issues.createComment"),
            Answer("issues.updateComment"),
        ]
        return runner.javascript(step("preview", "Comment"), context, answers, PREVIEW=str(file))

    hostile = "<!-- mlopsctl preview -->\n@team/all <!-- mlopsctl plan -->\n"
    (comment,) = play(hostile + "x" * 70_000, []).called("issues.createComment")
    assert len(comment["body"]) < 65_536
    assert comment["body"].startswith("<!-- mlopsctl preview -->\n_As the pull request itself says")
    assert comment["body"].count("<!--") == 1
    assert "@team" not in comment["body"]
    ours = {"id": 4, "user": BOT, "body": "<!-- mlopsctl preview -->\nold"}
    theirs = {"id": 1, "user": {"login": "somebody"}, "body": ours["body"]}
    assert [call["comment_id"] for call in play(hostile, [theirs, ours]).called("issues.updateComment")] == [4]
    played = play("no first line", [])
    assert [word for word, _ in played.told] == ["failed"]
    assert played.calls == []


# --------------------------------------------------------------------------------------------------------------- drift


def test_what_nobody_reconciled_yet_is_drift(runner: Runner) -> None:
    done = runner.run(step("drift", "Plan against what runs"), ENVIRONMENT="local")
    assert done.returncode == 0, done.stderr
    assert runner.outputs == {"drift": "true"}
    assert "FeatureView/deliveries" in (runner.temp / "drift.md").read_text()
    assert "FeatureView/deliveries" in runner.summary


@pytest.mark.parametrize(("code", "said"), [(0, {"drift": "false"}), (2, {"drift": "true"}), (1, {})])
def test_exit_codes_of_a_plan_against_what_runs(runner: Runner, code: int, said: dict[str, str]) -> None:
    (runner.temp / "bin" / "mlopsctl").write_text(f"#!/bin/sh\necho '### page'\nexit {code}\n")
    done = runner.run(step("drift", "Plan against what runs"), ENVIRONMENT="prod")
    assert (done.returncode, runner.outputs) == (code if code == 1 else 0, said)


def told(runner: Runner, drift: str, issues: list[Any]) -> Any:
    text = runner.temp / "drift.md"
    text.write_text("### Plan for `prod`\n@somebody\n")
    calls = [Answer(f"issues.{name}") for name in ("create", "update", "createComment")]
    answers = [Answer("issues.listForRepo", issues, {"creator": BOT["login"], "state": "open"}), *calls]
    one = step("drift", "Open, update or close the issue")
    return runner.javascript(one, CONTEXT, answers, DRIFT=drift, PAGE=str(text), ENVIRONMENT="prod")


ISSUES = [
    {"number": 1, "body": None},
    {"number": 2, "body": "<!-- mlopsctl drift local -->\nanother environment's"},
    {"number": 3, "body": "<!-- mlopsctl drift prod -->\nold"},
]


@NEEDS_NODE
def test_drift_opens_one_issue_and_then_keeps_it_up_to_date(runner: Runner) -> None:
    (opened,) = told(runner, "true", ISSUES[:2]).called("issues.create")
    assert opened["title"] == "Drift: prod is not what the branch asks for"
    assert opened["body"].startswith("<!-- mlopsctl drift prod -->\n\n### Plan for `prod`\n@\u200bsomebody")
    played = told(runner, "true", ISSUES)
    assert [call["issue_number"] for call in played.called("issues.update")] == [3]
    assert played.called("issues.create") == []


@NEEDS_NODE
def test_the_issue_is_closed_when_the_drift_is_gone(runner: Runner) -> None:
    played = told(runner, "false", ISSUES)
    assert [call.get("state") for call in played.called("issues.update")] == ["closed"]
    assert len(played.called("issues.createComment")) == 1
    assert told(runner, "false", ISSUES[:2]).calls == [
        ["issues.listForRepo", {"owner": "team", "repo": "parcels", "state": "open", "creator": BOT["login"]}]
    ]
