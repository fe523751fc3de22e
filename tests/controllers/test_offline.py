"""A plan from one commit to another: out of a checkout alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from controllers.host.offline import plan_between
from controllers.settings import Settings
from framework.api.errors import ConfigurationError, SpecError
from framework.api.meta import Ref
from framework.planning.grammar.changes import Plan
from framework.planning.plan.breaking import ACKNOWLEDGE
from framework.render.plan_document import plan_from_json
from tests.builders import NOW
from tests.controllers.test_cli import Project
from tests.world import BETTER, DEPARTURES, ENDPOINT, JOB, TRAINING, VIEW

WIDE = DEPARTURES + "    - {name: origin, dtype: String}\n"
FULL = TRAINING.replace("columns: [distance]", "columns: [distance, origin]")
NARROW = WIDE.replace("    - {name: distance, dtype: Float64}\n", "")
SHORT = TRAINING.replace("columns: [distance]", "columns: [origin]")


def between(project: Project, base: str = "HEAD~1", head: str | None = None) -> Plan:
    return plan_between(Settings(project.root), base, head, NOW)


def words(plan: Plan) -> dict[Ref, tuple[str, str]]:
    return {change.ref: (change.verb.value, change.category.label) for change in plan.changes}


def test_what_changes_from_one_commit_to_the_next(project: Project) -> None:
    project.commit(classifier=BETTER)
    plan = between(project)
    assert words(plan) == {VIEW: ("NoOp", "NoOp"), JOB: ("Update", "Retrain"), ENDPOINT: ("Update", "Redeploy")}
    assert plan.changes[2].causes == (JOB,)
    assert plan.observation_digest == ""
    assert (len(plan.base), len(plan.commit)) == (40, 40)
    assert plan.forecast is not None
    assert [(item.ref, item.basis) for item in plan.forecast.work] == [
        (JOB, "no history was looked at"),
        (ENDPOINT, "analysis and pauses of its strategy"),
    ]
    assert [item.first_weight for item in plan.forecast.endpoints] == [10]


def test_a_comment_changes_nothing_and_neither_does_the_same_commit(project: Project) -> None:
    project.commit(classifier=f"# a word\n{TRAINING}")
    for base in ("HEAD~1", "HEAD"):
        assert set(words(between(project, base)).values()) == {("NoOp", "NoOp")}


def test_files_on_disk_are_planned_as_if_they_were_committed(project: Project) -> None:
    project.write(classifier=BETTER)
    before = between(project, "HEAD", "worktree")
    assert words(before)[JOB] == ("Update", "Retrain")
    project.commit()
    committed = between(project)
    assert (before.commit, before.digest) == ("worktree", committed.digest)
    assert committed.snapshot_digest == before.snapshot_digest


def test_the_digest_is_that_of_the_merge(project: Project) -> None:
    """A pull request's plan, and the one of the commit that it is squashed into."""
    project.git("checkout", "--quiet", "-b", "proposal")
    project.commit(classifier=BETTER)
    proposed = between(project, "main")
    project.git("checkout", "--quiet", "main")
    project.commit(classifier=f"# a word\n{BETTER}")
    merged = between(project)
    assert merged.commit != proposed.commit
    assert merged.digest == proposed.digest


def test_a_base_without_specs_or_with_wrong_ones_makes_everything_new(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    project.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    project.commit(classifier=TRAINING)
    plan = between(project)
    assert {verb for verb, _ in words(plan).values()} == {"Create"}
    assert plan.base == ""
    assert "ruonds" in caplog.text


def test_a_wrong_head_is_told_with_its_place(project: Project) -> None:
    project.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    with pytest.raises(SpecError, match=r"classifier\.yaml:12"):
        between(project)


def test_an_unknown_commit_is_told(project: Project) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        between(project, "nowhere")


def test_what_a_change_to_the_environment_says_is_shown(project: Project) -> None:
    text = (project.specs / "local.yaml").read_text().replace("spec: {", "spec: {deletion: {prune: false}, ")
    project.commit(local=text)
    assert words(between(project))[Ref("Environment", "local")] == ("Update", "Metadata")


def test_a_commit_is_refused_as_a_controller_would_with_the_base_in_force(project: Project) -> None:
    local = (project.specs / "local.yaml").read_text()
    (project.specs / "delay.yaml").unlink()
    project.commit(local=local.replace("spec: {", "spec: {deletion: {maxShare: 0.1}, "))
    assert [refusal.reason for refusal in between(project).refusals] == ["PrunesTooMuch"]
    project.commit(local=local.replace("spec: {", "spec: {deletion: {prune: false, maxShare: 0.1}, "))
    assert between(project, "HEAD~2").refusals == ()


def test_what_only_a_controller_knows_is_said_not_to_be_looked_at(project: Project) -> None:
    local = (project.specs / "local.yaml").read_text()
    project.commit(local=local.replace("spec: {", "spec: {storage: .mlops/elsewhere, "))
    plan = between(project)
    assert plan.refusals == ()
    told = "; ".join(plan.unseen)
    for name in ("history was rewritten", "pin", "window", "signatures", "on record", "a changed spec.storage"):
        assert name in told
    shown = project.call("plan", "--base", "HEAD~1")
    assert "Not looked at: which commit is in force" in shown.stdout
    comment = project.call("plan", "--base", "HEAD", "--output", "markdown").stdout
    assert "which commit is in force" in comment
    document = json.loads(project.call("plan", "--base", "HEAD~1", "--output", "json").stdout)
    assert document["unseen"] == list(plan.unseen)


def test_where_signatures_are_required_an_unsigned_commit_is_refused_here_too(project: Project, tmp_path: Path) -> None:
    (tmp_path / "signers").write_text("")
    project.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    settings = Settings(project.root, allowed_signers=tmp_path / "signers")
    plan = plan_between(settings, "HEAD~1", None, NOW)
    assert ([one.reason for one in plan.refusals], plan.changes, plan.read) == (["SignatureRequired"], (), False)
    project.commit(classifier=BETTER)
    project.write(classifier=TRAINING)
    unsigned = plan_between(settings, "HEAD", "worktree", NOW)
    assert unsigned.refusals == (), "nobody can sign what is not committed"
    assert "signatures" in unsigned.unseen


# ------------------------------------------------------------------- the command


def test_the_command_prints_it_writes_it_and_exits_with_two(project: Project, tmp_path: Path) -> None:
    project.commit(classifier=BETTER)
    out = tmp_path / "plan.json"
    done = project.call("plan", "--base", "HEAD~1", "--out", str(out))
    assert done.returncode == 2, done.stderr
    assert "~ trainer.lightgbm.rounds: 50 -> 80  (Retrain)" in done.stdout
    assert "because TrainingJob/classifier changes" in done.stdout
    assert "What will run" in done.stdout
    assert "Who notices" in done.stdout
    document = project.call("plan", "--base", "HEAD~1", "--output", "json")
    assert document.returncode == 2
    assert json.loads(document.stdout)["digest"] == plan_from_json(out.read_text()).digest
    comment = project.call("plan", "--base", "HEAD~1", "--output", "markdown")
    assert comment.stdout.startswith("<!-- mlopsctl-plan:local -->")
    assert project.call("plan", "--base", "HEAD").returncode == 0


def test_it_needs_no_state_and_leaves_none(project: Project) -> None:
    local = (project.specs / "local.yaml").read_text()
    unreachable = local.replace("spec: {", 'spec: {state: "postgresql://nowhere.invalid/x", ')
    project.commit(local=unreachable)
    project.commit(classifier=BETTER)
    assert project.call("plan", "--base", "HEAD~1").returncode == 2
    assert not (project.root / ".mlops" / "state.db").exists()
    assert not project.daemon_runs


HEAVY = """
ray polars pandas numpy whylogs sqlalchemy pyarrow deltalake fsspec httpx rich jinja2 torch mlflow sklearn scipy
"""
CALL = """
import sys
from controllers.cli.main import main
sys.argv = ["mlopsctl", "plan", "--base", "HEAD~1", "--output", OUTPUT]
try:
    main()
except SystemExit as leave:
    assert leave.code == 2, leave.code
print("HEAVY", *sorted(set(NAMES) & {name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.mark.parametrize("output", ["text", "json", "markdown"])
def test_it_loads_nothing_heavy(project: Project, output: str) -> None:
    project.commit(classifier=BETTER)
    code = CALL.replace("OUTPUT", repr(output)).replace("NAMES", repr(HEAVY.split()))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.root, capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.stderr.splitlines()[-1] == "HEAVY", done.stderr


def test_a_removed_column_is_refused_acknowledged_and_taken_back(project: Project) -> None:
    (project.root / "data" / "flights.csv").write_text("flight,at,distance,delayed,origin\n")
    project.commit(departures=WIDE, classifier=FULL)
    project.commit(departures=NARROW, classifier=SHORT)
    refused = project.call("plan", "--base", "HEAD~1")
    assert refused.returncode == 1
    assert "REFUSED for 1 reason" in refused.stdout
    assert "FeatureView/departures  Breaking" in refused.stdout
    assert "removes column distance (Float64), which TrainingJob/classifier uses" in refused.stdout

    (refusal,) = between(project).refusals
    token = refusal.message.partition(f'{ACKNOWLEDGE}: "')[2][:10]
    meant = NARROW.replace("{name: departures}", f'{{name: departures, annotations: {{{ACKNOWLEDGE}: "{token}"}}}}')
    project.commit(departures=meant)
    acknowledged = project.call("plan", "--base", "HEAD~2")
    assert acknowledged.returncode == 2
    assert "Breaking" in acknowledged.stdout
    assert "REFUSED" not in acknowledged.stdout

    project.git("revert", "--no-edit", "HEAD", "HEAD~1")
    back = project.call("plan", "--base", "HEAD~2")
    assert back.returncode == 2
    assert "Breaking" not in back.stdout


def test_explaining_needs_what_runs(project: Project) -> None:
    done = project.call("plan", "--base", "HEAD", "--explain")
    assert done.returncode == 1
    assert "mlopsctl simulate" in done.stderr


def test_a_file_that_cannot_be_written_is_told(project: Project) -> None:
    done = project.call("plan", "--base", "HEAD", "--out", "no/such/folder/plan.json")
    assert done.returncode == 1
    assert "no/such/folder/plan.json cannot be written" in done.stderr


def test_a_plan_is_written_over_no_spec_and_over_nothing_that_git_tracks(project: Project) -> None:
    spec, data = project.specs / "local.yaml", project.root / "data" / "flights.csv"
    before = {path: path.read_bytes() for path in (spec, data)}
    for path, told in ((spec, "has the name of a spec file"), (data, "is a file that git tracks")):
        done = project.call("plan", "--base", "HEAD", "--out", str(path))
        assert (done.returncode, told in done.stderr) == (1, True), done.stderr
    assert {path: path.read_bytes() for path in before} == before
    own = project.root / "plan.json"
    own.write_text("an earlier one")
    assert project.call("plan", "--base", "HEAD", "--out", str(own)).returncode == 0
    assert json.loads(own.read_text())
