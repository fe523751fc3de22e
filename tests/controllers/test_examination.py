"""What only the libraries can say of specs: asked once, told at its place, by whoever looks at a commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controllers.examination import Examiner, Memory, inside
from controllers.examination.trees import CommitTree, WorkTree
from controllers.host.offline import plan_between
from controllers.host.wiring import open_project
from controllers.revision.snapshot import Snapshot
from controllers.settings import Settings
from framework import storage
from framework.api.errors import Problem, SpecError
from framework.api.meta import Ref
from framework.backends.git.source import GitSource
from framework.kinds import KINDS
from framework.specs.cache.lazy import resources_of
from framework.specs.read import check, read_snapshot
from framework.specs.worktree import WORKTREE, WorktreeSource
from tests.builders import NOW
from tests.controllers.test_cli import Project
from tests.world import DEPARTURES, TRAINING, World

SQL = """\
  transform:
    sql: |
      SELECT flight, at,
        distanse AS distance, delayed
      FROM flights
"""
WITH_SQL = DEPARTURES.replace("  columns:", f"{SQL}  columns:")
FOREST = TRAINING.replace("{lightgbm: {rounds: 50}}", "{sklearn: {estimator: sklearn.ensemble.RandomForest}}")
MISTAKES = (
    "mlops_specs/classifier.yaml:12:34: error: spec.trainer.sklearn.estimator: scikit-learn has no "
    "sklearn.ensemble.RandomForest; did you mean 'sklearn.ensemble.RandomForestClassifier'?",
    "mlops_specs/departures.yaml:12:9: error: spec.transform.sql: no column 'distanse'; did you mean 'distance'? "
    "(allowed: flight, at, distance, delayed)",
)


VIEWS, JOBS = "framework.workloads.features.look:look", "framework.workloads.training.look:look"


class Libraries:
    """Answers every question with ``says``, and remembers what it was asked."""

    def __init__(self, *says: Mapping[str, Any]) -> None:
        self.says, self.asked = says, list[Mapping[str, Any]]()

    def __call__(self, questions: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        self.asked += questions
        return [self.says for _ in questions]

    def about(self, look: str) -> list[Mapping[str, Any]]:
        """What was asked of one library."""
        return [question for question in self.asked if question["look"] == look]


def mistake(path: str = "spec.columns", **more: Any) -> dict[str, Any]:
    blank = {"allowed": [], "wanted": None, "line": 0, "column": 0, "files": [], "warning": False}
    return {"path": path, "message": "wrong", **blank, **more}


def look(project: Project, examiner: Examiner) -> tuple[Problem, ...]:
    """As ``mlopsctl validate`` does."""
    tree = WorkTree(project.root)
    report = check(
        WorktreeSource(project.root), WORKTREE, ["mlops_specs"], KINDS,
        examine=lambda resources: examiner.look(resources.values(), resources, tree).problems,
    )  # fmt: skip
    return report.problems


# ---------------------------------------------------------------------- the same refusal everywhere


def test_validate_plan_and_acceptance_refuse_the_same_at_the_same_place(project: Project) -> None:
    project.commit(departures=WITH_SQL, classifier=FOREST)
    settings = Settings(root=project.root)
    opened = open_project(settings, lambda: NOW)
    lease = opened.ports.state.acquire("test", 30.0, NOW)
    assert lease is not None
    for refuse in (
        lambda: _raised(look(project, Examiner())),
        lambda: opened.plan(),
        lambda: plan_between(settings, "HEAD~1", None, NOW),
        lambda: plan_between(settings, "HEAD~1", WORKTREE, NOW),
        opened.source_controller(lambda: lease.token).poll,
    ):
        with pytest.raises(SpecError) as refused:
            refuse()
        assert all(str(one).startswith(told) for one, told in zip(refused.value.problems, MISTAKES, strict=True))
    done = project.call("validate")
    assert done.returncode == 1
    assert all(told in done.stdout for told in MISTAKES)


@pytest.mark.parametrize(
    ("trainer", "name", "column", "says"),
    [("lightgbm", "num_leaves", 45, "must be more than 1"), ("xgboost", "max_bin", 41, "must be at least 2")],
)
def test_validate_and_plan_refuse_a_value_that_a_library_does_not_take(
    project: Project, trainer: str, name: str, column: int, says: str
) -> None:
    boosted = TRAINING.replace("{lightgbm: {rounds: 50}}", f"{{{trainer}: {{params: {{{name}: 1}}, rounds: 50}}}}")
    project.commit(classifier=boosted)
    told = (
        f"mlops_specs/classifier.yaml:12:{column}: error: spec.trainer.{trainer}.params.{name}: {name} {says}, found 1"
    )
    settings = Settings(root=project.root)
    with pytest.raises(SpecError) as refused:
        plan_between(settings, "HEAD~1", None, NOW)
    assert [str(one) for one in refused.value.problems] == [told]
    done = project.call("validate")
    assert (done.returncode, done.stderr) == (1, "")
    assert told in done.stdout
    assert "Fatal" not in done.stdout


def test_lightgbm_is_asked_about_parameters_alone(project: Project) -> None:
    """A job that sets none is no matter of its; where it is not installed, what was not looked at is told."""
    libraries = Libraries()
    project.write(classifier=TRAINING.replace("rounds: 50", "rounds: 60"))
    look(project, Examiner(Memory(), libraries))
    assert libraries.about(JOBS) == []
    search = "tune: {search: {num_leaves: {randint: [2, 9]}}, trials: 2}\n  trainer: {lightgbm: {rounds: 60}}"
    project.write(classifier=TRAINING.replace("trainer: {lightgbm: {rounds: 50}}", search))
    look(project, Examiner(Memory(), libraries))
    asked = libraries.about(JOBS)[-1]["spec"]
    assert "rounds" not in asked["trainer"]["lightgbm"]
    assert asked["tune"]["search"]["num_leaves"]["randint"] == [2, 9]


def _raised(problems: tuple[Problem, ...]) -> None:
    raise SpecError(problems)


def test_an_examined_commit_that_is_wrong_changes_nothing() -> None:
    world = World()
    first = world.head
    world.source.poll()
    wrong = Problem("mlops_specs/departures.yaml", 3, 1, "spec", "no such column")
    asked = []

    def examine(before: Any, after: Any) -> tuple[Problem, ...]:
        asked.append((before and before.commit, after.commit))
        return (wrong,) if after.commit == bad else ()

    world.source = replace(world.source, examine=examine)
    bad = world.commit(departures=DEPARTURES + "  expectations: [{rows: {min: 1}}]\n")
    world.source.poll()
    assert world.source.loaded is not None
    assert world.source.loaded.commit == first
    assert world.source.problem is not None
    assert world.source.problem.problems == (wrong,)
    world.source.poll()
    assert asked == [(first, bad)], "a refused commit is not examined at every look"
    good = world.commit(departures=DEPARTURES + "  expectations: [{rows: {min: 2}}]\n")
    world.source.poll()
    assert world.source.loaded.commit == good


# ---------------------------------------------------------------------- what is asked


def test_nothing_is_asked_twice_whoever_asks(project: Project, tmp_path: Path) -> None:
    libraries, file = Libraries(), tmp_path / "kept"
    project.write(departures=WITH_SQL, classifier=FOREST)
    assert look(project, Examiner(Memory(file), libraries)) == ()
    assert {question["look"] for question in libraries.asked} == {VIEWS, JOBS}
    assert look(project, Examiner(Memory(file), libraries)) == ()
    assert len(libraries.asked) == 2
    project.write(departures=WITH_SQL + "# a comment\n")
    look(project, Examiner(Memory(file), libraries))
    assert [question["look"] for question in libraries.asked[2:]] == [VIEWS]
    (project.root / "data" / "flights.csv").write_text("flight,at,distance,delayed,more\n")
    look(project, Examiner(Memory(file), libraries))
    assert [question["look"] for question in libraries.asked[3:]] == [VIEWS]


def test_a_training_job_is_asked_about_for_what_scikit_learn_is_given_alone(project: Project) -> None:
    """To ask takes seconds, in which a commit waits; a seed, a window or a gate is no matter of the library's."""
    memory, libraries = Memory(), Libraries()
    known = FOREST.replace("RandomForest}", "RandomForestClassifier}")
    project.write(classifier=known)
    look(project, Examiner(memory, libraries))
    libraries.asked.clear()
    again = known.replace("min: 0.6", "min: 0.7").replace("2013-04-01", "2013-05-01")
    project.write(classifier=again, second=again.replace("name: classifier", "name: second"))
    look(project, Examiner(memory, libraries))
    assert libraries.about(JOBS) == []
    project.write(classifier=known.replace("Classifier}", "Classifier, params: {max_depth: 3}}"))
    look(project, Examiner(memory, libraries))
    assert len(libraries.about(JOBS)) == 1


def test_a_mistake_is_remembered_like_any_answer(project: Project) -> None:
    memory, libraries = Memory(), Libraries(mistake())
    told = look(project, Examiner(memory, libraries))
    assert [problem.message for problem in told] == ["wrong"]
    assert look(project, Examiner(memory, libraries)) == told
    assert len(libraries.asked) == 1


def test_a_view_is_asked_about_again_when_the_one_above_it_changed(project: Project) -> None:
    above = DEPARTURES.replace("name: departures", "name: flights").replace("data/flights.csv", "data/flights.csv")
    below = DEPARTURES.replace("{format: csv, path: data/flights.csv}", "{featureView: flights}")
    below = below.replace("  columns:", "  transform: {sql: SELECT * FROM flights}\n  columns:")
    project.write(flights=above, departures=below)
    memory, libraries = Memory(), Libraries()
    look(project, Examiner(memory, libraries))
    project.write(flights=above.replace("Float64", "Float32"))
    libraries.asked.clear()
    look(project, Examiner(memory, libraries))
    assert [question["views"] for question in libraries.asked if question["views"]] == [
        {"flights": [["flight", "Int64"], ["at", "Datetime"], ["distance", "Float32"], ["delayed", "Boolean"]]}
    ]


@pytest.mark.parametrize("damage", [b"", b"\x80", b"[]", b'{"a": 1}', b'{"FeatureView/departures": [1]}'])
def test_answers_that_are_damaged_are_asked_for_again(project: Project, tmp_path: Path, damage: bytes) -> None:
    folder, libraries = tmp_path / "kept", Libraries()
    look(project, Examiner(Memory(folder), libraries))
    (folder / "examined.json").write_bytes(damage)
    look(project, Examiner(Memory(folder), libraries))
    assert len(libraries.asked) == 2


def test_only_for_many_objects_a_command_that_reads_makes_a_folder(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "nothing" / "yet"
    snapshot = read_snapshot(WorktreeSource(project.root), WORKTREE, "mlops_specs", "local", KINDS)
    resources = resources_of(snapshot.desired)
    view = next(iter(resources.values()))
    for objects, kept in ((99, False), (100, True)):
        more = {Ref("FeatureView", f"v{n}"): view for n in range(objects - len(resources))}
        Examiner(Memory(folder), Libraries()).look(resources.values(), {**resources, **more}, WorkTree(project.root))
        assert folder.is_dir() == kept


def test_answers_are_left_out_of_git_and_follow_no_link(project: Project, tmp_path: Path) -> None:
    look(project, Examiner(Memory(project.root / "kept"), Libraries()))
    assert (project.root / "kept" / ".gitignore").read_text() == "*\n"
    (tmp_path / "elsewhere").mkdir()
    (project.root / "link").symlink_to(tmp_path / "elsewhere")
    look(project, Examiner(Memory(project.root / "link"), Libraries()))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_of_a_commit_only_what_it_changes_is_examined(project: Project) -> None:
    source = GitSource(project.root)

    def loaded(revision: str) -> Snapshot:
        return read_snapshot(source, source.resolve(revision), "mlops_specs", "local", KINDS)

    project.commit(classifier=FOREST)
    libraries = Libraries()
    after = loaded("HEAD")
    Examiner(Memory(), libraries).changed(loaded("HEAD~1"), after, CommitTree(source, after.commit))
    assert [question["look"] for question in libraries.asked] == [JOBS]
    libraries.asked.clear()
    Examiner(Memory(), libraries).changed(None, after, CommitTree(source, after.commit))
    assert [question["look"] for question in libraries.asked] == [VIEWS, JOBS]


# ---------------------------------------------------------------------- what it rests on


def test_what_rests_on_a_file_that_git_ignores_is_a_warning(project: Project) -> None:
    libraries = Libraries(mistake(files=["data/flights.csv"]))
    assert [problem.severity for problem in look(project, Examiner(Memory(), libraries))] == ["error"]
    (project.root / ".gitignore").write_text("data/\n")
    project.git("rm", "--quiet", "--cached", "data/flights.csv")
    assert [problem.severity for problem in look(project, Examiner(Memory(), libraries))] == ["warning"]


def test_a_commit_is_held_to_its_own_files_and_to_no_other(project: Project) -> None:
    """Whatever lies in the work tree by now."""
    project.commit(departures=WITH_SQL.replace("distanse", "distance"))
    (project.root / "data" / "flights.csv").write_text("nothing\n")
    assert project.call("plan", "--base", "HEAD~1").returncode == 2
    assert project.call("validate").returncode == 1


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("data/flights.csv", ["data/flights.csv"]),
        ("data", ["data/flights.csv", "data/r1.csv", "data/r[1].csv"]),
        ("data/r*.csv", ["data/r1.csv", "data/r[1].csv"]),
        ("data/r[1].csv", ["data/r[1].csv"]),
        ("data/*", ["data/deep/r2.csv", "data/flights.csv", "data/r1.csv", "data/r[1].csv"]),
        ("*/flights.csv", ["data/flights.csv"]),
        ("data/none.csv", []),
        ("../x", []),
        (".", []),
    ],
)
def test_a_commit_has_the_files_that_a_folder_would_have(project: Project, path: str, files: list[str]) -> None:
    for name in ("r1.csv", "r[1].csv", ".hidden.csv", "deep/r2.csv"):
        (project.root / "data" / name).parent.mkdir(exist_ok=True)
        (project.root / "data" / name).write_text(name)
    project.commit()
    source = GitSource(project.root)
    tree = CommitTree(source, source.resolve("HEAD"))
    assert [blob.path for blob in tree._blobs(path)] == files
    if files:
        on_disk = storage.match_files(storage.resolve_path(path, str(project.root)))
        assert [item.uri.removeprefix(f"{project.root}/") for item in on_disk] == files


# ---------------------------------------------------------------------- where it stands


@pytest.mark.parametrize(
    ("yaml", "text", "row", "column", "place"),
    [
        ("a:\n  sql: |\n    SELECT x,\n      udi\n", "SELECT x,\n  udi\n", 2, 3, (4, 7)),
        ("a:\n  sql: |  # why\n    SELECT udi\n", "SELECT udi\n", 1, 8, (3, 12)),
        ("a:\n  sql: |2\n      SELECT udi\n", "  SELECT udi\n", 1, 10, (3, 14)),
        ("a:\n  sql: SELECT udi FROM m\n", "SELECT udi FROM m", 1, 8, (2, 15)),
        ('a: {sql: "SELECT udi FROM m"}\n', "SELECT udi FROM m", 1, 8, (1, 18)),
        ("a:\n  sql: >\n    SELECT x,\n    udi\n    FROM m\n", "SELECT x, udi FROM m\n", 1, 11, (2, 8)),
        ("a:\n  sql: SELECT x,\n    udi FROM m\n", "SELECT x, udi FROM m", 1, 11, (2, 8)),
    ],
)
def test_a_place_in_a_text_is_one_in_its_file(
    yaml: str, text: str, row: int, column: int, place: tuple[int, int]
) -> None:
    """A block and one line keep places; what YAML folds has only its beginning."""
    line = next(number for number, content in enumerate(yaml.splitlines(), start=1) if "sql: " in content)
    start = yaml.splitlines()[line - 1].index("sql: ") + 6
    assert inside(yaml, line, start, text, row, column) == place
