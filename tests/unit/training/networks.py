"""Networks that tests train: each a function as a repository would have it."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import nn

from framework.workloads.training.trainer import TrainingData


def layers(data: TrainingData, params: dict[str, Any]) -> nn.Module:
    """Two layers, with what draws (dropout) and what counts along (batch norm)."""
    hidden = params.get("hidden", 16)
    return nn.Sequential(
        nn.Linear(data.width, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(hidden, data.output.width or 1),
    )


class Straight(nn.Module):
    """Linear, with answers of shape (rows,) and a parameter that no row reaches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.line = nn.Linear(width, 1)
        self.idle = nn.Parameter(torch.zeros(3))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.line(rows)[:, 0]
        return found


def straight(data: TrainingData, params: dict[str, Any]) -> nn.Module:
    return Straight(data.width)


def own_way(data: TrainingData, params: dict[str, Any]) -> nn.Module:
    """What it computes depends on the values of its rows, in Python."""

    class Branching(Straight):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return super().forward(rows) if rows.sum().item() > 0 else -super().forward(rows)

    return Branching(data.width)


def exploding(data: TrainingData, params: dict[str, Any]) -> nn.Module:
    class Exploding(Straight):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return super().forward(rows).exp().exp() * 1e38

    return Exploding(data.width)


def too_wide(data: TrainingData, params: dict[str, Any]) -> nn.Module:
    return nn.Linear(data.width, 7)


def too_narrow(data: TrainingData, params: dict[str, Any]) -> nn.Module:
    return nn.Linear(data.width - 1, 1)


def nothing_to_learn(data: TrainingData, params: dict[str, Any]) -> nn.Module:
    return nn.Flatten(0)


def no_network(data: TrainingData, params: dict[str, Any]) -> str:
    return "network"


def wrong(data: TrainingData, params: dict[str, Any]) -> nn.Module:
    raise LookupError(params["missing"])


def failing_beside(data: TrainingData, params: dict[str, Any]) -> nn.Module:
    """Fails on the second of several workers alone."""

    class Failing(Straight):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            if self.training and os.environ.get("RANK") == "1":
                raise LookupError("the second worker has no luck")
            return super().forward(rows)

    return Failing(data.width)
