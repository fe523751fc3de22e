"""What a simulated pass did, in order. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from framework.api.meta import Ref
from framework.planning.grammar.actions import Action


@dataclass(frozen=True)
class SimulatedStep:
    """The actions of one look at one resource, ``at`` seconds after the start. ``stage`` counts from 1: a resource is
    one stage after the last of its upstreams, removals come after everything."""

    at: float
    stage: int
    ref: Ref
    reason: str
    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Ending:
    """How a resource stands at the end."""

    ref: Ref
    word: str
    summary: str
    message: str


@dataclass(frozen=True)
class SimulatedPass:
    """From one state to the next. ``settled`` is False where it was cut off before nothing moved any more; ``assumed``
    names the durations that are no measurement."""

    environment: str
    commit: str
    steps: tuple[SimulatedStep, ...]
    seconds: float
    settled: bool
    endings: tuple[Ending, ...]
    assumed: tuple[Ref, ...] = ()
