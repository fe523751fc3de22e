"""mlopsctl train --dry-run: what a commit would train, told without training."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controllers.commands.training import outlooks
from controllers.kinds.training_job import code_files
from framework.api.errors import ConfigurationError
from framework.backends.git.source import GitSource
from framework.backends.memory import MemorySource, memory_ports
from framework.kinds.training_job.recipe import KEY
from framework.planning.reports.training import FileChange, Training, TrainingOutlook
from framework.ports import CodeRef, MaterializeRequest, Ports
from framework.render.terminal import cells
from framework.render.training import outlooks_json, outlooks_text
from tests.controllers.shelf import everything
from tests.controllers.test_cli import Project
from tests.controllers.test_history_cli import STARTED, call, live
from tests.unit.render.test_widths import WIDTHS
from tests.world import ANOTHER, BETTER, DEPARTURES, JOB, PROJECT, TRAINING, VIEW, World

FUNCTION = TRAINING.replace("{lightgbm: {rounds: 50}}", "{function: {entrypoint: 'mine.fit:fit'}}")
LOOKED_AT = DEPARTURES + "  materialization: {every: 1m}\n"
CODE = {
    "mine/__init__.py": "",
    "mine/fit.py": "from mine import helper\n\n\ndef fit(data, params, seed):\n    return helper.made(data)\n",
    "mine/helper.py": "def made(data):\n    return data\n",
}


@pytest.fixture
def world() -> World:
    """What the table holds follows the file."""
    made = World({**PROJECT, "mlops_specs/departures.yaml": LOOKED_AT})
    made.plane.values = lambda asked: holds(made, asked)
    made.run()
    made.ports.calls.clear()
    return made


def holds(world: World, asked: MaterializeRequest) -> str:
    return world.ports.sources.files["data/flights.csv"]


def look(world: World, commit: str = "") -> TrainingOutlook:
    (found,) = outlooks(world.read(commit or world.head), world.ports)
    return found


def told(world: World, width: int = 110) -> str:
    return outlooks_text(world.head, [look(world)], world.now, width=width)


def forget_the_recipe(world: World) -> None:
    """As versions are that were registered before it was kept."""
    model = world.ports.registry.versions(JOB.name)[0]
    lineage = {name: value for name, value in model.lineage.items() if name != KEY} | {"seed": 3}
    world.ports.registry.forget(JOB.name, world.token)
    old = model.model_copy(update={"lineage": lineage, "parameters": {"num_leaves": 7, "eta": 0.1}})
    world.ports.registry.register(old, world.token)


def test_what_was_trained_is_a_hit(world: World) -> None:
    found = look(world)
    assert (found.word, found.build) == (Training.HIT, world.built(world.head))
    world.now += timedelta(hours=2)
    said = f"TrainingJob/classifier: hit, version {found.build} trained 2h ago for commit {world.head[:7]}; nothing"
    assert told(world, 200).startswith(said)


def test_a_gate_that_moves_trains_nothing(world: World) -> None:
    world.commit(classifier=TRAINING.replace("min: 0.6", "min: 0.5"))
    assert (look(world).word, look(world).failed) == (Training.HIT, ())
    world.commit(classifier=TRAINING.replace("min: 0.6", "min: 0.9"))
    assert (look(world).word, len(look(world).failed)) == (Training.HIT, 1)
    assert "it fails its gates: auc = 0.7000, bar >= 0.9" in told(world)


def test_a_field_that_differs_is_told_by_its_path_and_its_values(world: World) -> None:
    before = world.built(world.head)
    world.commit(classifier=BETTER)
    found = look(world)
    assert found.word is Training.MISS
    assert found.nearest is not None
    assert found.nearest.model.version == before
    assert [(item.path, item.before, item.after) for item in found.nearest.fields or ()] == [
        ("trainer.lightgbm.rounds", 50, 80)
    ]
    assert (found.nearest.code, found.nearest.data) == ((), ())
    text = told(world)
    assert "trainer.lightgbm.rounds: 50 -> 80" in text
    assert not {"code", "data"} & {line.strip() for line in text.splitlines()}, "only what differs is told"


def test_the_nearest_is_the_one_with_the_fewest_differences(world: World) -> None:
    first = world.built(world.head)
    other = ANOTHER.replace("{rounds: 99}", "{rounds: 99, params: {num_leaves: 5}}")
    world.commit(classifier=other)
    world.run()
    world.commit(classifier=BETTER)
    found = look(world).nearest
    assert found is not None
    assert found.model.version == first, "the newest differs in two fields"


def test_the_build_that_would_be_trained_is_the_one_that_is(world: World) -> None:
    world.commit(classifier=BETTER)
    foretold = look(world).build
    world.run()
    assert world.built(world.head) == foretold
    assert look(world).word is Training.HIT


def test_looking_changes_nothing_and_asks_no_cluster(world: World) -> None:
    world.commit(classifier=BETTER)
    lease = world.ports.state.lease()
    look(world)
    assert not world.ports.calls.made
    assert world.ports.state.lease() == lease


def test_a_view_that_is_not_published_is_waited_for(world: World) -> None:
    world.commit(
        departures=LOOKED_AT.replace("distance, dtype: Float64", "distance, dtype: Float32"), classifier=BETTER
    )
    found = look(world)
    assert (found.word, found.build, found.waits_for) == (Training.WAITS, "", (VIEW,))
    assert found.nearest is not None
    assert (found.nearest.data, len(found.nearest.fields or ())) == (None, 1)
    text = told(world)
    assert "for FeatureView/departures, which is not published as this commit asks for;" in " ".join(text.split())
    assert "data: not known" in text


def test_a_run_that_was_begun_is_told(world: World) -> None:
    world.commit(classifier=BETTER)
    world.pass_()
    assert look(world).word is Training.RUNNING
    assert "a run of it was begun" in told(world)


def newer(world: World) -> None:
    world.ports.sources.files["data/flights.csv"] = "v2"
    world.steps(4, 60)
    world.run()


def test_newer_data_alone_trains_nothing_and_is_told(world: World) -> None:
    newer(world)
    found = look(world)
    assert (found.word, found.newer) == (Training.HIT, ("departures",))
    assert "newer data in departures; for that alone nothing is trained" in told(world)


def test_data_that_differs_is_told_with_versions_and_rows(world: World) -> None:
    newer(world)
    world.commit(classifier=BETTER)
    (moved,) = (look(world).nearest or pytest.fail("none")).data or ()
    assert moved.before is not None
    assert moved.after is not None
    assert (moved.view, moved.before.read.version, moved.after.read.version) == ("departures", 0, 1)
    assert "departures: version 0 (1,000 rows) -> version 1 (1,000 rows)" in told(world)


def test_rows_that_are_not_on_record_any_more_are_told_so(world: World) -> None:
    newer(world)
    uri = world.ports.registry.versions(JOB.name)[0].read["departures"].uri
    world.ports.tables.drop_by_hand(uri)
    world.commit(classifier=BETTER)
    assert "departures: version 0 (rows not recorded) -> version 1 (rows not recorded)" in told(world)


def test_equal_rows_under_another_identity_are_a_hit(world: World) -> None:
    version = world.built(world.head)
    world.commit(departures=LOOKED_AT + '  transform: {sql: "SELECT * FROM flights"}\n')
    assert look(world).word is Training.WAITS
    world.pass_()
    while look(world).word is Training.WAITS:
        world.advance()
        world.reconciler.reconcile(VIEW, world.source.desired[VIEW])
    found = look(world)
    assert (found.word, found.build) == (Training.HIT, version)


def test_code_that_differs_is_told_file_by_file() -> None:
    world = World({**PROJECT, **CODE, "mlops_specs/classifier.yaml": FUNCTION})
    world.run()
    assert look(world).word is Training.HIT
    world.files["mine/fit.py"] = CODE["mine/fit.py"].replace("helper", "tools")
    world.files["mine/tools.py"] = world.files.pop("mine/helper.py")
    world.commit()
    found = look(world).nearest
    assert found is not None
    (moved,) = found.code or ()
    assert dict(moved.files or {}) == {
        "mine/fit.py": FileChange.CHANGED, "mine/helper.py": FileChange.REMOVED, "mine/tools.py": FileChange.ADDED,
    }  # fmt: skip
    assert "mine/fit.py changed" in told(world)
    world.commit(classifier=TRAINING)
    (gone,) = (look(world).nearest or pytest.fail("none")).code or ()
    assert (gone.after, set((gone.files or {}).values())) == ("", {FileChange.REMOVED})


def test_of_an_older_version_it_is_told_what_is_not_recorded(world: World) -> None:
    forget_the_recipe(world)
    world.commit(classifier=BETTER.replace("{rounds: 80}", "{rounds: 80, params: {num_leaves: 9, max_bin: 5}}"))
    found = look(world).nearest
    assert found is not None
    assert (found.fields, found.code, found.data) == (None, None, ())
    assert [(item.path, item.before, item.after) for item in found.parameters] == [
        ("seed", 3, 0), ("trainer.lightgbm.params.num_leaves", 7, 9),
    ]  # fmt: skip
    text = told(world)
    assert "fields: not recorded" in text
    assert "code: not recorded" in text
    assert "trainer.lightgbm.params.num_leaves: 7 -> 9" in text


def test_where_there_was_none_before_that_is_told() -> None:
    world = World()
    world.pass_()
    world.advance()
    world.reconciler.reconcile(VIEW, world.source.desired[VIEW])
    found = look(world)
    assert (found.word, found.nearest) == (Training.MISS, None)
    assert "No version of it was trained before." in told(world)


def test_an_unknown_name_is_told_with_the_nearest(world: World) -> None:
    with pytest.raises(ConfigurationError, match=r"no training job 'clasifier'; did you mean 'classifier'\?"):
        outlooks(world.read(world.head), world.ports, "clasifier")


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal(world: World, width: int) -> None:
    newer(world)
    world.commit(classifier=BETTER)
    assert [line for line in told(world, width).splitlines() if cells(line) > width] == []


def test_programs_are_told_the_same(world: World) -> None:
    newer(world)
    world.commit(classifier=BETTER)
    document = json.loads(outlooks_json("local", world.head, [look(world)]))
    (job,) = document["jobs"]
    assert (document["format"], document["trains"], job["outlook"], job["version"]) == (1, 1, "miss", None)
    assert job["nearest"]["fields"] == [{"path": "trainer.lightgbm.rounds", "before": 50, "after": 80}]
    assert job["nearest"]["data"][0]["after"]["rows"] == 1000


def with_source(source: Any) -> Ports:
    ports: Any = memory_ports()
    changed: Ports = replace(ports, source=source)
    return changed


def test_files_are_named_as_git_names_them(project: Project) -> None:
    for path, text in CODE.items():
        (project.root / path).parent.mkdir(exist_ok=True)
        (project.root / path).write_text(text)
    project.commit()
    source, memory = GitSource(project.root), MemorySource()
    files = (*CODE, "mine/gone.py")
    here = CodeRef(source.resolve("HEAD"), "mine", "d" * 40, files)
    there = CodeRef(memory.commit(CODE), "mine", "d" * 40, files)
    named = code_files(here, with_source(source))
    assert named == code_files(there, with_source(memory))
    assert set(named) == set(CODE)
    lost = replace(here, commit="e" * 40)
    assert code_files(lost, with_source(source)) == {}, "nothing waits for it"


# ------------------------------------------------------------------- as people call it


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, str]]:
    project = Project(tmp_path_factory.mktemp("train") / "project")
    return project, live(project, STARTED)


def asked(project: Project, *words: str) -> dict[str, Any]:
    done = call(project, "train", "--dry-run", *words, "--output", "json")
    assert done.returncode == 0, done
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_command_looks_at_the_commit_that_is_named(lived: tuple[Project, dict[str, str]]) -> None:
    project, commits = lived
    for commit in (commits["first"], commits["second"]):
        found = asked(project, "--head", commit, "classifier")
        assert found["commit"] == commit
        assert [(job["outlook"], job["version"]["commit"]) for job in found["jobs"]] == [("hit", commit)]
    assert asked(project)["commit"] == commits["second"]
    text = call(project, "train", "--dry-run").stdout
    assert text.startswith("TrainingJob/classifier: hit, version ")


def test_without_dry_run_it_is_a_wrong_command_line(lived: tuple[Project, dict[str, str]]) -> None:
    done = call(lived[0], "train", "classifier")
    assert (done.returncode, done.stdout) == (1, "")
    assert "a commit trains" in done.stderr
    assert "mlopsctl reconcile" in done.stderr


def test_the_command_leaves_nothing_behind(lived: tuple[Project, dict[str, str]]) -> None:
    project, _ = lived
    call(project, "train", "--dry-run")
    before = everything(project.root / ".mlops")
    for words in ((), ("classifier",), ("nobody",), ("--head", "HEAD~1")):
        call(project, "train", "--dry-run", *words)
    assert everything(project.root / ".mlops") == before


def test_a_project_that_never_trained_has_no_version(project: Project) -> None:
    (job,) = asked(project)["jobs"]
    assert (job["outlook"], job["nearest"], job["waits_for"]) == ("waits", None, ["FeatureView/departures"])
    assert not (project.root / ".mlops" / "state.db").exists()
