"""Whatever stands in any column of any table: one damaged value stops nothing else, is told of, and can be mended."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from controllers.commands.forget import forget, unreadable
from controllers.revision.acceptance import Terms
from framework.api.errors import ConfigurationError, MlopsError
from framework.api.meta import Ref
from framework.backends.state.database import open_database
from framework.backends.state.registry import SqlModelRegistry
from framework.backends.state.store import SqlStateStore
from framework.backends.state.tables import METADATA
from framework.kinds import KINDS
from framework.planning.grammar.reasons import UNREADABLE_RECORD
from framework.planning.grammar.remembered import sound
from framework.ports import Pin, Word
from framework.render.status import Sync
from tests.builders import NOW
from tests.controllers.test_cli import Project
from tests.controllers.test_history_cli import STARTED, call, live
from tests.controllers.test_passes import project
from tests.controllers.test_promises import syncs
from tests.fuzzing import seeds
from tests.world import BETTER, DEPARTURES, DEPLOYMENT, ENDPOINT, JOB, TRAINING, VIEW, World, reconciled

ANYTHING: tuple[Any, ...] = (
    "x", "", "{}", "[]", "null", '{"status": {}}', "[" * 10_000, b"\xff\xfe", -1, 2**60, 3.5, 10**9,
)  # fmt: skip
COLUMNS = [
    (table.name, column.name)
    for table in METADATA.sorted_tables
    for column in table.columns
    if (table.name, column.name) != ("mlops_schema", "id")
]
TEXTS = {"departures": DEPARTURES, "classifier": TRAINING, "delay": DEPLOYMENT}


# ------------------------------------------------------------------- the loop


class Kept(World):
    """The world, with its state in a file."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.file, self.backup = root / "state.db", root / "backup.db"
        self.open()
        self.restart(self.ports)

    def open(self) -> None:
        self.database = open_database(f"sqlite:///{self.file}")
        state, registry = SqlStateStore(self.database, "local", sound(KINDS)), SqlModelRegistry(self.database, "local")
        self.ports = replace(cast(Any, self.ports), state=state, registry=registry)


def backed_up(world: Kept) -> None:
    with closing(sqlite3.connect(world.file)) as connection:
        connection.execute(f"VACUUM INTO '{world.backup}'")


def restored(world: Kept) -> None:
    world.database.close()
    for file in (world.file.with_name("state.db-wal"), world.file.with_name("state.db-shm")):
        file.unlink(missing_ok=True)
    shutil.copy(world.backup, world.file)


def damaged(file: Path, draw: random.Random) -> str:
    """One value of one row is anything at all, whatever the table says it may be; which."""
    table, column = draw.choice(COLUMNS)
    value = draw.choice(ANYTHING)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        rows = connection.execute(f"SELECT rowid FROM {table}").fetchall()
        connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE rowid = ?", (value, *draw.choice(rows)))
    return f"{table}.{column} = {value!r:.30}"


@pytest.mark.fuzz
def test_one_damaged_value_stops_nothing_else(tmp_path: Path) -> None:
    world = Kept(tmp_path)
    world.run()
    world.ports.state.set_pin(Pin(commit=world.head, over=world.head, actor="ann", time=NOW))
    world.ports.state.say(Word(subject="prune/x", verb="prune", actor="ann", time=NOW))
    world.run()
    backed_up(world)
    for seed in seeds(60):
        restored(world)
        case = damaged(world.file, random.Random(seed))
        if "mlops_schema.version = 1000000000" in case:
            with pytest.raises(ConfigurationError, match="newer mlopsctl"):
                world.open()
            continue
        world.open()
        weights = world.weights()
        world.ports.calls.clear()
        world.restart(world.ports)
        _goes_on(world, seed, case)
        assert world.weights() == weights, case
        changing = [made.verb for made in world.ports.calls.made if not made.verb.startswith("state.")]
        assert changing == [], case
        world.ports.state.damage(), world.ports.state.verify_events()
        world.ports.state.append_events([], world.token)


def _goes_on(world: Kept, seed: int, case: str) -> None:
    """A commit that says something else about everybody is taken up by all whose record can be read."""
    for commit in (False, True):
        if commit:
            world.commit(**{name: _owned(text, seed) for name, text in TEXTS.items()})
        world.steps(3)
    assert world.source.loaded is not None
    assert world.source.loaded.commit == world.head, case
    recorded = world.ports.state.recorded()
    for ref, asked in world.source.desired.items():
        if ref in recorded.unreadable:
            continue
        status = world.status(ref)
        assert (status.digest, status.conditions.ready.status) == (asked.digest, True), (case, ref)
        assert not status.conditions.stalled.status, (case, ref, world.message(ref))


def _owned(text: str, seed: int) -> str:
    return text.replace("metadata: {name:", f"metadata: {{owner: team-{seed}, name:")


# ------------------------------------------------------------------- the commands

COMMANDS = (
    ("status",),
    ("status", "--output", "json"),
    ("why", "TrainingJob/classifier"),
    ("events", "--limit", "5"),
    ("events", "--reason", "Promoted", "--output", "json"),
    ("history",),
    ("history", "ModelDeployment/delay", "--output", "json"),
    ("lineage",),
    ("models", "list"),
    ("models", "show", "classifier"),
    ("models", "diff", "classifier", "classifier"),
    ("audit", "verify"),
    ("plan",),
    ("plan", "--output", "json"),
    ("rollback", "HEAD~1"),
    ("simulate",),
)


@pytest.fixture
def mine(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    live(made, STARTED)
    return made


@pytest.mark.fuzz
def test_every_command_says_what_it_can_whatever_is_damaged(mine: Project, tmp_path: Path) -> None:
    file, backup = mine.root / ".mlops" / "state.db", tmp_path / "backup.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"VACUUM INTO '{backup}'")
    tables = sorted({table for table, _ in COLUMNS} - {"mlops_pins", "mlops_notes"})
    for seed in seeds(25):
        draw = random.Random(seed)
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute(f"ATTACH '{backup}' AS backup")
            for table in tables:
                connection.execute(f"DELETE FROM {table}")
                connection.execute(f"INSERT INTO {table} SELECT * FROM backup.{table}")
        table, column = draw.choice([item for item in COLUMNS if item[0] in tables])
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            (row,) = draw.choice(connection.execute(f"SELECT rowid FROM {table}").fetchall())
            value = draw.choice(ANYTHING)
            connection.execute(f"UPDATE OR IGNORE {table} SET {column} = ? WHERE rowid = ?", (value, row))
        for command in draw.sample(COMMANDS, 2):
            done = call(mine, *command)  # which fails at a traceback
            case = f"{table}.{column} = {value!r:.30}: {' '.join(command)}"
            assert done.returncode in (0, 1, 2), case
            assert "pydantic" not in done.stdout + done.stderr, case
            if "newer mlopsctl" not in done.stderr and command[0] in ("status", "events", "history", "plan"):
                assert done.returncode in (0, 2), (case, done.stderr)


def without_a_record(project: Project) -> list[str]:
    rows = json.loads(call(project, "status", "--output", "json").stdout)["resources"]
    return [row["name"] for row in rows if row["reason"] == "UnreadableRecord"]


@pytest.mark.parametrize("body", ["x", '{"ref": ["ModelDeployment", "delay"], "status": {}, "version": 9}'])
def test_a_damaged_record_is_unknown_everywhere_until_it_is_forgotten(mine: Project, body: str) -> None:
    with closing(sqlite3.connect(mine.root / ".mlops" / "state.db", isolation_level=None)) as connection:
        connection.execute("UPDATE mlops_records SET body = ? WHERE kind = 'ModelDeployment'", (body,))
    shown = call(mine, "status")
    assert shown.returncode == 0
    assert shown.stdout.count("UnreadableRecord") == 1
    assert without_a_record(mine) == ["delay"]
    assert "mlopsctl forget ModelDeployment/delay removes the record" in " ".join(shown.stdout.split())
    planned = json.loads(call(mine, "plan", "--output", "json").stdout)
    verbs = {change["ref"]: (change["verb"], change["actions"]) for change in planned["changes"]}
    assert verbs["ModelDeployment/delay"] == ("Wait", [])
    assert "cannot be read" in call(mine, "why", "ModelDeployment/delay").stdout
    assert call(mine, "audit", "verify").returncode == 1
    assert "ask" in call(mine, "forget", "ModelDeployment/delay").stderr
    assert call(mine, "forget", "TrainingJob/classifier", "--yes").returncode == 1
    gone = json.loads(call(mine, "forget", "ModelDeployment/delay", "--yes", "--output", "json").stdout)
    assert gone["forgotten"] == "ModelDeployment/delay"
    assert without_a_record(mine) == []
    assert call(mine, "audit", "verify").returncode == 0
    (told,) = call(mine, "events", "--reason", "RecordForgotten", "--output", "json").stdout.splitlines()
    assert json.loads(told)["actor"]


def test_a_record_whose_name_was_damaged_can_be_forgotten_as_it_is_printed(mine: Project) -> None:
    with closing(sqlite3.connect(mine.root / ".mlops" / "state.db", isolation_level=None)) as connection:
        connection.execute("UPDATE mlops_records SET name = ' a/b; rm' WHERE kind = 'ModelDeployment'")
    shown = " ".join(call(mine, "status").stdout.split())
    assert "mlopsctl forget 'ModelDeployment/ a/b; rm' removes" in shown
    assert call(mine, "forget", "ModelDeployment/ a/b; rm", "--yes").returncode == 0
    assert call(mine, "audit", "verify").returncode == 0


def test_what_is_in_force_is_known_though_its_revision_is_damaged(mine: Project) -> None:
    before = json.loads(call(mine, "status", "--output", "json").stdout)["accepted"]["commit"]
    with closing(sqlite3.connect(mine.root / ".mlops" / "state.db", isolation_level=None)) as connection:
        connection.execute("UPDATE mlops_revisions SET body = 'x' WHERE sha = ?", (before,))
    after = json.loads(call(mine, "status", "--output", "json").stdout)
    assert (after["accepted"]["commit"], after["refused"]) == (before, None)
    assert call(mine, "audit", "verify").returncode == 1


# ------------------------------------------------------------------- one record, in the loop


def forgotten(world: World, ref: Ref) -> None:
    here = project(world)
    found, problem = unreadable(here, str(ref))
    forget(here, found, problem, "ann")


@pytest.mark.parametrize("ref", [VIEW, JOB, ENDPOINT])
@pytest.mark.parametrize("body", ["x", "status", "state"])
def test_nothing_is_done_about_it_and_that_is_told_once(ref: Ref, body: str) -> None:
    world = reconciled()
    before = world.ports.state.load(ref)
    assert before is not None
    status = {**before.status, "state": {"stable": 7, "published": 7, "run": 7}} if body == "state" else {}
    text = "x" if body == "x" else before.model_copy(update={"status": status}).model_dump_json()
    world.ports.state.damage_record(ref, text)
    world.ports.calls.clear()
    world.steps(5)
    assert world.reasons(ref)[-1] == UNREADABLE_RECORD
    assert world.reasons(ref).count(UNREADABLE_RECORD) == 1
    assert [made.verb for made in world.ports.calls.made] == ["state.append_events"]
    found = world.ports.state.recorded()
    assert list(found.unreadable) == [ref]
    assert {record.ref for record in found.readable} == {VIEW, JOB, ENDPOINT} - {ref}
    forgotten(world, ref)
    world.steps(5)
    assert world.standing().converged
    assert set(syncs(world).values()) == {Sync.SYNCED}


@pytest.mark.parametrize("ref", [VIEW, JOB])
def test_others_go_on_beside_it_and_a_newer_commit_is_taken_up(ref: Ref) -> None:
    world = reconciled()
    (app,) = world.weights()
    world.ports.state.damage_record(ref, "x")
    world.ports.serving.change_route_by_hand("delay", weights={app: 40})
    world.steps(5)
    assert world.weights() == {app: 100}
    world.commit(delay=DEPLOYMENT.replace("{route: /delay}", "{route: /delay, replicas: {min: 1, max: 3}}"))
    world.steps(5)
    assert world.ports.serving._apps[app].spec.max_replicas == 3


def test_models_are_not_deleted_while_nobody_knows_what_a_deployment_serves() -> None:
    deleting = f"{TRAINING}  deletion: delete\n"
    world = World()
    world.commit(classifier=deleting)
    world.run()
    world.source.terms = Terms(allow_prune=True)
    world.ports.state.damage_record(ENDPOINT, "x")
    world.commit(classifier=None, delay=None)
    world.steps(5)
    assert world.ports.registry.versions("classifier")
    assert "ModelDeployment/delay" in world.message(JOB)


def test_what_serves_is_taken_over_and_a_rollout_starts_over_from_it() -> None:
    world = reconciled()
    (stable,) = world.weights()
    world.commit(classifier=BETTER)
    while 50 not in world.weights().values():
        world.steps(1)
    world.ports.state.damage_record(ENDPOINT, "x")
    world.steps(10)
    assert sorted(world.weights().values()) == [50, 50]
    forgotten(world, ENDPOINT)
    world.steps(1)
    assert world.weights()[stable] >= 90
    assert world.state(ENDPOINT)["stable"]["app"] == stable
    assert "Adopted" in world.reasons(ENDPOINT)
    shares = set()
    for _ in range(60):
        world.steps(1)
        shares.add(min(world.weights().values()))
    assert {10, 50} <= shares, "it was tried again, not trusted"
    world.run()
    assert world.standing().converged
    assert world.ports.serving.harm == []
    assert "DriftRepaired" not in world.reasons(ENDPOINT)


@pytest.mark.parametrize("remove_first", [True, False])
def test_what_git_no_longer_asks_for_goes_once_its_record_is_forgotten(remove_first: bool) -> None:
    world = reconciled()
    world.source.terms = Terms(allow_prune=True)
    if remove_first:
        world.commit(delay=None)
        world.ports.state.damage_record(ENDPOINT, "x")
        world.steps(5)
        assert world.weights(), "nothing is done on the strength of a damaged record"
        forgotten(world, ENDPOINT)
    else:
        world.ports.state.damage_record(ENDPOINT, "x")
        forgotten(world, ENDPOINT)
        world.commit(delay=None)
    world.steps(10)
    assert world.ports.serving.apps("delay") == {}
    assert {record.ref for record in world.ports.state.records()} == {VIEW, JOB}
    assert world.reasons(ENDPOINT)[-1] == "Deleted"


def test_a_restart_onto_a_damaged_revision_keeps_it_in_force_whatever_is_newer(tmp_path: Path) -> None:
    world = Kept(tmp_path)
    world.run()
    world.commit(classifier=BETTER)
    world.run()
    good = world.head
    with closing(sqlite3.connect(world.file, isolation_level=None)) as connection:
        connection.execute("UPDATE mlops_revisions SET body = 'x' WHERE sha = ?", (good,))
    world.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    world.restart(world.ports)
    world.ports.calls.clear()
    world.steps(5)
    assert world.source.loaded is not None
    assert world.source.loaded.commit == good
    assert [made.verb for made in world.ports.calls.made] == []
    reasons = [event.reason for event in world.ports.state.events(limit=1_000, kinds=("",))]
    assert reasons.count("RevisionAccepted") == 2


@pytest.mark.parametrize("name", ["TrainingJob/classifier", "TrainingJob/nothing", "nothing"])
def test_only_what_cannot_be_read_is_forgotten(name: str) -> None:
    with pytest.raises(ConfigurationError):
        unreadable(project(reconciled()), name)


def test_damage_is_an_error_that_is_told_as_one() -> None:
    world = reconciled()
    world.ports.state.damage_record(JOB, "x")
    with pytest.raises(MlopsError, match=r"the record of TrainingJob/classifier cannot be read: it is no JSON"):
        world.ports.state.load(JOB)
