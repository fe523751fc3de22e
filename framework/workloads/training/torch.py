"""Networks of PyTorch: the user's code builds one, and the loop that fits it is ours. On one worker equal arguments
give equal bytes, also where a fit goes on from a checkpoint.

Several workers talk over ports of PyTorch's own, which know no authentication: a matter for a private network. One
worker opens none.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework import installed
from framework.answers import Matrix
from framework.api.tasks import Task
from framework.api.trainers import TorchTrainer
from framework.workloads.context import WorkloadError
from framework.workloads.failures import raised
from framework.workloads.formats import torch_safetensors
from framework.workloads.formats.torch_safetensors import NetworkInputs
from framework.workloads.training import torch_network
from framework.workloads.training.stopping import Stopping
from framework.workloads.training.torch_rows import HeldRows, StreamedRows, Tensors
from framework.workloads.training.trainer import (
    Artifact,
    FitSettings,
    Part,
    SeveralWorkers,
    TrainingData,
    Watch,
    stride,
)

LOOP: Mapping[str, Any] = {"batchSize": 256, "learningRate": 0.001, "optimizer": "adam", "precision": "float32"}
"""What a spec says of the loop, and what it is by default. A search may vary each, by its name."""
OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}
PRECISIONS = ("float32", "bfloat16")

_PACKAGES = ("torch", "onnxscript", *torch_safetensors.PACKAGES)
_TIMEOUT_S = 300
"""How long a worker waits for what another one adds to a step. A worker that dies is noticed at once."""


def _trainer() -> Any:
    from ray.train.torch import TorchConfig, TorchTrainer

    return partial(TorchTrainer, torch_config=TorchConfig(timeout_s=_TIMEOUT_S))


class Torch:
    """``entrypoint(data: TrainingData, params: dict)`` returns a ``torch.nn.Module``: from float32 (rows,
    ``data.width``) to (rows,), the logit of a binary label or a number, or to (rows, classes), a logit for each. A
    number is learned in standard deviations from the label's mean.

    Rows of a step are ``batchSize`` at most, those of all workers together, and each step follows the mean over them.
    Batch norm's averages are those of the first worker's rows."""

    several: SeveralWorkers | None = SeveralWorkers(_trainer)

    def fit(self, data: TrainingData, settings: FitSettings, watch: Watch) -> Artifact:
        """Learn for ``settings.rounds`` epochs, reporting after every tenth of them and at the end. Where
        the fit stops early, the last report is of the best epoch.

        Raises:
            WorkloadError: "PackageMissing"; "UnsupportedTask"; "UnknownParameter"; "NoDevice" for a GPU that PyTorch
                cannot use; what ``torch_network`` raises; "TrainerFailed" with what the network raised;
                "LossNotFinite" and "ScoresNotFinite" with the epoch.
            RuntimeError: another worker is gone, which another try may get over.
        """
        lacking = [package for package in _PACKAGES if not installed.is_there(package)]
        if lacking:
            raise WorkloadError("PackageMissing", f"trainer torch: {installed.advice(lacking)}")
        if data.output.task not in TorchTrainer.tasks:
            able = ", ".join(sorted(TorchTrainer.tasks))
            told = f"trainer torch cannot learn task {data.output.task} (it learns {able})"
            raise WorkloadError("UnsupportedTask", told)
        done = watch.resume()
        if done is not None and done[1].format != torch_network.CHECKPOINT:
            return done[1]
        with _settled(settings):
            return _Fit(data, settings).run(watch, done)


class _Fit:
    """One worker's part of a fit."""

    def __init__(self, data: TrainingData, settings: FitSettings) -> None:
        import torch

        self._data, self._settings, self._entrypoint = data, settings, settings.entrypoint
        params, self._loop = _divided(settings)
        task, part = data.output.task, data.train
        self._preparation = NetworkInputs.learned(
            part.column, len(data.names), data.categories, part.y if task is Task.REGRESSION else None
        )
        self._device = _device()
        mine = part.shard(settings.rank, settings.workers)
        self._steps = _steps(len(part.y), settings.workers, self._loop["batchSize"])
        self._mean_weight = 1.0 if part.weight is None else float(part.weight.mean()) or 1.0
        self._rows = (StreamedRows if settings.stream else HeldRows)(mine, self._tensors)
        _seed(settings.seed)
        self._network = torch_network.build(settings.entrypoint, data, params)
        torch_network.try_out(self._network, data, self._preparation, settings.entrypoint)
        self._network.to(self._device).train()
        if settings.workers > 1:
            for value in self._network.state_dict().values():
                torch.distributed.broadcast(value, src=0)
        self._parameters = [one for one in self._network.parameters() if one.requires_grad]
        kind = getattr(torch.optim, OPTIMIZERS[self._loop["optimizer"]])
        self._optimizer = kind(self._parameters, lr=self._loop["learningRate"])

    def run(self, watch: Watch, done: tuple[int, Artifact] | None) -> Artifact:
        rounds, epoch, best = self._settings.rounds, 0, None
        stopping = Stopping(self._data, self._settings, None if done is None else done[1].best)
        if done is not None:
            epoch, checkpoint = done
            best = torch_network.take_up(checkpoint, self._network, self._optimizer)
        while epoch < rounds and not stopping.over():
            epoch += 1
            self._learn(epoch)
            if stopping.asked and stopping.see(epoch, self._answers(epoch)):
                best = torch_network.weights(self._network)
            if epoch % stride(rounds) == 0 and epoch < rounds:
                kept = partial(torch_network.keep, self._network, self._optimizer, stopping.best, best)
                watch.report(epoch, self._answers(epoch), kept)
        epoch = stopping.kept(epoch)
        if best is not None:
            self._network.load_state_dict(best)
        self._answers(epoch)
        exported = torch_network.export(self._network, self._data, self._preparation, self._entrypoint)
        artifact = replace(exported, best=stopping.best)
        stored = torch_network.stored_answers(artifact, self._network, self._data, self._preparation, self._device)
        watch.report(epoch, stored, lambda: artifact, last=True)
        return artifact

    def _learn(self, epoch: int) -> None:
        """Once over all rows, in an order of its own that does not depend on the epochs before.

        Raises:
            WorkloadError: "LossNotFinite".
        """
        settings, loss = self._settings, 0.0
        _seed(settings.seed, epoch, settings.rank)
        for step, rows in enumerate(self._rows.steps([settings.seed, epoch, settings.rank], self._steps)):
            size = _rows_of_step(len(self._data.train.y), settings.workers, self._steps, step)
            loss += self._step(rows, size)
        if not np.isfinite(loss):
            told = f"the loss of epoch {epoch} is {loss}"
            raise WorkloadError("LossNotFinite", f"{told}: lower learningRate, or scale what the network computes")

    def _step(self, rows: Tensors, size: int) -> float:
        """One step of all workers, of ``size`` rows together; their loss, summed."""
        import torch

        x, y, weight = rows
        total, trouble = torch.zeros((), device=self._device), None
        self._optimizer.zero_grad()
        try:
            with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._loop["precision"] == "bfloat16"):
                outputs = self._network(x)
            outputs = torch_network.check_outputs(outputs, len(x), self._data, self._entrypoint)
            total = (self._loss(outputs.float(), y) * weight).sum()
            (total / size).backward()
        except WorkloadError as error:
            trouble = error
        except Exception as error:
            trouble = WorkloadError("TrainerFailed", f"the network of {self._entrypoint} raised {raised(error)}")
            trouble.__cause__ = error
        loss = self._together(float(total.detach()), trouble)
        self._optimizer.step()
        return loss

    def _together(self, loss: float, trouble: WorkloadError | None) -> float:
        """Add up gradients and loss over the workers. What one of them could not do, all of them tell, so that none
        waits for it.

        Raises:
            WorkloadError: the trouble.
        """
        import torch

        if self._settings.workers == 1:
            if trouble is not None:
                raise trouble
            return loss
        grads = [torch.zeros_like(one) if one.grad is None else one.grad for one in self._parameters]
        last = torch.tensor([loss, 0.0 if trouble is None else 1.0], device=self._device)
        flat = torch.cat([*(grad.flatten().float() for grad in grads), last])
        torch.distributed.all_reduce(flat)
        *summed, loss, troubled = flat.split([*(grad.numel() for grad in grads), 1, 1])
        if troubled.item():
            told: list[tuple[str, str] | None] = [None] * self._settings.workers
            torch.distributed.all_gather_object(told, trouble and (trouble.reason, str(trouble)))
            raise WorkloadError(*next(one for one in told if one is not None)) from trouble
        for parameter, gradient in zip(self._parameters, summed, strict=True):
            parameter.grad = gradient.view_as(parameter).to(parameter.dtype)
        return float(loss)

    def _loss(self, outputs: Any, y: Any) -> Any:
        """(rows,)"""
        from torch.nn import functional

        match self._data.output.task:
            case Task.BINARY:
                return functional.binary_cross_entropy_with_logits(outputs, y, reduction="none")
            case Task.MULTICLASS:
                return functional.cross_entropy(outputs, y, reduction="none")
        return functional.mse_loss(outputs, y, reduction="none")

    def _answers(self, epoch: int) -> Matrix:
        """
        Raises:
            WorkloadError: "ScoresNotFinite"; "TrainerFailed".
        """
        try:
            found = torch_network.ask(self._network, self._data, self._preparation, self._device)
        except Exception as error:
            told = f"the network of {self._entrypoint} raised {raised(error)}, asked about the validation rows"
            raise WorkloadError("TrainerFailed", told) from error
        unfit = int((~np.isfinite(found.reshape(len(found), -1)).all(axis=1)).sum())
        if unfit:
            told = f"after epoch {epoch} the network answers {unfit:,} of {len(found):,} validation rows"
            raise WorkloadError("ScoresNotFinite", f"{told} with no finite number: lower learningRate")
        return found

    def _tensors(self, part: Part) -> Tensors:
        """Some of a worker's rows; weights are 1 on average over those of all workers."""
        import torch

        task, (mean, scale) = self._data.output.task, self._preparation.label
        y = part.y.astype(np.int64) if task is Task.MULTICLASS else ((part.y - mean) / scale).astype(np.float32)
        weight = np.ones(len(part.y)) if part.weight is None else part.weight / self._mean_weight
        found: tuple[NDArray[Any], ...] = (self._preparation.prepared(part.x), y, weight.astype(np.float32))
        return tuple(torch.from_numpy(one).to(self._device) for one in found)


def _divided(settings: FitSettings) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is handed to the user's function, and what is the loop's; a search has both under one name.

    Raises:
        WorkloadError: "UnknownParameter".
    """
    params = {name: value for name, value in settings.params.items() if name not in LOOP}
    searched = {name: value for name, value in settings.params.items() if name in LOOP}
    loop = {**LOOP, **settings.loop, **searched}
    size, rate = loop["batchSize"], loop["learningRate"]
    fits = {
        f"batchSize must be a whole number from {settings.workers} on, the number of workers": isinstance(size, int)
        and size >= settings.workers,
        "learningRate must be a number above 0": isinstance(rate, int | float) and 0 < rate < float("inf"),
        f"optimizer must be one of {', '.join(OPTIMIZERS)}": loop["optimizer"] in OPTIMIZERS,
        f"precision must be one of {', '.join(PRECISIONS)}": loop["precision"] in PRECISIONS,
    }
    wrong = [f"{told}, found {loop[told.partition(' ')[0]]!r}" for told, fit in fits.items() if not fit]
    if wrong:
        raise WorkloadError("UnknownParameter", "; ".join(wrong))
    return params, loop


def _steps(rows: int, workers: int, size: int) -> int:
    """Steps of an epoch, in which every worker has a row at least.

    Raises:
        WorkloadError: "TooFewRows".

    >>> _steps(1000, 2, 256), _steps(3, 2, 2), _steps(5, 1, 1)
    (4, 1, 5)
    """
    if rows < workers:
        raise WorkloadError("TooFewRows", f"{rows:,} rows to learn from cannot be shared by {workers} workers")
    return min(-(-rows // size), rows // workers)


def _rows_of_step(rows: int, workers: int, steps: int, step: int) -> int:
    """Rows of all workers in a step: what ``Part.shard`` and ``np.array_split`` come to.

    >>> [_rows_of_step(11, 2, 2, step) for step in range(2)]
    [6, 5]
    """
    shards = [rows // workers + (rank < rows % workers) for rank in range(workers)]
    return sum(shard // steps + (step < shard % steps) for shard in shards)


def _seed(*parts: int) -> None:
    """Of whatever a network draws from."""
    import torch

    found = int(np.random.SeedSequence(parts).generate_state(1)[0])
    random.seed(found)
    np.random.seed(found)
    torch.manual_seed(found)


def _device() -> Any:
    """The GPU that Ray gave this worker, never another. ``ray.train.torch.get_device`` says the same, but not to the
    trials of a search.

    Raises:
        WorkloadError: "NoDevice".
    """
    import ray
    import torch

    given = [str(one) for one in ray.get_gpu_ids()] if ray.is_initialized() else []
    if not given:
        return torch.device("cpu")
    if not torch.cuda.is_available():
        told = "the worker has a GPU, and PyTorch cannot use it"
        raise WorkloadError(
            "NoDevice", f"{told}: install a build of torch for it, or leave out resources.gpusPerWorker"
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    return torch.device("cuda", visible.index(given[0]) if given[0] in visible else 0)


@contextmanager
def _settled(settings: FitSettings) -> Iterator[None]:
    """All that would let two fits differ is fixed, and as before afterwards."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS is not deterministic
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)
