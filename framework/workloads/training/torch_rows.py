"""The rows that a network learns from, step after step: all of them in memory, or batch after batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from framework.workloads.training.trainer import Part

Tensors = tuple[Any, ...]
"""Inputs, labels and weights of some rows, where the network is."""


class HeldRows:
    """All in memory, in an order of each epoch's own."""

    def __init__(self, part: Part, tensors: Callable[[Part], Tensors]) -> None:
        self._rows, self._tensors = len(part.y), tensors(part)

    def steps(self, seed: Sequence[int], steps: int) -> Iterator[Tensors]:
        """The rows of an epoch in so many steps, as even as can be."""
        import torch

        order = np.random.default_rng(seed).permutation(self._rows)
        for rows in np.array_split(order, steps):
            chosen = torch.from_numpy(rows).to(self._tensors[0].device)
            yield tuple(one[chosen] for one in self._tensors)


class StreamedRows:
    """One batch of the part in memory at a time: batches come in an order of the epoch's own, and so do the rows within
    each. A step may have the last rows of one and the first of the next."""

    def __init__(self, part: Part, tensors: Callable[[Part], Tensors]) -> None:
        self._part, self._tensors = part, tensors

    def steps(self, seed: Sequence[int], steps: int) -> Iterator[Tensors]:
        import torch

        generator = np.random.default_rng(seed)
        sizes = [len(rows) for rows in np.array_split(np.arange(len(self._part.y)), steps)]
        held: Tensors | None = None
        for number in generator.permutation(self._part.batches):
            batch = self._part.batch(int(number))
            new = self._tensors(batch.of(generator.permutation(len(batch.y))))
            held = new if held is None else tuple(torch.cat(both) for both in zip(held, new, strict=True))
            while sizes and len(held[0]) >= sizes[0]:
                size = sizes.pop(0)
                yield tuple(one[:size] for one in held)
                held = tuple(one[size:] for one in held)
