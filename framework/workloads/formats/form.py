"""What a form of storing models is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from framework.answers import Matrix, ModelOutput

Score = Callable[[Matrix], Matrix]
"""Answers to a matrix as the signature encodes it. Thread-safe."""


class Format(NamedTuple):
    """``load`` opens the bytes of a model that has that output; it may raise whatever a library raises.
    ``contributions`` opens them to say how far each input moves each answer: the size of its Shapley value, float64
    (rows, inputs), added up over the numbers of an answer; None where nobody can say."""

    file: str
    load: Callable[[bytes, ModelOutput], Score]
    contributions: Callable[[bytes, ModelOutput], Score] | None = None
