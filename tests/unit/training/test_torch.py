"""Networks: what they are asked with, that a fit goes on as if nothing had happened, and what cannot be trained."""

from __future__ import annotations

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import ray
import torch
from safetensors.numpy import load as opened
from safetensors.numpy import save

from framework import installed
from framework.answers import ModelOutput
from framework.api.tasks import Task
from framework.kinds.training_job.network import LOOP
from framework.scores import auc
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.formats import torch_safetensors
from framework.workloads.formats.torch_safetensors import NetworkInputs
from framework.workloads.training import torch as trainer
from framework.workloads.training import torch_network
from framework.workloads.training.trainer import FitSettings, Part, TrainingData
from framework.workloads.training.trainers import TRAINERS, chosen
from tests.unit.training.test_tasks import Reports, data
from tests.unit.training.test_trainers import DATA, SIGNATURE, Recorder
from tests.unit.training.test_xgboost import Kept

TORCH = TRAINERS["torch"]
NETWORKS = "tests.unit.training.networks"
LEARNS = {"learningRate": 0.01, "batchSize": 256}
SETTINGS = FitSettings({}, 5, 3, entrypoint=f"{NETWORKS}:layers", loop=LEARNS)


def named(function: str, **more: Any) -> FitSettings:
    return replace(SETTINGS, entrypoint=f"{NETWORKS}:{function}", **more)


@pytest.mark.parametrize(("optimizer", "precision"), [("adam", "float32"), ("adamw", "bfloat16"), ("sgd", "float32")])
def test_a_fit_that_goes_on_from_a_checkpoint_ends_with_the_same_bytes(optimizer: str, precision: str) -> None:
    settings = replace(SETTINGS, threads=2, loop={**LEARNS, "optimizer": optimizer, "precision": precision})
    given, whole = data(Task.MULTICLASS, weighted=True), Kept()
    artifact = TORCH.fit(given, settings, whole)
    assert whole.rounds == [1, 2, 3, 4, 5]
    assert whole.models[2].format != artifact.format
    watch = Kept((2, whole.models[2]))
    assert TORCH.fit(given, settings, watch).data == artifact.data
    assert watch.rounds == [3, 4, 5]
    assert TORCH.fit(given, settings, Kept((5, artifact))) is artifact


def test_epochs_are_looked_at_ten_times() -> None:
    watch = Reports()
    TORCH.fit(data(Task.REGRESSION), named("straight", rounds=25), watch)
    assert watch.rounds == [3, 6, 9, 12, 15, 18, 21, 24, 25]


def test_all_that_is_set_for_a_fit_is_as_before_afterwards() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    TORCH.fit(data(Task.REGRESSION), named("straight", rounds=1, threads=before[0] + 1), Reports())
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_gaps_and_categories_that_were_never_seen_are_answered(tmp_path: Path) -> None:
    artifact = TORCH.fit(DATA, SETTINGS, Recorder())
    path, sha256 = models.save(str(tmp_path), artifact.data, artifact.format)
    predictor = models.load(path, sha256, artifact.format, SIGNATURE)
    assert auc(DATA.validation.y, predictor._score(DATA.validation.x)) > 0.7
    median = float(np.nanmedian(DATA.train.x[:, 1]))
    rows = [
        {"carrier": "C", "delay": None, "wind": 0.1},
        {"carrier": "C", "delay": median, "wind": 0.1},
        {"carrier": "never seen", "delay": median, "wind": 0.1},
        {"carrier": None, "delay": median, "wind": 0.1},
        {"carrier": None, "delay": 1e300, "wind": 3e38},
    ]
    answers = predictor.predict(models.frame_of(rows, SIGNATURE))
    predictor.output.check(answers, len(rows))
    assert answers[0] == answers[1] > answers[2] == answers[3]


def test_what_a_network_sees_is_standardised_and_one_column_for_each_category() -> None:
    x = np.array([[1.0, 0, np.nan, 5], [np.nan, 2, np.nan, 5], [3, np.nan, np.nan, 5], [4, 0, np.nan, 5]])
    prepared = NetworkInputs.learned(lambda index: x[:, index], x.shape[1], {1: 3, 3: 0}, None).prepared(x)
    filled = np.array([1.0, 3, 3, 4])
    np.testing.assert_allclose(prepared[:, 0], (filled - filled.mean()) / filled.std(), rtol=1e-6)
    assert prepared[:, 1:4].tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]]
    assert not prepared[:, 4:].any()
    assert prepared.shape[1] == TrainingData(Part(x, x[:, 0]), Part(x, x[:, 0]), tuple("abcd"), {1: 3, 3: 0}).width


def test_a_number_of_any_size_is_learned() -> None:
    given = data(Task.REGRESSION)
    large = TrainingData(
        Part(given.train.x, given.train.y * 1e5 + 1e7), given.validation, given.names, given.categories, given.output
    )
    watch = Reports()
    TORCH.fit(large, SETTINGS, watch)
    assert watch.answers is not None
    assert np.corrcoef(watch.answers, given.validation.y)[0, 1] > 0.9
    assert abs(watch.answers.mean() - 1e7 - given.train.y.mean() * 1e5) < 2e4


def test_a_search_varies_the_loop_and_the_network() -> None:
    given, watch = data(Task.REGRESSION), Reports()
    small = TORCH.fit(given, replace(SETTINGS, rounds=1, params={"learningRate": 1e-9}), watch)
    slow = watch.answers
    assert slow is not None
    TORCH.fit(given, replace(SETTINGS, rounds=1), watch)
    assert watch.answers is not None
    assert np.abs(slow - watch.answers).max() > 0.01
    wide = TORCH.fit(given, replace(SETTINGS, rounds=1, params={"learningRate": 1e-9, "hidden": 64}), Reports())
    assert len(wide.data) > len(small.data)


def test_the_spec_and_the_trainer_know_the_same_of_the_loop() -> None:
    assert set(LOOP) == set(trainer.LOOP)
    form = {"entrypoint": "a:b", "params": {"hidden": 8}, "epochs": 4, **trainer.LOOP}
    name, settings = chosen({"torch": form, "sklearn": None}, 1, 2)
    assert (name, settings.rounds, settings.entrypoint, settings.loop) == ("torch", 4, "a:b", trainer.LOOP)


@pytest.mark.parametrize(
    ("settings", "reason", "told"),
    [
        (named("wrong"), "TrainerFailed", r"networks:wrong raised KeyError: 'missing'"),
        (named("no_network"), "WrongType", "returned str; a torch.nn.Module is expected"),
        (named("nothing_to_learn"), "WrongType", "a network that has nothing to learn"),
        (named("too_wide"), "WrongAnswers", r"outputs of shape \(2, 7\) .* task binary needs \(2,\)"),
        (named("too_narrow"), "TrainerFailed", r"mat1 and mat2 .*, given inputs of shape \(2, 6\)"),
        (named("own_way"), "NotExportable", "cannot be stored as a graph: .*data-dependent"),
        (named("exploding"), "LossNotFinite", "the loss of epoch 1 is (nan|inf): lower learningRate"),
        (named("nothing"), "EntrypointMissing", "has no function 'nothing'"),
        (replace(SETTINGS, loop={"batchSize": 0}), "UnknownParameter", "batchSize must be .* from 1 on.*, found 0"),
        (replace(SETTINGS, params={"learningRate": -1}), "UnknownParameter", "learningRate must be .* found -1"),
        (replace(SETTINGS, params={"optimizer": "Adam"}), "UnknownParameter", "one of adam, adamw, sgd, found 'Adam'"),
        (replace(SETTINGS, loop={"precision": "int8"}), "UnknownParameter", "precision must be one of float32, bf"),
    ],
)
def test_what_cannot_be_trained_is_named_and_leaves_no_model(settings: FitSettings, reason: str, told: str) -> None:
    watch = Recorder()
    with pytest.raises(WorkloadError, match=told) as caught:
        TORCH.fit(DATA, settings, watch)
    assert caught.value.reason == reason
    assert watch.models == []


def test_answers_that_are_not_finite_are_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A last step may ruin what the loss was measured before."""
    ask = torch_network.ask

    def spoilt(*given: Any) -> Any:
        found = ask(*given)
        found[:3] = np.nan
        return found

    monkeypatch.setattr(torch_network, "ask", spoilt)
    with pytest.raises(WorkloadError, match=r"after epoch 1 the network answers 3 of 1,000 validation rows with no"):
        TORCH.fit(DATA, SETTINGS, Recorder())


def test_a_stored_network_that_answers_otherwise_is_refused_with_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = torch_network.ask
    monkeypatch.setattr(torch_network, "ask", lambda *given: ask(*given) + 0.002)
    with pytest.raises(WorkloadError, match=r"up to 0\.002 in probability otherwise .* at most 0\.0001") as caught:
        TORCH.fit(DATA, SETTINGS, Recorder())
    assert caught.value.reason == "StoredDiffers"


@pytest.mark.parametrize("task", [Task.QUANTILE, Task.RANKING])
def test_tasks_that_it_does_not_learn_are_refused(task: Task) -> None:
    with pytest.raises(WorkloadError, match=f"torch cannot learn task {task} .it learns binary, multiclass, regr"):
        TORCH.fit(data(task), SETTINGS, Reports())


def test_what_is_not_installed_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = TORCH.fit(DATA, replace(SETTINGS, rounds=1), Recorder())
    monkeypatch.setattr(installed, "is_there", lambda package: package not in ("torch", "onnxruntime"))
    with pytest.raises(WorkloadError, match=r"onnxruntime and torch are not installed: pip .*\[torch\b") as caught:
        TORCH.fit(DATA, SETTINGS, Recorder())
    assert caught.value.reason == "PackageMissing"
    with pytest.raises(WorkloadError, match="onnxruntime is not installed"):
        torch_safetensors.load(artifact.data, DATA.output)


# -- the file --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def artifact() -> bytes:
    return TORCH.fit(DATA, replace(SETTINGS, rounds=1), Recorder()).data


def taken_apart(data: bytes) -> tuple[dict[str, Any], onnx.ModelProto]:
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return opened(data), onnx.ModelProto.FromString(base64.b64decode(header["__metadata__"]["onnx"]))


def test_a_file_names_no_file_of_the_machine_and_no_code(artifact: bytes) -> None:
    tensors, graph = taken_apart(artifact)
    text = str(graph)
    for word in ("site-packages", "tests", "networks", ".py", "stack_trace"):
        assert word not in text
    assert {name.partition(".")[0] for name in tensors} == {"prepare", "weights"}
    assert len(graph.graph.initializer) == 0


def test_a_graph_that_names_another_file_is_refused(artifact: bytes) -> None:
    tensors, graph = taken_apart(artifact)
    inner = onnx.numpy_helper.from_array(np.zeros(1, np.float32), "elsewhere")
    onnx.external_data_helper.set_external_data(inner, "weights.bin")
    inner.ClearField("raw_data")
    graph.graph.node.append(onnx.helper.make_node("Constant", [], ["more"], value=inner))
    spoilt = save(tensors, {"onnx": base64.b64encode(graph.SerializeToString()).decode()})
    with pytest.raises(ValueError, match="names other files"):
        torch_safetensors.load(spoilt, DATA.output)


@pytest.mark.parametrize("spoilt", [b"no model", b"", b"\x02\0\0\0\0\0\0\0{}"])
def test_bytes_that_are_no_network_are_told(spoilt: bytes, tmp_path: Path) -> None:
    path, sha256 = models.save(str(tmp_path), spoilt, "torch-safetensors")
    with pytest.raises(WorkloadError, match="is no valid torch-safetensors file") as caught:
        models.load(path, sha256, "torch-safetensors", SIGNATURE)
    assert caught.value.reason == "ArtifactUnreadable"


def test_probabilities_are_exact_at_both_ends() -> None:
    preparation = NetworkInputs.learned(lambda index: np.zeros(2), 1, {}, None)
    ends = np.array([-800.0, -20.0, 0.0, 800.0], dtype=np.float32)
    binary = preparation.answers(ends, ModelOutput("y"))
    assert binary.tolist() == [0.0, pytest.approx(2.0611536e-09), 0.5, 1.0]
    classes = ModelOutput("y", Task.MULTICLASS, classes=("a", "b"))
    assert preparation.answers(ends.reshape(2, 2), classes).sum(axis=1).tolist() == [1.0, 1.0]


# -- several workers, and GPUs ---------------------------------------------------------------------------------------


def test_a_gpu_is_taken_where_ray_gave_one_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert trainer._device() == torch.device("cpu")
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "get_gpu_ids", list)
    assert trainer._device() == torch.device("cpu")
    monkeypatch.setattr(ray, "get_gpu_ids", lambda: [5])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert trainer._device() == torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(WorkloadError, match=r"PyTorch cannot use it: .* leave out resources\.gpusPerWorker"):
        trainer._device()


class Workers:
    """Two workers as threads: what they tell each other is what ``torch.distributed`` would tell them."""

    def __init__(self) -> None:
        self.met = threading.Barrier(2, timeout=60)
        self.told: list[torch.Tensor] = []

    def broadcast(self, value: torch.Tensor, src: int) -> None:
        """Networks of one seed are equal already."""

    def all_reduce(self, flat: torch.Tensor) -> None:
        self.told.append(flat.clone())
        self.met.wait()
        found = self.told[0] + self.told[1]
        if self.met.wait() == 0:
            self.told.clear()
        self.met.wait()
        flat.copy_(found)


def test_two_workers_take_the_steps_that_one_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step an epoch, over 599 rows that weigh differently: gradients are means over the rows of both."""
    together, whole = Workers(), data(Task.BINARY, weighted=True)
    given = replace(whole, train=whole.train.of(np.arange(599)))
    monkeypatch.setattr(torch.distributed, "broadcast", together.broadcast)
    monkeypatch.setattr(torch.distributed, "all_reduce", together.all_reduce)
    monkeypatch.setattr(torch_network, "try_out", lambda *given: None)
    settings = named("straight", loop={"batchSize": 599, "learningRate": 0.5, "optimizer": "sgd"})
    alone, *both = (
        trainer._Fit(given, replace(settings, rank=rank, workers=workers)) for rank, workers in ((0, 1), (0, 2), (1, 2))
    )
    before = alone._network.line.weight.detach().clone()

    def learn(fit: trainer._Fit) -> None:
        for epoch in range(1, 4):
            fit._learn(epoch)

    learn(alone)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(learn, both))
    after = [fit._network.line.weight.detach() for fit in (alone, *both)]
    assert (after[0] - before).abs().max() > 0.1
    torch.testing.assert_close(after[1], after[0], rtol=1e-5, atol=1e-6)
    assert torch.equal(after[1], after[2])


@pytest.mark.parametrize("rows", [2, 3, 11, 100])
def test_workers_take_equal_steps_and_see_each_row_once(rows: int) -> None:
    workers = 2
    steps = trainer._steps(rows, workers, 4)
    shards = [len(np.arange(rows)[rank::workers]) for rank in range(workers)]
    chunks = [[len(part) for part in np.array_split(np.arange(shard), steps)] for shard in shards]
    found = [trainer._rows_of_step(rows, workers, steps, step) for step in range(steps)]
    assert found == [sum(sizes) for sizes in zip(*chunks, strict=True)]
    assert sum(found) == rows
    assert min(min(sizes) for sizes in chunks) >= 1


def test_rows_that_workers_cannot_share_are_told() -> None:
    with pytest.raises(WorkloadError, match="1 rows to learn from cannot be shared by 2 workers"):
        trainer._steps(1, 2, 4)
