"""What a plan would come to: who notices, what runs, for how long, on what. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from framework.api.meta import Ref
from framework.ports import Capacity


@dataclass(frozen=True)
class Endpoint:
    """An endpoint whose answers may change. ``share`` is its part of the environment's requests (0 to 1), None where no
    traffic was counted; ``first_weight`` the percent of them that a new version gets first. ``note`` says what becomes
    of a route that goes, moves or gets to another deployment."""

    ref: Ref
    route: str
    share: float | None
    first_weight: int
    note: str = ""


@dataclass(frozen=True)
class Work:
    """Something that will run. ``seconds`` is None where nothing like it ever ran; ``basis`` says where it is from.

    ``stage`` counts from 1: what is in one stage may run side by side, and waits for the stages before it. ``lacking``
    says what the cluster does not have, or not free now, of what this alone cannot do without; empty where it fits, or
    nobody knows.
    """

    ref: Ref
    what: str
    stage: int
    seconds: float | None
    basis: str
    cpus: float = 0.0
    gpus: float = 0.0
    lacking: str = ""


@dataclass(frozen=True)
class Forecast:
    """``seconds`` is that of the longest chain, None where a link of it is unknown. ``extra_gpus`` at the peak come on
    top of what is in use now. ``lacking`` says what the cluster does not have; empty where it fits or is not known."""

    endpoints: tuple[Endpoint, ...] = ()
    work: tuple[Work, ...] = ()
    seconds: float | None = None
    gpu_hours: float | None = None
    extra_gpus: float = 0.0
    extra_cpus: float = 0.0
    capacity: Capacity | None = None
    lacking: tuple[str, ...] = ()
