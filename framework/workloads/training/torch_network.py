"""The network that a user's code builds: made, checked against its task, exported, and kept between two epochs."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from framework.answers import Matrix
from framework.api.tasks import Task
from framework.workloads.context import WorkloadError
from framework.workloads.entrypoints import load_entrypoint
from framework.workloads.failures import raised
from framework.workloads.formats import torch_safetensors
from framework.workloads.formats.torch_safetensors import NetworkInputs
from framework.workloads.training.trainer import Artifact, BestRound, TrainingData, answers_to

CHECKPOINT = "torch-checkpoint"
"""The form of what a fit goes on from, which nothing else reads: weights, and what the optimizer knows of each."""
_WEIGHTS, _OPTIMIZER, _BEST = "weights.", "optimizer.", "best."
_AT_ONCE = 8192
"""Rows that are asked about together."""


def build(entrypoint: str, data: TrainingData, params: dict[str, Any]) -> Any:
    """The ``torch.nn.Module`` that ``entrypoint(data, params)`` returns.

    Raises:
        WorkloadError: what ``load_entrypoint`` raises; "TrainerFailed" with what the function raised, and where;
            "WrongType" for anything but a module with something to learn.
    """
    import torch

    function = load_entrypoint(entrypoint)
    try:
        network = function(data, params)
    except WorkloadError:
        raise
    except Exception as error:
        raise WorkloadError("TrainerFailed", f"{entrypoint} raised {raised(error)}") from error
    if not isinstance(network, torch.nn.Module):
        told = f"{entrypoint} returned {type(network).__name__}; a torch.nn.Module is expected"
        raise WorkloadError("WrongType", told)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise WorkloadError("WrongType", f"{entrypoint} returned a network that has nothing to learn")
    return network


def check_outputs(outputs: Any, rows: int, data: TrainingData, entrypoint: str) -> Any:
    """Outputs as the task has them: (rows,), also where the network has them as (rows, 1), or (rows, classes).

    Raises:
        WorkloadError: "WrongAnswers".
    """
    width = data.output.width
    wanted = (rows,) if width is None else (rows, width)
    shape = tuple(getattr(outputs, "shape", ()))
    if shape == (rows, 1) and width is None:
        return outputs[:, 0]
    if shape != wanted:
        found = f"outputs of shape {shape}" if shape else f"a {type(outputs).__name__}"
        told = f"the network of {entrypoint} has {found} for inputs of shape ({rows}, {data.width})"
        raise WorkloadError("WrongAnswers", f"{told}; task {data.output.task} needs {wanted}")
    return outputs


def try_out(network: Any, data: TrainingData, preparation: NetworkInputs, entrypoint: str) -> None:
    """Ask it about two rows and store it, before anything is learned: it would fail as well afterwards.

    Raises:
        WorkloadError: "TrainerFailed", "WrongAnswers", "NotExportable".
    """
    import torch

    was = network.training
    network.eval()
    rows = torch.from_numpy(preparation.prepared(data.train.batch(0).x[:2]))
    try:
        with torch.no_grad():
            outputs = network(rows)
    except Exception as error:
        told = f"the network of {entrypoint} raised {raised(error)}"
        raise WorkloadError("TrainerFailed", f"{told}, given inputs of shape {tuple(rows.shape)}") from error
    check_outputs(outputs, len(rows), data, entrypoint)
    network.train(was)
    export(network, data, preparation, entrypoint)


def ask(network: Any, data: TrainingData, preparation: NetworkInputs, device: Any) -> Matrix:
    """What the network says of the validation rows by now; see ``answers.ModelOutput``."""
    import torch

    was = network.training
    network.eval()
    found = [np.empty((0,) if data.output.width is None else (0, data.output.width), dtype=np.float32)]
    with torch.no_grad():
        for batch in data.validation.each_batch():
            for start in range(0, len(batch.y), _AT_ONCE):
                rows = torch.from_numpy(preparation.prepared(batch.x[start : start + _AT_ONCE])).to(device)
                outputs = network(rows).float().cpu().numpy()
                found.append(outputs.reshape(len(rows)) if data.output.width is None else outputs)
    network.train(was)
    return preparation.answers(np.concatenate(found), data.output)


def export(network: Any, data: TrainingData, preparation: NetworkInputs, entrypoint: str) -> Artifact:
    """The network as one file that needs neither PyTorch nor the code of ``entrypoint``.

    Raises:
        WorkloadError: "NotExportable": what it computes cannot be written as a graph.
    """
    import torch

    rows = torch.from_numpy(preparation.prepared(data.train.batch(0).x[:2]))
    try:
        alone = copy.deepcopy(network).cpu().eval()
        with _quiet():
            program = torch.onnx.export(
                alone,
                (rows.repeat(2, 1),),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                input_names=[torch_safetensors.INPUT],
                output_names=[torch_safetensors.OUTPUT],
                verbose=False,
            )
            data_of = torch_safetensors.dump(program.model_proto, preparation)
    except Exception as error:
        cause = error.__cause__ or error
        told = f"the network of {entrypoint} cannot be stored as a graph: {raised(cause)}"
        raise WorkloadError("NotExportable", told) from error
    return Artifact(data_of, "torch-safetensors")


def stored_answers(
    artifact: Artifact, network: Any, data: TrainingData, preparation: NetworkInputs, device: Any
) -> Matrix:
    """What the stored network says of the validation rows: the same as the trained one, which is made sure of.

    Raises:
        WorkloadError: "StoredDiffers", with how far it is off.
    """
    stored = answers_to(data.validation, torch_safetensors.load(artifact.data, data.output))
    unit = float(preparation.label[1]) if data.output.task is Task.REGRESSION else 1.0
    off = float(np.abs(stored - ask(network, data, preparation, device)).max(initial=0.0)) / unit
    if not off <= LARGEST_DIFFERENCE:
        what = "standard deviations of the label" if data.output.task is Task.REGRESSION else "in probability"
        told = f"the stored network answers up to {off:.3g} {what} otherwise than the trained one"
        raise WorkloadError("StoredDiffers", f"{told}, and at most {LARGEST_DIFFERENCE:g} is allowed")
    return stored


LARGEST_DIFFERENCE = 1e-4
"""Between what a network answers before and after it is stored: in probability, or standard deviations of the label."""


def weights(network: Any) -> dict[str, Any]:
    """As they are now, whatever is learned later."""
    return {name: _own(value) for name, value in network.state_dict().items()}


def keep(
    network: Any, optimizer: Any, best: BestRound | None = None, of_best: Mapping[str, Any] | None = None
) -> Artifact:
    """What a fit goes on from; ``of_best`` are the weights of the best round so far, of one that stops early."""
    from safetensors.torch import save

    tensors = {f"{_WEIGHTS}{name}": value for name, value in weights(network).items()}
    tensors |= {f"{_BEST}{name}": value for name, value in (of_best or {}).items()}
    for index, known in optimizer.state_dict()["state"].items():
        tensors |= {f"{_OPTIMIZER}{index}.{name}": _own(value) for name, value in known.items() if value is not None}
    return Artifact(bytes(save(tensors)), CHECKPOINT, best)


def take_up(checkpoint: Artifact, network: Any, optimizer: Any) -> dict[str, Any] | None:
    """What ``keep`` kept; the weights of the best round so far, where there is one."""
    from safetensors.torch import load

    found = load(checkpoint.data)
    network.load_state_dict(_below(_WEIGHTS, found))
    state: dict[int, dict[str, Any]] = {}
    for name, value in found.items():
        if name.startswith(_OPTIMIZER):
            index, _, own = name.removeprefix(_OPTIMIZER).partition(".")
            state.setdefault(int(index), {})[own] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return _below(_BEST, found) or None


def _below(prefix: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _own(value: Any) -> Any:
    """Memory of its own, which safetensors asks for."""
    return value.detach().cpu().clone().contiguous()


@contextlib.contextmanager
def _quiet() -> Any:
    """The exporter tells every user of what it lacks, and of what it does."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
