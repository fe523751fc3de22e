"""Nothing that was trained is lost because the storage is away for a while."""

from __future__ import annotations

import errno
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framework import storage
from framework.api.tasks import Task
from framework.workloads import models, persistence
from framework.workloads.context import RunContext
from framework.workloads.training import train
from framework.workloads.training.alone import FitWorker
from framework.workloads.training.checkpoints import Checkpoints
from framework.workloads.training.trainer import FitSettings
from framework.workloads.training.trainers import TRAINERS
from tests.contract import training_driver as driver
from tests.unit.training.test_tasks import data
from tests.unit.training.test_train import FORMS, fit


class AwayStorage:
    """Each file below ``folder`` can be written at the try after ``failures`` alone; what was waited for is kept."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path, failures: int) -> None:
        self.tried, self.waited = Counter[str](), list[float]()
        write = storage.write_bytes

        def away(uri: str, content: bytes) -> None:
            self.tried[uri] += 1
            if uri.startswith(str(folder)) and self.tried[uri] <= failures:
                raise OSError(errno.EIO, "the store is away", uri)
            write(uri, content)

        patch.setattr(storage, "write_bytes", away)
        patch.setattr("framework.workloads.profiling.write_bytes", away)
        patch.setattr(persistence, "pause", self.waited.append)


def test_a_model_is_written_once_its_storage_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []

    def once(*given: Any) -> Any:
        fits.append(given)
        return fit(*given)

    monkeypatch.setattr(train.cluster, "join", lambda: None)
    monkeypatch.setattr(train.cluster, "require", lambda *_: None)
    monkeypatch.setattr(train, "fit", once)
    payload = {
        "training": "delay", "identity": "i", "build": "b", "spec": FORMS[Task.BINARY], "views": driver.views(tmp_path),
        "model_folder": str(tmp_path / "model"), "commit": "c0ffee0000", "seed": 7,
    }  # fmt: skip
    context = RunContext("b", 1, payload, str(tmp_path), str(tmp_path / "run"), {}, lambda done, told: None)
    away = AwayStorage(monkeypatch, tmp_path / "model", 2)
    result = dict(train.run(context))
    assert len(fits) == 1
    assert storage.read_json(str(tmp_path / "model" / "version.json")) == json.loads(json.dumps(result))
    assert models.load(result["artifact"], result["sha256"], result["format"], result["signature"])
    assert away.waited[:2] == [1, 2]


@pytest.fixture
def fitted(tmp_path: Path) -> Callable[[], str]:
    def run() -> str:
        settings = FitSettings({"min_data_in_leaf": 5}, 10, 1)
        place = str(tmp_path / "fit")
        assert FitWorker().fit(data(Task.BINARY), "lightgbm", settings, {"every": 100, "keep": 1}, place) is None
        found = Checkpoints(f"{place}/checkpoints", 1).newest()
        assert found is not None
        assert found[0].final
        return found[1].decode()

    return run


def test_what_a_worker_has_fitted_waits_for_the_storage(
    fitted: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = AwayStorage(monkeypatch, tmp_path / "fit" / "checkpoints", 6)
    settings = FitSettings({"min_data_in_leaf": 5}, 10, 1)

    class Silent:
        def resume(self) -> None:
            return None

        def report(self, rounds: int, scores: Any, model: Any) -> None:
            return None

    assert fitted() == TRAINERS["lightgbm"].fit(data(Task.BINARY), settings, Silent()).data.decode()
    assert away.waited[:6] == [1, 2, 4, 8, 15, 30]


def test_a_storage_that_stays_away_is_given_up_with_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(persistence, "pause", waited.append)

    def write() -> None:
        raise storage.StoreError("s3://b: slow down")

    with pytest.raises(storage.StoreError, match="slow down"):
        persistence.persistently(write)
    assert 600 <= sum(waited) <= 1800
    with pytest.raises(ValueError, match="no matter of the storage"):
        persistence.persistently(lambda: int("no matter of the storage"))
    assert len(waited) == len(persistence.WAITS)
