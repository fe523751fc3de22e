"""What a trainer is given, what it reports on the way, and what it hands back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from framework.answers import Matrix, ModelOutput
from framework.workloads.training.own_metrics import NO_OWN_METRICS, OwnMetrics

BINARY = ModelOutput()


@dataclass(frozen=True)
class Part:
    """``x`` float64 (rows, inputs) as the signature encodes it; ``y`` float64 (rows,) as ``ModelOutput.truth`` has it:
    0 or 1, the position of the class, a number, how relevant a row is. ``weight`` is how much each row counts;
    ``groups`` which list it is part of, for a ranking, as whole numbers. ``rows`` are columns of the training set that
    metrics of the spec's own look at, as a Polars frame, in the part that is measured."""

    x: Matrix
    y: Matrix
    weight: Matrix | None = None
    groups: Matrix | None = None
    rows: Any = None

    @property
    def batches(self) -> int:
        """Of how many batches it consists: one, where all of it is in memory."""
        return len(self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Rows of each batch."""
        return (len(self.y),)

    def batch(self, number: int) -> Part:
        """Some of its rows; those of all batches, in their order, are all of them."""
        return self

    def each_batch(self) -> Iterator[Part]:
        return (self.batch(number) for number in range(self.batches))

    def column(self, index: int) -> Matrix:
        """An input of all rows, float64 (rows,)."""
        return self.x[:, index]

    def of(self, rows: NDArray[np.int64]) -> Part:
        """The same of some rows, by position."""
        weight = None if self.weight is None else self.weight[rows]
        groups = None if self.groups is None else self.groups[rows]
        return Part(np.ascontiguousarray(self.x[rows]), self.y[rows], weight, groups)

    def shard(self, rank: int, workers: int) -> Part:
        """A worker's share: every so-many-th row, or list, for a list stays together."""
        if workers == 1:
            return self
        turn = np.arange(len(self.y)) if self.groups is None else np.unique(self.groups, return_inverse=True)[1]
        return self.of(np.flatnonzero(turn % workers == rank))


def answers_to(part: Part, ask: Callable[[Matrix], Matrix]) -> Matrix:
    """What a model says of a part, batch after batch."""
    return np.concatenate([ask(batch.x) for batch in part.each_batch()])


def sorted_by_list(part: Part) -> Part:
    """Rows of a list beside each other, for libraries that want them so."""
    return part if part.groups is None else part.of(np.argsort(part.groups, kind="stable"))


def sizes_of_lists(groups: Matrix) -> NDArray[np.int64]:
    """Of rows that are sorted by list: how many each list has."""
    return np.unique(groups, return_counts=True)[1].astype(np.int64)


def told_apart(names: Sequence[str], refused: re.Pattern[str]) -> list[str]:
    """Names without the characters that a library refuses: it is asked by position, so they only have to be told apart
    by a person."""
    found: list[str] = []
    for index, name in enumerate(names):
        plain = refused.sub("_", name)
        found.append(plain if plain not in found else f"{plain}_{index}")
    return found


@dataclass(frozen=True)
class TrainingData:
    """What is learned from and what progress is measured on. ``names`` are the inputs' names, ``categories`` the number
    of categories of each String input by its position, ``output`` what the model shall answer; ``own`` are metrics of
    the spec's own."""

    train: Part
    validation: Part
    names: tuple[str, ...]
    categories: Mapping[int, int]
    output: ModelOutput = BINARY
    own: OwnMetrics = NO_OWN_METRICS

    @property
    def width(self) -> int:
        """Columns of an input once each String is one column for each of its categories, as a network sees it."""
        return sum(self.categories.get(index) or 1 for index in range(len(self.names)))


@dataclass(frozen=True)
class StopRule:
    """``metric`` of the validation rows, empty for the one that the task is told by; ``patience`` in rounds."""

    metric: str
    patience: int
    min_delta: float = 0.0


class BestRound(NamedTuple):
    """What a fit that stops early would come to if it ended now."""

    rounds: int
    value: float


def _as_it_is(value: float | None) -> float | None:
    return value


@dataclass(frozen=True)
class FitSettings:
    """``rounds`` counts boosting rounds or epochs (1 for what is fitted at once). ``threads`` is fixed because it can
    change sums. ``network`` is what ``SeveralWorkers.network`` said, None for one worker. ``loop`` is what else the
    spec says of the trainer, by its names there. ``stages`` are (rounds done by then, params) where these change on the
    way, the last one up to ``rounds``: see ``stages.fitted``. ``stream``: no more than a batch of the rows may be in
    memory at a time. ``stop`` is when to end early, None for never; ``agree`` gives every worker the number of the
    first one."""

    params: Mapping[str, Any]
    rounds: int
    seed: int
    threads: int = 1
    entrypoint: str = ""
    rank: int = 0
    workers: int = 1
    network: Mapping[str, Any] | None = None
    loop: Mapping[str, Any] = field(default_factory=dict)
    stages: tuple[tuple[int, Mapping[str, Any]], ...] = ()
    stream: bool = False
    stop: StopRule | None = None
    agree: Callable[[float | None], float | None] = _as_it_is


@dataclass(frozen=True)
class Artifact:
    """A model's bytes in one of ``formats.FORMATS``. Those of a checkpoint may have a form that its trainer alone
    reads. ``best`` is the best round so far, of a fit that stops early; of a finished one the round that it is of."""

    data: bytes
    format: str
    best: BestRound | None = None


@dataclass(frozen=True)
class Fitted:
    """``resumed`` lists the rounds at which a worker went on after a crash; empty for an undisturbed fit. ``blind`` is
    the same model without the validation rows, where this one learned from them, too; ``workers`` fitted it."""

    artifact: Artifact
    rounds: int
    resumed: tuple[int, ...]
    blind: Artifact | None = None
    workers: int = 1


class Watch(Protocol):
    """Follows one fit: learns how good the model is by now, keeps checkpoints, and gives one back after a crash."""

    def resume(self) -> tuple[int, Artifact] | None:
        """(rounds done, the model so far), None for a fresh start."""
        ...

    def report(self, rounds: int, scores: Matrix, model: Callable[[], Artifact], *, last: bool = False) -> None:
        """``scores`` are the answers to the validation rows after ``rounds``. ``last``: nothing follows but the model,
        though there might have been more rounds. May not return: a hopeless trial ends here."""
        ...


@dataclass(frozen=True)
class SeveralWorkers:
    """How several workers fit one model. ``trainer`` gives the class of Ray Train that opens the ways between them,
    ``network`` what one of them is then told of the others."""

    trainer: Callable[[], Any]
    network: Callable[[], Mapping[str, Any]] = dict


class TrainerAdapter(Protocol):
    """One way to fit a model; what is to be known of it beforehand is in ``framework.api.trainers``. ``several`` is
    None where one worker fits alone."""

    several: SeveralWorkers | None

    def fit(self, data: TrainingData, settings: FitSettings, watch: Watch) -> Artifact:
        """Fit once, reporting at least at the end. Equal arguments give equal bytes unless the trainer's doc says
        no."""
        ...


REPORTS = 10
"""A boosted fit is looked at this often."""


def stride(rounds: int) -> int:
    """Boosting rounds between two reports."""
    return max(1, -(-rounds // REPORTS))
