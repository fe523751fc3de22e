"""The steps of the reconcile workflow, run as they are written."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_workflow_steps import ARTIFACT, CONTEXT, NEEDS_NODE, Repository, repository, runner
from tests.unit.scaffold.workflows import Answer, Runner, step, zipped

__all__ = ["repository", "runner"]


def test_the_newest_commit_is_taken_and_said(repository: Repository, runner: Runner) -> None:
    first = repository.head
    newest = repository.change("max_iter: 300", "max_iter: 400")
    done = runner.run(step("reconcile", "Take the newest commit"), GITHUB_SHA=first)
    assert runner.outputs == {"commit": newest}
    assert f"::notice::The branch has moved on: reconciling {newest} instead of {first}" in done.stdout
    assert "::" not in runner.run(step("reconcile", "Take the newest commit"), GITHUB_SHA=newest).stdout


def artifact_of(plans: Path) -> dict[str, str]:
    """What a pull request's run left, zipped as GitHub does."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(plans.iterdir()):
            archive.write(path, path.name)
    return zipped(packed.getvalue())


class Merged:
    """A pull request that was planned, and merged into main. ``meanwhile``: main moved on in between."""

    def __init__(
        self, repository: Repository, runner: Runner, *, artifact: bytes | None = None, meanwhile: bool = False
    ) -> None:
        repository.git("switch", "--quiet", "--create", "change")
        self.head = repository.change("max_iter: 300", "max_iter: 400")
        self.artifact = zipped(artifact) if artifact is not None else self._planned(repository, runner)
        repository.git("switch", "--quiet", "main")
        if meanwhile:
            repository.change("maxQueued: 200", "maxQueued: 100", "mlops_specs/deployments/late.yaml")
        self.start = repository.head
        self.commit = repository.merge("change")

    def _planned(self, repository: Repository, runner: Runner) -> dict[str, str]:
        """As plan.yml does: on the merge that GitHub offers."""
        repository.git("switch", "--quiet", "--detach", "main")
        repository.git("merge", "--quiet", "--no-ff", "--no-edit", "change")
        done = runner.run(step("plan", "Plan"), ENVIRONMENT="prod")
        assert done.returncode == 0, done.stderr
        return artifact_of(runner.temp / "plans")

    @property
    def answers(self) -> list[Answer]:
        pull = {
            "number": 12,
            "merged_at": "2026-01-01T00:00:00Z",
            "merge_commit_sha": self.commit,
            "base": {"ref": "main"},
            "head": {"sha": self.head},
        }
        return [
            Answer("repos.listPullRequestsAssociatedWithCommit", [pull], {"commit_sha": self.commit}),
            Answer("actions.listWorkflowRuns", {"workflow_runs": [{"id": 70}]}, {"head_sha": self.head}),
            Answer("actions.listWorkflowRunArtifacts", {"artifacts": [ARTIFACT]}, {"run_id": 70, "name": "plan"}),
            Answer("actions.downloadArtifact", self.artifact, {"artifact_id": ARTIFACT["id"]}),
        ]


def successes(*heads: str, title: str = "reconcile prod") -> Answer:
    runs = [{"head_sha": head, "display_title": title} for head in heads]
    where = {"workflow_id": "reconcile.yml", "branch": "main", "status": "success"}
    return Answer("actions.listWorkflowRuns", {"workflow_runs": runs}, where)


NOBODYS = Answer("repos.listPullRequestsAssociatedWithCommit", [])


def look_up(runner: Runner, *answers: Answer) -> Any:
    """Find what was merged; gives merges.json and what was told."""
    workflow = "team/parcels/.github/workflows/reconcile.yml@refs/heads/main"
    one = step("reconcile", "Find what was merged and the plans that were shown")
    played = runner.javascript(one, CONTEXT, answers, TITLE="reconcile prod", GITHUB_WORKFLOW_REF=workflow)
    return json.loads((runner.temp / "reviewed" / "merges.json").read_text()), played.told


@NEEDS_NODE
def test_a_merge_of_what_was_shown_goes_on(repository: Repository, runner: Runner) -> None:
    merged = Merged(repository, runner)
    merges, told = look_up(runner, successes(merged.start), *merged.answers)
    expected = {"pull": 12, "base": merged.start, "commit": merged.commit, "file": "12.zip"}
    assert (merges, told) == ({"start": merged.start, "merges": [expected]}, [])
    done = runner.run(step("reconcile", "Compare"), ENVIRONMENT="prod", FORCE="")
    assert done.returncode == 0, done.stdout + done.stderr
    done = runner.run(step("reconcile", "Plan for whoever approves"), ENVIRONMENT="prod")
    assert done.returncode == 0, done.stderr
    assert "### Plan for `prod`" in runner.summary


@NEEDS_NODE
def test_a_merge_of_something_else_stops_unless_forced(repository: Repository, runner: Runner) -> None:
    merged = Merged(repository, runner, meanwhile=True)
    look_up(runner, successes(merged.start), *merged.answers)
    done = runner.run(step("reconcile", "Compare"), ENVIRONMENT="prod", FORCE="false")
    assert done.returncode == 1
    assert "::error title=Not the plan that was reviewed::#12: planned" in done.stdout
    assert runner.run(step("reconcile", "Compare"), ENVIRONMENT="prod", FORCE="true").returncode == 0


@NEEDS_NODE
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"prod.json": '{"digest": "0123456789"}'}, "shown 0123456789"),
        ({"local.json": '{"digest": "0123456789"}'}, "no plan for prod was shown"),
        ({"prod.json": "not json"}, "no plan for prod was shown"),
        ({"prod.json": '{"digest": "::error::x"}'}, "the plan has no digest"),
        ({"prod.json": "[]"}, "no plan for prod was shown"),
        ({"../../../prod.json": '{"digest": "0123456789"}'}, "no plan for prod was shown"),
        ({"prod.json": " " * (9 << 20)}, "the plan is too large"),
        (None, "no plan for prod was shown"),
    ],
    ids=["forged", "other environment", "no json", "command", "list", "climbing", "bomb", "no zip"],
)
def test_a_forged_artifact_cannot_pass(
    repository: Repository, runner: Runner, content: dict[str, str] | None, words: str
) -> None:
    packed = io.BytesIO(b"no zip" if content is None else b"")
    if content is not None:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in content.items():
                archive.writestr(name, text)
    merged = Merged(repository, runner, artifact=packed.getvalue())
    look_up(runner, successes(merged.start), *merged.answers)
    done = runner.run(step("reconcile", "Compare"), ENVIRONMENT="prod", FORCE="")
    assert done.returncode == 1
    assert words in done.stdout
    assert "::error::x" not in done.stdout
    assert list(runner.temp.parent.rglob("prod.json")) == []


@NEEDS_NODE
def test_a_merge_without_a_kept_plan_stops(repository: Repository, runner: Runner) -> None:
    merged = Merged(repository, runner, artifact=b"zip")
    gone = Answer("actions.listWorkflowRunArtifacts", {"artifacts": [{**ARTIFACT, "expired": True}]})
    merges, _ = look_up(runner, successes(merged.start), gone, *merged.answers)
    assert merges["merges"][0]["file"] is None
    done = runner.run(step("reconcile", "Compare"), ENVIRONMENT="prod", FORCE="")
    assert done.returncode == 1
    assert "no plan was kept" in done.stdout


@NEEDS_NODE
def test_merges_of_runs_that_were_replaced_are_compared_too(repository: Repository, runner: Runner) -> None:
    """Two pushes while a run was waiting: GitHub drops the run in between."""
    merged = Merged(repository, runner, artifact=b"zip")
    pushed = repository.change("seed: 7", "seed: 8")
    staging = successes(repository.head, title="reconcile staging")
    assert staging.data["workflow_runs"]
    both = Answer(
        staging.call, {"workflow_runs": staging.data["workflow_runs"] + successes(merged.start).data["workflow_runs"]},
        staging.where,
    )  # fmt: skip
    merges, told = look_up(runner, both, *merged.answers, NOBODYS)
    assert [merge["commit"] for merge in merges["merges"]] == [merged.commit]
    assert told == [["notice", f"{pushed} was pushed without a pull request: there is no plan to compare it with."]]


@NEEDS_NODE
def test_a_rebased_pull_request_is_compared_as_one(repository: Repository, runner: Runner) -> None:
    start = repository.head
    first = repository.change("max_iter: 300", "max_iter: 400")
    second = repository.change("seed: 7", "seed: 8")
    merged = object.__new__(Merged)
    merged.head, merged.commit, merged.artifact = "f" * 40, second, zipped(b"zip")
    part = Answer(merged.answers[0].call, merged.answers[0].data, {"commit_sha": first})
    merges, told = look_up(runner, successes(start), part, *merged.answers)
    assert told == []
    assert merges["merges"] == [{"pull": 12, "base": start, "commit": second, "file": "12.zip"}]


@NEEDS_NODE
def test_the_first_run_ever_compares_the_newest_merge(repository: Repository, runner: Runner) -> None:
    repository.change("seed: 7", "seed: 8")
    merged = Merged(repository, runner, artifact=b"zip")
    merges, _ = look_up(runner, successes(), *merged.answers)
    assert [merge["commit"] for merge in merges["merges"]] == [merged.commit]


@NEEDS_NODE
def test_a_repository_of_one_commit_has_nothing_to_compare(repository: Repository, runner: Runner) -> None:
    merges, _ = look_up(runner, successes())
    assert merges == {"start": "", "merges": []}
    assert runner.run(step("reconcile", "Compare"), ENVIRONMENT="prod", FORCE="").returncode == 0
    assert runner.run(step("reconcile", "Plan for whoever approves"), ENVIRONMENT="prod").returncode == 0


def outcome(runner: Runner, word: str, code: int) -> subprocess.CompletedProcess[str]:
    """The last step, with a reconcile that ends like that."""
    document = json.dumps({"outcome": word})
    (runner.temp / "bin" / "mlopsctl").write_text(f"#!/bin/sh\necho '{document}'\nexit {code}\n")
    return runner.run(step("reconcile", "Reconcile"), ENVIRONMENT="prod")


@pytest.mark.parametrize(
    ("word", "code", "ends"),
    [("Converged", 0, 0), ("Stalled", 1, 1), ("Held", 3, 0), ("Started", 3, 3)],
)
def test_what_the_run_says_of_each_outcome(runner: Runner, word: str, code: int, ends: int) -> None:
    done = outcome(runner, word, code)
    assert done.returncode == ends
    assert f'"outcome": "{word}"' in runner.summary
    assert ("::warning::A person is awaited" in done.stdout) == (word == "Held")


def test_a_reconcile_that_cannot_start_fails(runner: Runner) -> None:
    (runner.temp / "bin" / "mlopsctl").write_text("#!/bin/sh\necho 'error: no Ray' >&2\nexit 1\n")
    done = runner.run(step("reconcile", "Reconcile"), ENVIRONMENT="prod")
    assert done.returncode == 1
    assert "error: no Ray" in done.stderr
