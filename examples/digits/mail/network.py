"""A small network that reads digits."""

from __future__ import annotations

from typing import Any

from framework.workloads.training.trainer import TrainingData


def reader(data: TrainingData, params: dict[str, Any]) -> Any:
    """Two layers between the 64 points and a logit for each of the ten digits."""
    from torch import nn

    hidden = params["hidden"]
    return nn.Sequential(
        nn.Linear(data.width, hidden),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, data.output.width or 1),
    )
