"""A training set in files: the same rows, the same shares, and the same models or as good ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framework import storage
from framework.answers import Matrix, ModelOutput
from framework.api.trainers import TRAINER_FORMS
from framework.scores import auc
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.training import loading, shards
from framework.workloads.training.dataset import TrainingSet
from framework.workloads.training.shards import Shards
from framework.workloads.training.torch_rows import StreamedRows
from framework.workloads.training.trainer import FitSettings, Part, TrainingData
from framework.workloads.training.trainers import TRAINERS
from tests.unit.training.test_tasks import Reports
from tests.unit.training.test_xgboost import Kept

NETWORK = "tests.unit.training.networks:layers"


def frame(rows: int, seed: int) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=rows)
    gaps = pl.Series("x", x).scatter(generator.choice(rows, rows // 10, replace=False), None)
    carrier = generator.choice(["A", "B", "C", "D"], rows)
    late = x + (carrier == "B") + generator.normal(scale=0.5, size=rows) > 0.5
    return pl.DataFrame({"carrier": carrier, "x": gaps, "n": generator.integers(0, 9, rows), "late": late})


def written(
    folder: Path, rows: int = 1200, weight: bool = False, groups: bool = False, file_bytes: int = 8 * 3 * 100
) -> tuple[Shards, TrainingData]:
    """The same set in files of 100 rows, and in memory."""
    frames = {"train": frame(rows, 1), "validation": frame(250, 2)}
    output = ModelOutput("late")
    signature = models.signature_of(frames["train"], ["carrier", "x", "n"], [], output)
    encoder = models.Encoder(signature)

    def part(name: str) -> Part:
        height = frames[name].height
        numbers = np.arange(height, dtype=np.float64)
        return Part(
            encoder.matrix(frames[name]), output.truth(frames[name]),
            numbers % 3 if weight else None, numbers // 7 if groups else None,
        )  # fmt: skip

    data = TrainingData(part("train"), part("validation"), ("carrier", "x", "n"), {0: 4}, output)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "FILE_BYTES", file_bytes)
        sizes = {
            name: shards.write(f"{folder}/shards/set", "d" * 64, name, frames[name], getattr(data, name), signature)
            for name in frames
        }
    return Shards(f"{folder}/shards/set", sizes, signature, data.categories, output), data


def equal(one: Part, other: Part) -> bool:
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("x", "y", "weight", "groups")]
    return all(np.array_equal(a, b, equal_nan=True) if a is not None else b is None for a, b in pairs)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(11, 60),
    each=st.integers(1, 70),
    workers=st.integers(1, 4),
    weight=st.booleans(),
    groups=st.booleans(),
)
def test_whatever_is_read_of_files_is_what_memory_has(
    tmp_path_factory: pytest.TempPathFactory, rows: int, each: int, workers: int, weight: bool, groups: bool
) -> None:
    found, data = written(tmp_path_factory.mktemp("set"), rows, weight, groups, 8 * 3 * each)
    opened = found.open(held=False)
    assert (opened.names, opened.categories, opened.output) == (data.names, data.categories, data.output)
    assert all(equal(getattr(opened, name), getattr(data, name)) for name in ("train", "validation"))
    assert equal(found.open(held=True).train, data.train)
    for rank in range(workers):
        mine, share = opened.train.shard(rank, workers), data.train.shard(rank, workers)
        assert equal(mine, share)
        assert [len(batch.y) for batch in mine.each_batch()] == list(mine.sizes)
        assert max(mine.sizes) <= each
        assert np.array_equal(np.concatenate([batch.x for batch in mine.each_batch()]), share.x, equal_nan=True)
        assert np.array_equal(mine.column(1), share.x[:, 1], equal_nan=True)
        turned = np.arange(len(share.y))[::-1]
        assert equal(mine.of(turned), share.of(turned))


FITS: Mapping[str, FitSettings] = {
    "lightgbm": FitSettings({"min_data_in_leaf": 20}, 20, 7),
    "xgboost": FitSettings({"max_depth": 4}, 20, 7),
    "torch": FitSettings({}, 3, 7, entrypoint=NETWORK, loop={"learningRate": 0.01, "batchSize": 64}),
    "sklearn": FitSettings({}, 1, 7, entrypoint="sklearn.linear_model.LogisticRegression"),
}


@pytest.mark.parametrize("name", FITS)
def test_a_worker_that_reads_files_into_memory_learns_the_same_bytes(name: str, tmp_path: Path) -> None:
    found, data = written(tmp_path, weight=True)
    held = loading.opened(found, FITS[name])
    expected = TRAINERS[name].fit(data, FITS[name], Reports())
    assert TRAINERS[name].fit(held, FITS[name], Reports()).data == expected.data


@pytest.mark.parametrize("name", sorted(name for name, form in TRAINER_FORMS.items() if form.streams))
def test_one_that_streams_never_asks_for_all_rows_and_learns_as_much_and_twice_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, data = written(tmp_path, weight=True)
    streaming = replace(FITS[name], stream=True)
    watches = [Reports(), Reports()]

    def refuse(self: Any) -> Matrix:
        raise AssertionError("all rows at once")

    with monkeypatch.context() as patch:
        patch.setattr(shards.StreamedPart, "x", property(refuse))
        artifacts = [TRAINERS[name].fit(loading.opened(found, streaming), streaming, watch) for watch in watches]
    assert artifacts[0].data == artifacts[1].data
    alone = Reports()
    expected = TRAINERS[name].fit(data, FITS[name], alone)
    assert auc(data.validation.y, watches[0].answers) > auc(data.validation.y, alone.answers) - 0.02
    if name == "lightgbm":
        assert artifacts[0].data == expected.data, "it draws the same rows to find its bins from, in whatever form"


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_one_that_streams_goes_on_from_a_checkpoint(name: str, tmp_path: Path) -> None:
    found, data = written(tmp_path)
    streaming = replace(FITS[name], stream=True)
    before = (12, TRAINERS[name].fit(data, replace(FITS[name], rounds=12), Reports()))
    watches = [Kept(before), Kept(before)]
    artifact = TRAINERS[name].fit(loading.opened(found, streaming), streaming, watches[0])
    expected = TRAINERS[name].fit(data, FITS[name], watches[1])
    assert watches[0].rounds == watches[1].rounds
    assert watches[0].rounds[0] > 12
    if name == "lightgbm":
        assert artifact.data == expected.data


def test_the_last_fit_learns_from_other_rows_of_the_same_files(tmp_path: Path) -> None:
    found, data = written(tmp_path, weight=True)
    both = pl.concat([frame(1200, 1), frame(250, 2)])
    dataset = TrainingSet(both, ("carrier", "x", "n"), (), "late", "at", 0, "d" * 64)
    spec = {"dataset": {"weight": "n"}}
    again = loading.replaced(found, both, dataset, found.signature, spec)
    sent = loading.replaced(data, both, dataset, found.signature, spec)
    assert isinstance(again, Shards)
    assert isinstance(sent, TrainingData)
    opened = again.open(held=False)
    assert equal(opened.train, sent.train)
    assert equal(opened.validation, data.validation)
    assert len(opened.train.y) == 1450


def test_a_network_sees_each_row_once_an_epoch_in_another_order(tmp_path: Path) -> None:
    import torch

    found, data = written(tmp_path)

    def tensors(part: Part) -> tuple[Any, ...]:
        return torch.from_numpy(part.x[:, 1:2].copy()), torch.from_numpy(part.y)

    rows = StreamedRows(found.open(held=False).train, tensors)
    epochs = [list(rows.steps([7, epoch], 19)) for epoch in (1, 2)]
    sizes = [len(step[0]) for step in epochs[0]]
    assert len(sizes) == 19
    assert max(sizes) - min(sizes) <= 1
    seen = [np.concatenate([step[0].numpy()[:, 0] for step in epoch]) for epoch in epochs]
    assert not np.array_equal(*seen, equal_nan=True)
    for one in seen:
        assert np.array_equal(np.sort(one), np.sort(data.train.x[:, 1]), equal_nan=True)


def test_what_an_attempt_wrote_is_taken_by_the_next_and_removed_at_the_end(tmp_path: Path) -> None:
    first, _ = written(tmp_path)
    before = {file: Path(file).stat().st_mtime_ns for file in storage.list_files(first.folder)}
    assert len(before) == (12 + 2) + (3 + 2)
    again, _ = written(tmp_path)
    assert {file: Path(file).stat().st_mtime_ns for file in storage.list_files(again.folder)} == before
    Path(f"{first.folder}/train.json").unlink()  # the attempt before died on the way
    written(tmp_path)
    assert Path(f"{first.folder}/train.json").exists()
    shards.remove(str(tmp_path))
    assert storage.list_files(first.folder) == []


@pytest.mark.parametrize(
    ("loading_", "dense", "workers", "memory", "streams", "expected"),
    [
        ("auto", (100, 10), 1, None, True, "sent"),
        ("memory", (100, 10), 1, None, True, "sent"),
        ("auto", (2**28, 0), 1, None, True, "held"),
        ("auto", (2**30, 0), 1, 2**30, True, "streamed"),
        ("auto", (2**30, 0), 1, 2**32, True, "held"),
        ("auto", (2**30, 0), 4, 2**30, True, "held"),
        ("auto", (2**30, 0), 1, 2**30, False, "held"),
        ("memory", (2**30, 0), 1, 2**30, True, "held"),
        ("stream", (100, 10), 1, None, True, "streamed"),
    ],
)
def test_size_decides_how_rows_come_to_the_workers(
    loading_: str, dense: tuple[int, int], workers: int, memory: int | None, streams: bool, expected: str
) -> None:
    assert loading.way(loading_, dense, workers, memory, streams) == expected


def test_rows_that_cannot_fit_are_told_before_anybody_tries() -> None:
    with pytest.raises(
        WorkloadError, match=r"2,048 MiB as a matrix, and resources\.memoryPerWorker is 1GiB: "
    ) as caught:
        loading.way("auto", (2**31, 0), 1, 2**30, False)
    assert caught.value.reason == "NotEnoughMemory"
