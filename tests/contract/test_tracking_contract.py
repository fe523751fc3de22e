from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from framework.api.errors import TransientError
from framework.backends.memory import MemoryMirror
from framework.backends.tracking import MlflowMirror, sqlite_url
from framework.ports import TrackedVersion
from tests.contract.suites.tracking import FILES, MirrorWorld, TrackingMirrorContract, tracked
from tests.mlflow_server import served

_ENVIRONMENTS = (f"e{number}" for number in itertools.count())


class TestMemoryMirror(TrackingMirrorContract):
    @pytest.fixture
    def world(self) -> MirrorWorld:
        mirror = MemoryMirror()

        def break_down(patch: pytest.MonkeyPatch) -> None:
            patch.setattr(mirror, "failure", TransientError("down"))

        return MirrorWorld(
            lambda: mirror,
            lambda: list(mirror.versions.values()),
            lambda training: mirror.aliases[training],
            break_down,
        )


class Mlflow(TrackingMirrorContract):
    """Each test in an environment of its own: to make a database takes seconds."""

    @pytest.fixture
    def environment(self) -> str:
        return next(_ENVIRONMENTS)

    @pytest.fixture
    def world(self, environment: str, opened: tuple[str, Path | None], tmp_path: Path) -> MirrorWorld:
        address, artifacts = opened
        seen = MlflowSeen(address, environment, tmp_path)

        def break_down(patch: pytest.MonkeyPatch) -> None:
            patch.setattr("mlflow.MlflowClient.get_experiment_by_name", Mock(side_effect=OSError("line\nline")))
            patch.setattr("mlflow.MlflowClient.search_registered_models", Mock(side_effect=OSError("line\nline")))

        return MirrorWorld(
            lambda: MlflowMirror(address, environment, artifacts), seen.versions, seen.aliases, break_down
        )

    def test_one_that_was_written_in_part_is_completed(
        self, world: MirrorWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for verb in ("create_run", "log_batch", "log_artifacts", "create_model_version", "set_terminated"):
            real = getattr(world.open()._client, verb)  # type: ignore[attr-defined]
            with monkeypatch.context() as patch:

                def dies(client: Any, *given: Any, real: Any = real, **named: Any) -> None:
                    real(*given, **named)
                    raise OSError("the machine went down")

                patch.setattr(f"mlflow.MlflowClient.{verb}", dies)
                with pytest.raises(TransientError):
                    world.open().put(tracked("0a1b2c3d4e"))
        world.open().put(tracked("0a1b2c3d4e"))
        assert list(world.versions()) == [tracked("0a1b2c3d4e")]

    def test_an_alias_that_mlflow_keeps_for_itself_is_left_out(self, world: MirrorWorld) -> None:
        world.open().put(tracked("a" * 10))
        world.open().name("delay", {"v1": "a" * 10, "latest": "a" * 10, "old": "a" * 10})
        assert world.aliases("delay") == {"old": "a" * 10}

    def test_an_experiment_that_was_deleted_there_is_told(self, world: MirrorWorld, environment: str) -> None:
        mirror = world.open()
        mirror.put(tracked("a" * 10))
        client = mirror._client  # type: ignore[attr-defined]
        client.delete_experiment(client.get_experiment_by_name(f"mlops/{environment}").experiment_id)
        with pytest.raises(TransientError, match="was deleted in MLflow: restore it there"):
            mirror.put(tracked("b" * 10))


class TestMlflowDatabase(Mlflow):
    @pytest.fixture(scope="class")
    def opened(self, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
        folder = tmp_path_factory.mktemp("ml flow")
        return sqlite_url(folder / "mlflow.db"), folder / "artifacts"


@pytest.mark.slow
class TestMlflowServer(Mlflow):
    @pytest.fixture(scope="class")
    def opened(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, None]]:
        with served(tmp_path_factory.mktemp("server")) as address:
            yield address, None


def test_a_server_that_is_not_there_is_told_in_a_few_words() -> None:
    for address in ("http://127.0.0.1:1", "http://nowhere.invalid:5000"):
        with pytest.raises(TransientError, match=r"^MLflow does not answer: \w+$"):
            MlflowMirror(address, "local").put(tracked("a" * 10))


def test_without_its_package_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framework.installed.is_there", lambda package: package != "mlflow")
    with pytest.raises(TransientError, match=r"mlflow is not installed: pip install 'mlopsctl\[mlflow\]"):
        MlflowMirror("http://127.0.0.1:1", "local").put(tracked("a" * 10))


class MlflowSeen:
    """What MLflow's own client finds of an environment."""

    def __init__(self, address: str, environment: str, folder: Path) -> None:
        self._address, self._environment, self._folder = address, environment, folder

    def _client(self) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(self._address, self._address)

    def versions(self) -> Sequence[TrackedVersion]:
        client = self._client()
        experiment = client.get_experiment_by_name(f"mlops/{self._environment}")
        runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
        return [self._version(client, run) for run in runs]

    def _version(self, client: Any, run: Any) -> TrackedVersion:
        (registered,) = client.search_model_versions(f"run_id = '{run.info.run_id}'")
        tags = run.data.tags
        training, build = tags["mlops.training"], tags["mlops.build"]
        assert (run.info.status, run.info.run_name) == ("FINISHED", f"{training}@{build}")
        assert registered.name == f"{self._environment}.{training}"
        assert (registered.tags["mlops.build"], registered.tags["mlops.commit"]) == (build, tags["mlops.commit"])
        assert registered.source == f"{run.info.artifact_uri}/model"
        histories = (client.get_metric_history(run.info.run_id, name) for name in list(run.data.metrics)[:3])
        assert all(len(history) == 1 for history in histories), "a value is told once"
        own = ("mlops.training", "mlops.build", "mlops.format")
        return TrackedVersion(
            training, build, tags["mlops.commit"], datetime.fromtimestamp(run.info.start_time / 1000, UTC),
            run.data.metrics, run.data.params, {name: tags[name] for name in own}, self._files(client, run),
        )  # fmt: skip

    def _files(self, client: Any, run: Any) -> Mapping[str, bytes]:
        names = [item.path for item in client.list_artifacts(run.info.run_id, "model")]
        assert set(names) <= {f"model/{name}" for name in FILES}
        paths = [Path(client.download_artifacts(run.info.run_id, name, str(self._folder))) for name in names]
        return {path.name: path.read_bytes() for path in paths}

    def aliases(self, training: str) -> Mapping[str, str]:
        client, name = self._client(), f"{self._environment}.{training}"
        found = client.get_registered_model(name).aliases
        return {alias: client.get_model_version(name, number).tags["mlops.build"] for alias, number in found.items()}
