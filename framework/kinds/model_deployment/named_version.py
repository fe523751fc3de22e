"""The version that a spec asks for, where it is a word and not the version itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from framework.api.aliases import CHALLENGER, CHAMPION, LATEST, is_version
from framework.api.meta import Ref
from framework.kinds.model_deployment.spec import ModelRef
from framework.kinds.training_job.aliases import unknown
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.kind import Borrowed, CrossProblem

PATH = "model.version"
FOLLOWED = (CHAMPION, CHALLENGER)
"""Follow from what serves."""


def borrowed(model: ModelRef) -> tuple[Borrowed, ...]:
    """An alias means what the training job says."""
    if model.version == LATEST or model.version in FOLLOWED or is_version(model.version):
        return ()
    return (Borrowed(PATH, model.version, Ref("TrainingJob", model.training)),)


def misnamed(model: ModelRef, job: TrainingJobSpec) -> Iterator[CrossProblem]:
    for item in borrowed(model):
        yield from unknown(model.training, job, item.word, f"spec.{PATH}")


def follows_itself(model: ModelRef) -> Iterator[CrossProblem]:
    if model.version in FOLLOWED:
        told = f"{model.version} is what a deployment makes of a version, so none can be asked to serve it"
        yield CrossProblem(f"spec.{PATH}", f"{told}: name a version, latest, or an alias of the training job")


def wanted(desired: Desired[Any], model: ModelRef) -> str:
    """The version, or ``latest``, that is asked for at this commit."""
    return desired.meanings.get(PATH, model.version)
