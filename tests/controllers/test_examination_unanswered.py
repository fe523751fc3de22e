"""Libraries that are missing, that say nothing, or that break: nothing is refused for that, and it is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from controllers.examination import Examiner, Memory, ask_process
from controllers.examination.trees import WorkTree
from framework import installed
from framework.kinds import KINDS
from framework.specs.read import check
from framework.specs.worktree import WORKTREE, WorktreeSource
from framework.workloads.examining import try_answer
from tests.controllers.test_cli import Project
from tests.controllers.test_examination import FOREST, JOBS, WITH_SQL, Libraries, look
from tests.world import TRAINING


def test_a_library_that_is_missing_is_told_and_refuses_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    boosted = TRAINING.replace("{lightgbm: {", "{lightgbm: {params: {eta: 0.1}, ").replace(
        "name: classifier", "name: boosted"
    )
    project.write(departures=WITH_SQL, classifier=FOREST, boosted=boosted)
    monkeypatch.setattr(installed, "is_there", lambda package: False)
    tree, seen = WorkTree(project.root), dict[str, None]()

    def examine(resources: Any) -> Any:
        found = Examiner().look(resources.values(), resources, tree)
        seen.update(dict.fromkeys(found.unseen))
        return found.problems

    report = check(WorktreeSource(project.root), WORKTREE, ["mlops_specs"], KINDS, examine=examine)
    assert report.problems == ()
    assert sorted(seen) == [
        f"the SQL of FeatureViews, because {installed.advice(['polars'])}",
        f"the estimators of TrainingJobs, because {installed.advice(['sklearn'])}",
        f"the parameters of LightGBM in TrainingJobs, because {installed.advice(['lightgbm'])}",
    ]


def test_validate_says_what_it_has_not_looked_at(project: Project) -> None:
    """In a process that has no polars."""
    project.write(departures=WITH_SQL)
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'polars' else real(name, *rest)\n"
        "from controllers.cli.main import main; sys.argv = ['mlopsctl', 'validate', *sys.argv[1:]]; main()"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    unseen, valid = done.stdout.splitlines()
    assert unseen.startswith(
        "not looked at: the SQL of FeatureViews, because polars is not installed: pip install 'mlopsctl[data]"
    )
    assert valid == "4 objects in 4 files: valid"
    json_output = subprocess.run([*command, "--output", "json"], cwd=project.root, capture_output=True, text=True)
    assert '"unseen": [' in json_output.stdout


@pytest.mark.parametrize("answers", [lambda asked: None, lambda asked: [None] * len(asked), lambda asked: []])
def test_libraries_that_do_not_answer_refuse_nothing_and_are_asked_again(project: Project, answers: Any) -> None:
    memory, libraries = Memory(), Libraries()
    assert look(project, Examiner(memory, answers)) == ()
    look(project, Examiner(memory, libraries))
    assert len(libraries.asked) == 1


def test_a_question_that_breaks_a_library_is_one_question() -> None:
    good = {"look": JOBS, "spec": {"trainer": {"sklearn": {"estimator": "sklearn.svm.SVC"}}}}
    assert [try_answer(question) is None for question in ({"look": JOBS}, good, {})] == [True, False, True]


def test_a_question_that_the_process_dies_of_leaves_the_others_their_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a library does not survive takes no other answer along."""

    class Died:
        def __call__(self, command: Any, *, input: str, **kept: Any) -> subprocess.CompletedProcess[str]:
            asked = json.loads(input)
            if "deadly" in asked:
                raise subprocess.CalledProcessError(-6, command)
            return subprocess.CompletedProcess(command, 0, json.dumps([[] for _ in asked]), "")

    monkeypatch.setattr(subprocess, "run", Died())
    questions: list[Any] = ["fine", "deadly", "fine"]
    assert ask_process(questions) == [[], None, []]
    assert ask_process(questions[1:2]) is None


def test_the_process_runs_nothing_that_lies_in_the_project(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file called polars.py would be imported where a process looks for modules in its own folder."""
    monkeypatch.chdir(project.root)
    for name in ("polars.py", "sklearn.py", "json.py"):
        (project.root / name).write_text("raise SystemExit('the project was run')\n")
    (answer,) = ask_process([{"look": JOBS, "spec": {"trainer": {"sklearn": {"estimator": "sklearn.svm.SVC"}}}}]) or ()
    assert "probability" in answer[0]["message"]
