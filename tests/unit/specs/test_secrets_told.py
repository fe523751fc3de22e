"""A secret that a spec may not hold is told by its place, and in no form of any answer by what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from controllers import examination
from controllers.cli.main import cli
from controllers.revision import acceptance
from framework.api.places import Premises
from framework.kinds import KINDS
from framework.specs.read import UnsafeError, read_snapshot
from framework.specs.worktree import WORKTREE
from tests.unit.specs.conftest import Project

SECRET = "xyz99SECRET"
WATCH = """\
apiVersion: mlops/v1alpha1
kind: ModelMonitor
metadata: {name: watch}
spec: {deployment: late, window: 5m, drift: {}, alerts: [{ALERT}]}
"""
ENVIRONMENT = """\
apiVersion: mlops/v1alpha1
kind: Environment
metadata: {name: local}
spec: {STATE}
"""
PATCH = (
    "patches: [{target: {kind: ModelMonitor}, jsonPatch: "
    '[{op: add, path: /alerts/-, value: {webhook: {url: "https://h.example.com/hook?t=SECRET"}}}]}]'
)
FORMS = (["--output", "text"], ["--output", "json"], ["--output", "github"], ["--output", "sarif"], ["--quiet"])
SAFE = "file: alerts.jsonl"


def written(project: Project, alert: str, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("monitors/watch.yaml", WATCH.replace("ALERT", alert).replace("SECRET", SECRET))
    project.write("environments/local.yaml", ENVIRONMENT.replace("STATE", spec).replace("SECRET", SECRET))
    # What the libraries say is tried elsewhere, and asking them takes a second each time.
    monkeypatch.setattr(examination, "ask_process", lambda questions: [[] for _ in questions])
    monkeypatch.chdir(project.root)


def validated(*options: str) -> str:
    result = CliRunner().invoke(cli, ["--project", str(Path.cwd()), "validate", "specs", *options])
    assert result.exit_code == 1, result.output
    return result.output


@pytest.mark.parametrize(
    ("alert", "spec", "says"),
    [
        ('webhook: {url: "https://h.example.com/SECRET"}', "", "may be the key to itself"),
        ('webhook: {url: "https://h.example.com/hook?t=SECRET"}', "", "may be the key to itself"),
        (SAFE, PATCH, "may be the key to itself"),
        (SAFE, 'state: "postgresql://u%3ASECRET@h/mlops"', "a password before the @"),
        (SAFE, 'state: {url: "postgresql://u%3ASECRET@h/mlops"}', "a password before the @"),
    ],
    ids=["path", "query", "patched", "encoded", "inside"],
)
@pytest.mark.parametrize("more", ["", ", unheard: of"], ids=["alone", "beside"])
def test_a_secret_that_is_refused_is_not_repeated(
    project: Project, monkeypatch: pytest.MonkeyPatch, alert: str, spec: str, says: str, more: str
) -> None:
    """Alone, and with another mistake on the line, whose excerpt would show it."""
    written(project, alert, f"{spec}{more if spec else ''}", monkeypatch)
    if more and not spec:
        project.edit("monitors/watch.yaml", ("window: 5m", "window: 5m, unheard: of"))
    told = [validated(*options) for options in FORMS]

    assert [SECRET in one for one in told] == [False] * len(told)
    assert says in told[0] or more
    if more:
        return
    with pytest.raises(UnsafeError) as refused:
        read_snapshot(project.source, WORKTREE, "specs", "local", KINDS, premises=Premises(str(project.root)))
    assert SECRET not in str(refused.value)
    assert SECRET not in " ".join(acceptance.told(refused.value.problems))


def test_what_is_no_valid_value_besides_is_not_repeated_either(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(project, SAFE, 'ray: {address: "ftp://u%3ASECRET@h"}', monkeypatch)
    told = [validated(*options) for options in FORMS]

    assert [SECRET in one for one in told] == [False] * len(told)
    assert "is not repeated here: it holds a secret" in told[0]


def test_a_line_without_a_secret_is_shown_as_ever(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    written(project, 'webhook: {url: "https://h.example.com/hooks/team"}, unheard: of', "", monkeypatch)

    assert '{webhook: {url: "https://h.example.com/hooks/team"}, unheard: of}' in validated()
