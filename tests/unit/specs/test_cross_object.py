"""Rules between objects and between specs and code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.api.errors import Problem, SpecError
from framework.kinds import KINDS
from framework.specs.read import read_environment
from framework.specs.worktree import WORKTREE
from tests.unit.specs.conftest import Project

VIEW, JOB, DEPLOYMENT = "features/trips.yaml", "training/late.yaml", "deployments/late.yaml"
FEATURES = "shop/code/features.py"


@pytest.mark.parametrize(
    ("file", "old", "new", "says", "meant", "allowed"),
    [
        (JOB, "spine: trips", "spine: trip", "there is no FeatureView named 'trip'", "trips", ("trips", "weather")),
        (JOB, "spine: trips", "spine: zzz", "there is no FeatureView named 'zzz'", None, ("trips", "weather")),
        (JOB, "view: weather", "view: late", "'late' (there is a ModelDeployment of that name)", None,
         ("trips", "weather")),
        (DEPLOYMENT, "training: late", "training: lates", "there is no TrainingJob named 'lates'", "late", ("late",)),
    ],
)  # fmt: skip
def test_a_reference_to_nothing_is_a_mistake(
    project: Project, file: str, old: str, new: str, says: str, meant: str | None, allowed: tuple[str, ...]
) -> None:
    project.edit(file, (old, new))
    problem = project.the_problem()

    assert problem.file == f"specs/{file}"
    assert says in problem.message
    assert (problem.suggestion, problem.allowed) == (meant, allowed)


def test_a_reference_where_no_object_of_the_kind_exists(project: Project) -> None:
    project.remove(JOB)

    assert project.the_problem().message == (
        "there is no TrainingJob named 'late' (there is a ModelDeployment of that name)"
    )


@pytest.mark.parametrize("length", [1, 2, 3, 200])
def test_a_cycle_is_told_once_with_its_chain(project: Project, length: int) -> None:
    text = (project.root / "specs/features/weather.yaml").read_text()
    for index in range(length):
        changed = text.replace("name: weather", f"name: v{index:03}")
        changed = changed.replace("format: csv, path: data/weather.csv", f"featureView: v{(index + 1) % length:03}")
        project.write(f"cycle/v{index:03}.yaml", changed)
    problem = project.the_problem()

    assert (problem.file, problem.line) == ("specs/cycle/v000.yaml", 7)
    if length == 1:
        assert problem.message == "FeatureView/v000 refers to itself"
    else:
        assert problem.message.startswith("a cycle: FeatureView/v000 -> FeatureView/v001 -> ")
        assert problem.message.count("->") == length
    with pytest.raises(SpecError):
        project.snapshot()


def test_two_objects_of_one_name(project: Project, place: Callable[[Problem], str]) -> None:
    project.write("z.yaml", (project.root / "specs" / VIEW).read_text())
    problem = project.the_problem()

    assert place(problem) == "z.yaml:3:18 metadata.name"
    assert problem.message == "FeatureView/trips is defined already, at specs/features/trips.yaml:3"


def test_the_same_name_twice_in_one_file(project: Project, place: Callable[[Problem], str]) -> None:
    text = (project.root / "specs" / VIEW).read_text()
    project.write(VIEW, f"{text}---\n{text}")

    assert place(project.the_problem()) == "features/trips.yaml:19:18 metadata.name"


def test_two_deployments_cannot_share_a_route(project: Project) -> None:
    project.write("other.yaml", (project.root / "specs" / DEPLOYMENT).read_text().replace("{name: late}", "{name: b}"))

    assert [problem.split("error: ")[1] for problem in project.problems()] == [
        "spec.serving.route: ModelDeployment/b serves /late already",
        "spec.serving.route: ModelDeployment/late serves /late already",
    ]


@pytest.mark.parametrize(
    ("entrypoint", "says", "meant"),
    [
        ("shop.code.featurs:trips", "no module shop.code.featurs in the repository (looked for shop/code/featurs.py or "
         "shop/code/featurs/__init__.py)", "shop.code.features:trips"),
        ("os:system", "no module os in the repository", None),
        ("nowhere.at.all:f", "no module nowhere.at.all", None),
        ("shop.code.features:trip", "shop/code/features.py defines no trip at its top", "shop.code.features:trips"),
        ("shop.code.features:local", "defines no local at its top level", None),
        ("top:f", "top.py lies in no package", None),
    ],
)  # fmt: skip
def test_code_that_is_not_there(project: Project, entrypoint: str, says: str, meant: str | None) -> None:
    project.code(FEATURES, "def trips(raw):\n    local = raw\n    return local\n")
    project.code("top.py", "def f(): ...\n")
    project.edit(VIEW, ("shop.code.features:trips", entrypoint))
    problem = project.the_problem()

    assert (problem.file, problem.line, problem.column) == (f"specs/{VIEW}", 9, 25)
    assert problem.path == "spec.transform.function"
    assert says in problem.message
    assert problem.suggestion == meant


@pytest.mark.parametrize(
    ("code", "place_of", "says"),
    [
        ("import math\ndef trips(raw:\n    return raw\n", f"{FEATURES}:2:10", "not Python: '(' was never closed"),
        ("def trips(raw):\nreturn raw\n", f"{FEATURES}:2:1", "not Python: expected an indented block"),
        ("x = '\0'\n", f"{FEATURES}:1:1", "not Python: source code string cannot contain null bytes"),
        ("x = " + "(" * 5000 + ")" * 5000, f"{FEATURES}:1:", "not Python: "),
        ("import shop.other\ndef trips(raw): ...\n", f"{FEATURES}:1:1", "imports shop/other.py, but"),
        ("def trips(raw):\n    from ..other import x\n", f"{FEATURES}:2:5", "imports shop/other.py, but"),
    ],
)  # fmt: skip
def test_a_mistake_in_code_is_told_in_the_code(
    project: Project, place: Callable[[Problem], str], code: str, place_of: str, says: str
) -> None:
    project.code("shop/other.py", "x = 1\n")
    project.code(FEATURES, code)
    problem = project.the_problem()

    assert place(problem).startswith(place_of)
    assert says in problem.message
    assert "FeatureView/trips" in problem.message


@pytest.mark.parametrize(
    "code",
    [
        "trips = lambda raw: raw\n",
        "from shop.code.more import trips\n",
        "from .more import one as trips\n",
        "from shop.code.more import *\n",
        "def __getattr__(name): ...\n",
        "class trips: ...\n",
        "if True:\n    def trips(raw): ...\nelse:\n    trips = None\n",
        "try:\n    import trips\nexcept ImportError:\n    trips = None\n",
        "trips: int = 1\n",
        "(a, trips), *b = 1, 2\n",
        "import shop.code.more, json, numpy, other.package\nasync def trips(raw): ...\n",
    ],
)
def test_ways_of_binding_a_name(project: Project, code: str) -> None:
    project.code("shop/code/more.py", "")
    project.code(FEATURES, code)

    assert not project.problems()


def test_user_code_is_never_run(project: Project) -> None:
    project.code(FEATURES, f"open({str(project.root / 'ran')!r}, 'w')\ndef trips(raw): ...\n")
    project.code("shop/code/__init__.py", "raise SystemExit(3)\n")

    assert not project.problems()
    assert project.snapshot()
    assert not (project.root / "ran").exists()


def test_what_is_not_executed_yet_is_a_warning_and_no_error(project: Project, place: Callable[[Problem], str]) -> None:
    project.edit("environments/local.yaml", ("storage: .mlops/store", "ray: {address: kuberay}"))
    report = project.check()

    assert [(place(problem), problem.severity) for problem in report.problems] == [
        ("environments/local.yaml:4:8 spec.ray.kuberay", "warning"),
    ]
    assert report.errors == ()


def test_newer_rows_that_lie_outside_of_a_window_of_dates_are_warned_of(project: Project) -> None:
    project.edit(JOB, ("timeout: 1h", "retrain: {onNewData: true}"))
    (problem,) = project.check().problems
    assert (problem.path, problem.severity) == ("spec.retrain", "warning")
    assert "the window ends at 2013-04-01" in problem.message


@pytest.mark.parametrize("name", ["local", "prod"])
def test_an_environment_must_be_declared_once_any_is(project: Project, name: str) -> None:
    if name == "prod":
        with pytest.raises(SpecError, match=r"no Environment named 'prod'.*\(allowed: local\)"):
            project.snapshot("prod")
    project.remove("environments/local.yaml")
    if name == "local":
        assert project.snapshot("local").environment.model_dump()["storage"] == ".mlops/store"
    else:
        with pytest.raises(SpecError, match="no Environment named 'prod'"):
            project.snapshot("prod")


def test_the_environment_alone_is_read_whatever_else_is_broken(project: Project) -> None:
    project.edit("environments/local.yaml", (".mlops/store", "elsewhere"))
    project.edit(JOB, ("spine: trips", "spine: [yes"))
    spec = read_environment(project.source, WORKTREE, "specs", "local", KINDS)
    assert spec.model_dump()["storage"] == "elsewhere"

    project.edit("environments/local.yaml", ("storage:", "store:"))
    with pytest.raises(SpecError, match="unknown key 'store'"):
        read_environment(project.source, WORKTREE, "specs", "local", KINDS)


def test_a_folder_that_does_not_exist(project: Project) -> None:
    assert [str(one) for one in project.check(["spces"]).problems] == [
        "spces: error: there is no such folder in the repository"
    ]
