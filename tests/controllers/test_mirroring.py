"""What the registry knows is repeated at the address that the commit in force names, whatever becomes of that."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from controllers.commands.models import listed
from controllers.host.mirroring import EVERY, LONGEST, Mirroring
from controllers.host.wiring import mirrors
from framework import storage
from framework.api.errors import ConflictError, TerminalError, TransientError
from framework.backends.memory import MemoryMirror
from framework.planning.grammar.reasons import MIRROR_CAUGHT_UP, MIRROR_DOWN, MIRROR_REFUSED
from framework.ports import ModelVersion, TrackedVersion
from tests.builders import NOW
from tests.controllers.test_passes import project
from tests.world import JOB, World, reconciled

AT = "http://mlflow:5000"
MODEL = b"tree\n"


@dataclass
class Mirrored:
    """A world that has come to rest, and a mirror of it. ``process`` is the thread of one leader."""

    world: World
    mirror: MemoryMirror = field(default_factory=MemoryMirror)
    address: str | None = AT
    going: bool = True

    def __post_init__(self) -> None:
        self.process = self.started()

    def started(self) -> Mirroring:
        made = replace(project(self.world), mirror=lambda address: self.mirror, clock=self.world.clock)
        return Mirroring(made, lambda: self.address, lambda: self.world.token, lambda: self.going)

    def told(self) -> list[str]:
        return [event.reason for event in self.world.ports.state.events() if event.reason.startswith("Mirror")]

    def registered(self, number: int, training: str = "other", files: bool = True) -> ModelVersion:
        """The newest version is another one, with the files that it has."""
        known = self.world.ports.registry.versions("classifier")[0]
        artifact = f"memory://models/{training}/{number:010}/model.txt"
        if files:
            storage.write_bytes(artifact, MODEL)
        found = known.model_copy(
            update={
                "training": training, "version": f"{number:010}", "artifact": artifact,
                "created": NOW + timedelta(hours=number),
                "sha256": hashlib.sha256(MODEL).hexdigest(),
            }
        )  # fmt: skip
        self.world.ports.registry.adopt(found)
        self.happens()
        return found

    def happens(self) -> None:
        """Something that is told, of whatever kind."""
        state = self.world.ports.state
        state.append_events([state.events(limit=1)[0]], self.world.token)

    def mark(self) -> list[str]:
        mark = self.world.ports.state.mirror_mark()
        found = mark.versions if mark is not None else {}
        return sorted(f"{training}@{version}" for training, versions in found.items() for version in versions)


@pytest.fixture
def mirrored() -> Mirrored:
    return Mirrored(reconciled())


# ------------------------------------------------------------------- what is there


def test_a_version_is_there_with_its_card_and_its_names(mirrored: Mirrored) -> None:
    assert mirrored.process() == EVERY
    (model,) = mirrored.world.ports.registry.versions(JOB.name)
    (found,) = mirrored.mirror.versions.values()
    assert (found.training, found.version, found.commit) == (JOB.name, model.version, model.commit)
    assert (found.created, found.metrics) == (model.created, model.metrics)
    assert found.tags["mlops.build"] == model.version
    assert found.tags["mlops.environment"] == "local"
    assert found.tags["mlops.deployable"] == "true"
    assert {"README.md", "card.html", "signature.json"} <= found.files.keys()
    assert model.version in found.files["README.md"].decode()
    assert mirrored.mirror.aliases == {JOB.name: {"champion": model.version}}
    assert mirrored.mark() == [found.label]
    assert mirrored.told() == []


def test_nothing_is_asked_of_it_while_nothing_happens(mirrored: Mirrored) -> None:
    mirrored.process()
    mirrored.mirror.failure = TransientError("down")
    assert mirrored.process() == EVERY
    mirrored.happens()
    assert mirrored.process() >= EVERY, "what happened is no model's"
    assert mirrored.started()() >= EVERY, "a new leader knows from the state what is there"
    assert mirrored.told() == []


def test_the_oldest_is_sent_first_and_a_few_at_a_time(mirrored: Mirrored) -> None:
    for number in (30, *range(29, 0, -1)):
        mirrored.registered(number)
    assert mirrored.process() == 0.0
    assert len(mirrored.mirror.versions) == len(mirrored.mark()) == 20
    while mirrored.process() == 0.0:
        pass
    sent = [version.created for version in mirrored.mirror.versions.values()]
    assert sent == sorted(sent)
    assert len(sent) == len(listed(mirrored.world.ports, None)) == 31


def test_without_an_address_nothing_is_done(mirrored: Mirrored) -> None:
    mirrored.address = None
    assert mirrored.process() == EVERY
    assert (mirrored.mirror.versions, mirrored.world.ports.state.mirror_mark()) == ({}, None)


def test_at_another_address_everything_is_sent(mirrored: Mirrored) -> None:
    mirrored.process()
    first, mirrored.mirror, mirrored.address = mirrored.mirror, MemoryMirror(), "http://elsewhere"
    mirrored.process()
    assert mirrored.mirror.versions == first.versions
    assert mirrored.mirror.aliases == first.aliases


def test_what_is_forgotten_loses_its_names_and_stays(mirrored: Mirrored) -> None:
    mirrored.process()
    mirrored.world.ports.registry.forget(JOB.name, mirrored.world.token)
    mirrored.happens()
    mirrored.process()
    assert len(mirrored.mirror.versions) == 1
    assert mirrored.mirror.aliases == {JOB.name: {}}


def test_no_secret_is_sent(mirrored: Mirrored) -> None:
    found = mirrored.registered(1)
    leaky = {"password": "hunter2SECRET", "note": "https://me:hunter2SECRET@host/x"}
    mirrored.world.ports.registry.adopt(found.model_copy(update={"version": "f" * 10, "parameters": leaky}))
    mirrored.process()
    sent = mirrored.mirror.versions[f"other@{'f' * 10}"]
    assert sent.parameters.keys() == leaky.keys()
    assert "hunter2SECRET" not in repr(sent)


def test_the_model_file_is_there(mirrored: Mirrored) -> None:
    found = mirrored.registered(6)
    mirrored.process()
    assert mirrored.mirror.versions[f"{found.training}@{found.version}"].files["model.txt"] == MODEL


# ------------------------------------------------------------------- trouble


def test_one_that_is_down_is_told_once_and_tried_again_after_growing_waits(mirrored: Mirrored) -> None:
    mirrored.mirror.failure = TransientError("MLflow: no route to host")
    waits = [mirrored.process() for _ in range(8)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (2 * EVERY, LONGEST)
    assert mirrored.process.outage is not None
    assert (mirrored.process.outage.since, mirrored.process.outage.message) == (
        mirrored.world.now, "MLflow: no route to host",
    )  # fmt: skip
    since, mirrored.world.now = mirrored.world.now, mirrored.world.now + timedelta(hours=1)
    mirrored.process = mirrored.started()
    mirrored.process()
    assert mirrored.process.outage is not None
    assert mirrored.process.outage.since == since, "and a new leader knows of it"
    assert mirrored.told() == [MIRROR_DOWN]

    mirrored.mirror.failure = None
    assert mirrored.process() == EVERY
    assert (mirrored.process.outage, mirrored.told()) == (None, [MIRROR_DOWN, MIRROR_CAUGHT_UP])
    assert len(mirrored.mirror.versions) == 1


def test_what_fails_half_way_goes_on_from_there(mirrored: Mirrored) -> None:
    for number in range(1, 5):
        mirrored.registered(number)
    put, failing = mirrored.mirror.put, ["other@0000000003"]

    def fails(version: TrackedVersion) -> None:
        if version.label in failing:
            raise OSError("a broken pipe")
        put(version)

    mirrored.mirror.put = fails  # type: ignore[method-assign]
    mirrored.process()
    assert "other@0000000004" not in mirrored.mirror.versions
    assert mirrored.mark() == sorted(mirrored.mirror.versions)
    assert mirrored.process.outage is not None
    assert "a broken pipe" in mirrored.process.outage.message
    failing.clear()
    mirrored.process()
    assert len(mirrored.mirror.versions) == 5
    assert mirrored.told() == [MIRROR_DOWN, MIRROR_CAUGHT_UP]


def test_what_it_cannot_hold_is_told_and_left_out(mirrored: Mirrored) -> None:
    for number in (1, 2):
        mirrored.registered(number)
    put = mirrored.mirror.put

    def refuses(version: TrackedVersion) -> None:
        if version.label == "other@0000000001":
            raise TerminalError("MirrorRefused", f"MLflow does not take {version.label}: too long")
        put(version)

    mirrored.mirror.put = refuses  # type: ignore[method-assign]
    mirrored.process()
    mirrored.started()()
    assert "other@0000000002" in mirrored.mirror.versions
    assert mirrored.told() == [MIRROR_REFUSED]
    assert mirrored.process.outage is None


def test_a_crash_before_it_is_noted_doubles_nothing(mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:

        def dies(*given: object) -> None:
            raise ConflictError("another leads")

        patch.setattr(mirrored.world.ports.state, "set_mirror_mark", dies)
        with pytest.raises(ConflictError):
            mirrored.process()
    assert (len(mirrored.mirror.versions), mirrored.mark()) == (1, [])
    mirrored.process = mirrored.started()
    mirrored.process()
    assert mirrored.mark() == list(mirrored.mirror.versions)


def test_a_name_that_goes_after_a_crash_goes_there_too(mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was set there, and nobody could note that any more."""
    name = mirrored.mirror.name

    def dies(training: str, aliases: Mapping[str, str | None]) -> None:
        name(training, aliases)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mirrored.mirror, "name", dies)
        with pytest.raises(KeyboardInterrupt):
            mirrored.process()
    assert mirrored.mirror.aliases[JOB.name].keys() == {"champion"}
    mirrored.world.ports.registry.forget(JOB.name, mirrored.world.token)
    mirrored.process = mirrored.started()
    mirrored.process()
    assert mirrored.mirror.aliases == {JOB.name: {}}


def test_who_does_not_lead_any_more_sends_nothing(mirrored: Mirrored) -> None:
    mirrored.going = False
    mirrored.process()
    assert mirrored.mirror.versions == {}
    mirrored.going = True
    mirrored.process()
    assert len(mirrored.mirror.versions) == 1


@pytest.mark.parametrize("content", [None, b"something else"])
def test_a_model_file_that_is_lost_or_damaged_is_left_out(
    mirrored: Mirrored, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    found = mirrored.registered(7, "lost" if content is None else "damaged", files=False)
    if content is not None:
        storage.write_bytes(found.artifact, content)
    mirrored.process()
    label = f"{found.training}@{found.version}"
    assert "model.txt" not in mirrored.mirror.versions[label].files
    assert f"{label} is mirrored without its model file" in caplog.text


def test_a_storage_that_does_not_answer_is_waited_for(mirrored: Mirrored, monkeypatch: pytest.MonkeyPatch) -> None:
    mirrored.registered(8)

    def fails(path: str) -> bytes:
        raise OSError("the storage is away")

    with monkeypatch.context() as patch:
        patch.setattr("framework.storage.read_bytes", fails)
        mirrored.process()
        assert mirrored.mirror.versions == {}
        assert mirrored.process.outage is not None
        assert "the storage is away" in mirrored.process.outage.message
    mirrored.process()
    assert len(mirrored.mirror.versions) == 2


# ------------------------------------------------------------------- MLflow itself


def wired(mirrored: Mirrored, root: Path, address: str) -> Mirroring:
    mirrored.address = address
    process = mirrored.started()
    settings = replace(process.project.settings, root=root)
    process.project = replace(process.project, settings=settings, mirror=mirrors(settings))
    return process


@pytest.mark.slow
def test_mlflow_has_what_the_registry_has(mirrored: Mirrored, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    model, other = mirrored.world.ports.registry.versions(JOB.name)[0], mirrored.registered(9)
    process = wired(mirrored, tmp_path, "sqlite:///.mlops/mlflow.db")
    assert process() >= EVERY
    assert process.outage is None
    client = MlflowClient(*[f"sqlite:///{tmp_path}/.mlops/mlflow.db"] * 2)
    named = client.get_model_version_by_alias(f"local.{JOB.name}", "champion")
    assert named.tags["mlops.build"] == model.version
    run = client.get_run(named.run_id)
    assert run.data.metrics == model.metrics
    assert run.data.tags["mlops.commit"] == model.commit
    (second,) = client.search_model_versions("name = 'local.other'")
    files = {item.path for item in client.list_artifacts(second.run_id, "model")}
    assert files == {f"model/{name}" for name in ("model.txt", "signature.json", "README.md", "card.html")}
    kept = next((tmp_path / ".mlops" / "mlflow-artifacts").rglob("model.txt"))
    assert kept.read_bytes() == MODEL
    assert second.tags["mlops.sha256"] == other.sha256


def test_a_link_does_not_lead_a_mirror_out_of_the_project(mirrored: Mirrored, tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / ".mlops").mkdir(parents=True)
    (root / ".mlops" / "mlflow.db").symlink_to(tmp_path / "elsewhere.db")
    process = wired(mirrored, root, "sqlite:///.mlops/mlflow.db")
    process()
    assert process.outage is not None
    assert "leads to" in process.outage.message
    assert [path.name for path in tmp_path.iterdir()] == ["project"]
