"""What a spec may say of the loop that fits a network: nothing twice, nothing in the wrong place. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from framework.api import spaces
from framework.api.trainers import TorchTrainer
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.kinds.training_job.tuning import SearchSpace
from framework.planning.grammar.kind import CrossProblem

_NOT_SEARCHED = ("entrypoint", "params", "epochs", "earlyStopping")
LOOP = tuple(name for name in TorchTrainer.model_fields if name not in _NOT_SEARCHED)
"""What a search may vary beside the parameters of the function; a test holds this and the trainer together."""


def problems(spec: TrainingJobSpec) -> Iterator[CrossProblem]:
    trainer = spec.trainer.torch
    if trainer is None:
        return
    for name in trainer.params:
        if name in (*LOOP, "epochs", "earlyStopping"):
            told = f"{name} is no matter of the function's: write trainer.torch.{name}"
            yield CrossProblem(f'spec.trainer.torch.params["{name}"]', told)
    if trainer.batchSize < spec.resources.most:
        told = f"a step of {trainer.batchSize} rows cannot be shared by {spec.resources.most} workers"
        yield CrossProblem("spec.trainer.torch.batchSize", told)
    for name, space in spec.tune.search.items() if spec.tune else ():
        path = f'spec.tune.search["{name}"]'
        if name in ("epochs", "earlyStopping"):
            yield CrossProblem(path, f"{name} is no parameter: write trainer.torch.{name}, which no search varies")
        elif name in LOOP:
            yield from _searched(path, name, space, spec.resources.most)


def _searched(path: str, name: str, space: SearchSpace, workers: int) -> Iterator[CrossProblem]:
    """Every value that is written out there, or both ends of a range, must be one that the field takes."""
    form, _ = spaces.form(space.model_dump(exclude_none=True))
    words = get_args(TorchTrainer.model_fields[name].annotation)
    if form == spaces.NESTED:
        yield CrossProblem(path, f"{name} is no mapping: say choice, or a range of numbers")
    elif words:
        if space.choice is None:
            yield CrossProblem(path, f"{name} is one of {', '.join(words)}: say choice")
        for place, value in enumerate(space.choice or ()):
            if value not in words:
                told = f"{value!r} is no {name}"
                yield CrossProblem(f"{path}.choice[{place}]", told, allowed=words, wanted=str(value))
    elif name == "batchSize" and form != spaces.CHOICE and not spaces.DISTRIBUTIONS[form].whole:
        whole = spaces.DISTRIBUTIONS[form].counterpart
        yield CrossProblem(path, f"batchSize is a whole number: say {whole}, or choice")
    else:
        yield from _numbers(path, name, space, workers)


def _numbers(path: str, name: str, space: SearchSpace, workers: int) -> Iterator[CrossProblem]:
    whole = name == "batchSize"
    least = f"a whole number from {workers} on" if whole else "a number above 0"
    found = [value for _, value in spaces.ends(space.model_dump(exclude_none=True))]
    for value in found if space.choice else found[:1]:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and (isinstance(value, int) and value >= workers if whole else value > 0)):
            yield CrossProblem(path, f"{name} is {least}, found {value!r}")
