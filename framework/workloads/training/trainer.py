"""What a trainer is given, what it reports on the way, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from framework.workloads.models import Matrix


@dataclass(frozen=True)
class Part:
    """``x`` float64 (rows, inputs) as the signature encodes it, ``y`` 0.0 or 1.0 (rows,)."""

    x: Matrix
    y: Matrix


@dataclass(frozen=True)
class TrainingData:
    """What is learned from and what progress is measured on. ``names`` are the inputs' names, ``categories`` the number
    of categories of each String input by its position."""

    train: Part
    validation: Part
    names: tuple[str, ...]
    categories: Mapping[int, int]


@dataclass(frozen=True)
class FitSettings:
    """``rounds`` counts boosting rounds (1 for what is fitted at once). ``threads`` is fixed because it can change
    sums. ``network`` is what LightGBM needs to train with other workers, empty for one worker."""

    params: Mapping[str, Any]
    rounds: int
    seed: int
    threads: int = 1
    entrypoint: str = ""
    rank: int = 0
    workers: int = 1
    network: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Artifact:
    """A model's bytes in one of ``models.FORMATS``."""

    data: bytes
    format: str


class Watch(Protocol):
    """Follows one fit: learns how good the model is by now, keeps checkpoints, and gives one back after a crash."""

    def resume(self) -> tuple[int, Artifact] | None:
        """(rounds done, the model so far), None for a fresh start."""
        ...

    def report(self, rounds: int, scores: Matrix, model: Callable[[], Artifact]) -> None:
        """``scores`` are the validation rows' probabilities after ``rounds``. May not return: a hopeless trial ends
        here."""
        ...


class TrainerAdapter(Protocol):
    """One way to fit a model. ``boosts``: it works in rounds, so that progress, early stop and checkpoints make
    sense."""

    boosts: bool
    distributed: bool
    """Whether several workers can fit one model."""

    def fit(self, data: TrainingData, settings: FitSettings, watch: Watch) -> Artifact:
        """Fit once, reporting at least at the end. Equal arguments give equal bytes unless the trainer's doc says
        no."""
        ...


REPORTS = 10
"""A boosted fit is looked at this often."""


def stride(rounds: int) -> int:
    """Boosting rounds between two reports."""
    return max(1, -(-rounds // REPORTS))
