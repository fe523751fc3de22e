"""A secret that somebody wrote into a spec, into whichever field, is in no output of any command, nor in the log."""

from __future__ import annotations

import copy
import json
import random
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import click
import pytest

from controllers.cli.main import cli
from controllers.commands import plans
from controllers.host.wiring import open_project
from controllers.settings import Settings
from framework import __version__
from framework.api.credentials import credential_in
from framework.api.errors import SpecError, TransientError
from framework.api.places import Premises
from framework.backends.git.source import GitSource
from framework.backends.state.database import open_database
from framework.backends.state.registry import SqlModelRegistry
from framework.backends.state.store import SqlStateStore
from framework.kinds import KINDS
from framework.render.markdown import plan_markdown
from framework.render.plan import plan_text
from framework.render.plan_document import plan_json
from framework.specs import report
from framework.specs.cache.parse_cache import ParseCache
from framework.specs.read import UnsafeError, check, read_snapshot
from tests.absurd import LATER, WHOLE, Absurd, paths
from tests.controllers.test_cli import Project
from tests.controllers.test_history_cli import call
from tests.world import World

SECRET = "hunter2SECRETxyz"
FORMS = (
    f"postgresql://mlops:{SECRET}@db.example/mlops",
    f"s3://AKIA:{SECRET}@bucket/x",
    f"https://{SECRET}@h/x",
    f"https://h/x?token={SECRET}",
    f"https://hooks.slack.com/services/T0/B0/{SECRET}",
    f"https://hooks.slack.com:443/services/T0/B0/{SECRET}",
    f"https://canary.discord.com/api/webhooks/1/{SECRET}",
    f"postgresql://db/m?user=m&sslpassword={SECRET}",
    f"postgresql://u:hun {SECRET}@h/db",
    f"s3://b/x?endpoint_url=http://u:{SECRET}@h",
    f"https://h/x?pass%77ord={SECRET}",
    f"s3://b/x?auth={SECRET}",
    f"http://h/?key={SECRET}",
    f"http://h/?code={SECRET}",
    f"http://h/#access_token={SECRET}",
    f"sqlserver://h;PASS={SECRET}",
    f"see simplecache::sftp://u:{SECRET}@h/x, and nobody else",
    f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
)
SAID = (
    f"--password={SECRET}",
    f"run --db-password {SECRET}",
    f"['x', '--password', '{SECRET}']",
    f"X-Api-Key: {SECRET}",
    f"password: {SECRET}",
    f"DB_PASS={SECRET} x",
    f"password='a\\'{SECRET}'",
    f"{{'passwords': ['{SECRET}']}}",
    f'{{\\"password\\": \\"{SECRET}\\"}}',
    f"Authorization: token {SECRET}",
)
"""Shown by nothing either, and refused by nothing: what is named secret in a text may be a column."""
PLANTED = (*FORMS, *SAID)
EVERYTHING: Mapping[str, dict[str, Any]] = {**WHOLE, **LATER}


def lines_of(document: Mapping[str, Any]) -> str:
    """As an author has it: each value on a line, so that an excerpt shows one."""
    return json.dumps(document, indent=2)


def planted() -> list[Absurd]:
    """A secret in every field that takes text, each time in another form; shuffled, or like fields had like forms."""
    fields = [
        (stem, path)
        for stem, document in EVERYTHING.items()
        for path, value in paths(document)
        if isinstance(value, str) and path[0] in {"metadata", "spec"}
    ]
    random.Random(0).shuffle(fields)
    return [Absurd(stem, path, PLANTED[turn % len(PLANTED)]) for turn, (stem, path) in enumerate(fields)]


def everything_told(
    objects: Mapping[str, str], commit: str, world: World, cache: ParseCache, refused: bool
) -> Iterator[str]:
    """What validate says about a commit, and plan in both directions; and that it is refused, where it has to be."""
    source = world.ports.source
    found = check(source, commit, ["mlops_specs"], KINDS, cache, premises=Premises("/project"))

    def line(file: str, number: int) -> str | None:
        return dict(enumerate(objects.get(file, "").splitlines(), 1)).get(number)

    yield from (report.text(found, line), report.brief(found, line), report.as_json(found), report.github(found))
    yield report.sarif(found, __version__)
    try:
        read_snapshot(source, commit, "mlops_specs", "local", KINDS, cache=cache, premises=Premises("/project"))
    except SpecError as error:
        yield str(error)
    else:
        assert not refused
    try:
        earlier = world.read(commit)
    except SpecError:  # it cannot be read at all
        return
    mended = world.read(world.head)
    for before, after in ((earlier, mended), (mended, earlier)):
        plan = plans.between("local", before, after, KINDS, world.now)
        yield from (plan_text(plan), plan_markdown(plan), plan_json(plan))


def test_no_field_of_any_kind_gives_a_secret_away() -> None:
    files = {f"mlops_specs/{stem}.yaml": lines_of(document) for stem, document in EVERYTHING.items()}
    world, cache = World(files), ParseCache()
    for case in planted():
        changed = json.loads(case.text(EVERYTHING))
        objects = files | {f"mlops_specs/{case.stem}.yaml": lines_of(changed)}
        commit = world.ports.source.commit(objects)
        for text in everything_told(objects, commit, world, cache, case.value in FORMS):
            assert SECRET not in text, (case, text)


def test_every_form_that_is_planted_is_one_that_is_refused() -> None:
    assert all(credential_in(form) for form in FORMS)


def leaking() -> dict[str, str]:
    """Specs that an earlier version accepted, with secrets wherever they may stand."""
    objects = copy.deepcopy(dict(WHOLE))
    for document, form in zip(objects.values(), FORMS, strict=False):
        document["metadata"] |= {
            "description": f"reads {form}",
            "owner": form,
            "labels": {"team": "flights", "at": form},
            "annotations": {"note": form},
        }
    del objects["local"]["spec"]["windows"]
    view = objects["departures"]["spec"]
    view["sources"]["flights"]["path"] = f"memory://u:{SECRET}@h/x"
    view["transform"]["sql"] = f"SELECT * FROM flights -- {FORMS[0]}"
    objects["monitor"]["spec"]["alerts"].append({"webhook": {"url": FORMS[4]}})
    objects["local"]["spec"]["policies"][0]["message"] = f"ask at {FORMS[3]}"
    return {stem: lines_of(document) for stem, document in objects.items()}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two commits went through the loop of an earlier version, with secrets; the third one is without."""
    made = Project(tmp_path_factory.mktemp("leaking") / "project")
    (made.root / "data" / "flights.csv").write_text("flight,at,distance,delayed,carrier\n")
    database = open_database("sqlite:///.mlops/state.db", str(made.root))
    world = World()
    state, source = SqlStateStore(database, "local"), GitSource(made.root)
    world.ports = cast(
        Any,
        replace(cast(Any, world.ports), state=state, registry=SqlModelRegistry(database, "local"), source=source),
    )
    world.now = datetime(2026, 3, 1, tzinfo=UTC)
    world.restart(world.ports)
    texts = leaking()
    for text in (texts, {**texts, "classifier": texts["classifier"].replace('"rounds": 50', '"rounds": 51')}):
        made.git("rm", "-r", "-q", "--ignore-unmatch", "mlops_specs")
        made.specs.mkdir(exist_ok=True)
        made.commit(**text)
        world.head = source.resolve("HEAD")
        world.steps(4, 10)
    lease = state.lease()
    assert lease is not None
    state.release(lease)
    database.close()
    (made.root / ".mlops" / "controller.log").write_text(f"could not connect to {FORMS[0]}\n")
    mended = {**WHOLE, "local": {**WHOLE["local"], "spec": {}}}
    made.commit(**{stem: lines_of(document) for stem, document in mended.items()})
    return made


COMMANDS = (
    "validate", "validate --quiet", "validate --output json", "validate --output github", "validate --output sarif",
    "fmt --diff", "plan", "plan --output json", "plan --output markdown", "plan --unchanged", "-vv plan",
    "plan --base HEAD~1", "plan --base HEAD~1 --output json", "plan --base HEAD~1 --output markdown",
    "plan --base HEAD --head HEAD~1", "plan --base HEAD --head worktree", "status", "status --output json",
    "status FeatureView/departures", "events --limit 1000", "events --output json", "why FeatureView/departures",
    "why TrainingJob/classifier --output json", "history", "history --output json", "history ModelDeployment/delay",
    "lineage", "lineage --output json", "lineage --output mermaid", "audit verify", "audit verify --output json",
    "features list", "features list --output json", "features show departures",
    "features show departures --output json", "features history departures",
    "features history departures --output json", "features diff departures 0 1",
    "features diff departures 0 1 --output json", "features profile departures",
    "features profile departures --output json", "features debug departures",
    "features debug departures --output json", "features catalogue --out {root}/pages",
    "features catalogue --out {root}/pages --output json", "models list", "models list --output json",
    "models show classifier", "models show classifier --output json",
    "models diff classifier classifier", "models diff classifier classifier --output json", "models card classifier",
    "models card classifier --output json", "models download classifier {root}/got",
    "models download classifier {root}/got --output json",
    "simulate", "simulate --output json", "simulate --from HEAD~1", "rollback HEAD~1 --output json --no-commit",
    "version", "version --output json", "schema ModelMonitor", "lease", "lease --output json", "logs controller",
    "logs FeatureView/departures", "logs ModelDeployment/delay", "rollout show delay",
    "rollout show delay --output json", "rollout pause delay --message {secret}", "rollout resume delay",
    "rollout promote delay --message {secret}", "rollout abort delay --message {secret}",
    "rollout retry delay --message {secret}", "promote --from local --to prod",
    "init {root}", "init {root} --output json",
    "promote --from local --to prod --output json", "rollback HEAD~1 --no-commit --message {secret} --yes",
    "status --exit-code", "plan --explain", "history --output json --limit 1000", "events --output json --limit 1001",
    "why ModelDeployment/delay", "plan --head HEAD~1 --out {root}/.mlops/plan.json", "apply {root}/.mlops/plan.json",
    "apply {root}/.mlops/plan.json --output json", "forget TrainingJob/classifier --output json",
    "forget FeatureView/departures", "down", "--output json status", "--output json validate",
)  # fmt: skip
"""The later ones write: words, pins, and what is forgotten."""
BY_THEMSELVES = {"up", "reconcile"}
"""Commands that start a Ray or a controller: what they tell goes through the log and the same errors as all others'."""


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_gives_a_secret_away(project: Project, command: str) -> None:
    """Git has commits with secrets, the records and the log were made of one, and one stands in the work tree."""
    project.write(departures=leaking()["departures"])
    done = call(project, *(word.format(secret=FORMS[0], root=project.root) for word in command.split()))

    assert SECRET not in done.stdout
    assert SECRET not in done.stderr
    assert done.stdout or done.stderr or "--quiet" in command


def test_every_command_and_each_of_its_outputs_is_tried() -> None:
    tried = {tuple(command.split()) for command in COMMANDS}
    for name, command in leaves(cli):
        if name in BY_THEMSELVES:
            continue
        calls = [words for words in tried if f" {name} " in f" {' '.join(words)} "]
        assert calls, f"{name} is not tried"
        for option in command.params:
            if option.name == "output" and isinstance(option.type, click.Choice):
                for form in option.type.choices:
                    plain = form == option.default and any("--output" not in words for words in calls)
                    assert plain or any(form in words for words in calls), f"{name} --output {form} is not tried"


def leaves(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its words."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    for word, found in command.commands.items():
        yield from leaves(found, f"{name} {word}".strip())


def test_what_an_earlier_version_accepted_is_read_all_the_same(project: Project) -> None:
    """It is in force, or somebody goes back to it; what comes anew is not taken."""
    opened = open_project(Settings(root=project.root, creates=False), lambda: datetime.now(UTC))
    again = opened.ports.source.resolve("HEAD~1")
    assert opened.read(again).commit == again

    words = (
        "git",
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "commit-tree",
        f"{again}^{{tree}}",
        "-m",
        "x",
    )
    anew = subprocess.run(words, cwd=project.root, check=True, capture_output=True, text=True).stdout.strip()
    with pytest.raises(UnsafeError, match="holds a password before the @"):
        opened.read(anew)


def test_a_plan_that_is_written_gives_none_away(project: Project) -> None:
    file = project.root / ".mlops" / "plan.json"
    call(project, "plan", "--out", str(file))

    assert SECRET not in file.read_text()
    assert "***" in file.read_text()


def test_the_log_holds_none(project: Project) -> None:
    with closing(sqlite3.connect(project.root / ".mlops" / "state.db")) as database:
        bodies = [body for (body,) in database.execute("SELECT body FROM mlops_events")]

    assert bodies
    assert not [body for body in bodies if SECRET in body]


def test_what_others_say_is_redacted_in_status_and_events() -> None:
    """A library that quotes an address in its error."""
    world = World()

    def fail(*_: object) -> Any:
        raise TransientError(f'could not connect to "{FORMS[0]}": timeout')

    world.ports.runs.observe = fail  # type: ignore[method-assign]
    world.pass_()
    told = [event.message for event in world.ports.state.events(limit=100)]
    told += [str(record.status["conditions"]) for record in world.ports.state.records()]

    assert any("postgresql://mlops:***@db.example" in text for text in told)
    assert not [text for text in told if SECRET in text]


def test_an_address_is_recognised_before_a_message_is_cut(tmp_path: Path) -> None:
    from framework.render.terminal import one_line

    text = f"x{'y' * 370} postgresql://mlops:{SECRET}{'z' * 100}@db"
    assert SECRET not in one_line(text, 400)
