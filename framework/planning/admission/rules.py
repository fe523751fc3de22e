"""What an Environment lets be done now. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from framework.api.meta import Ref
from framework.planning.plan.heirs import Claimed

UNITS = {"cpus": "CPUs", "gpus": "GPUs", "runs": "runs"}
"""What is counted, as people call it, by dimension of :class:`framework.planning.admission.ledger.Take`."""


@dataclass(frozen=True)
class Rules:
    """What the Environment in force allows; no limit where it is None. ``order`` is each resource's place in dependency
    order: who waits longer up there goes first. ``claimed`` tells who is to have what only one may have."""

    suspend: bool = False
    cpus: float | None = None
    gpus: float | None = None
    runs: int | None = None
    prune: bool = True
    keep_data: bool = False
    order: Mapping[Ref, int] = field(default_factory=dict, compare=False, repr=False)
    claimed: Claimed = field(default=lambda kind, value: None, compare=False, repr=False)

    @property
    def limits(self) -> Mapping[str, float]:
        """By dimension of :class:`framework.planning.admission.ledger.Take`, in a fixed order."""
        found = {name: getattr(self, name) for name in UNITS}
        return {name: limit for name, limit in found.items() if limit is not None}

    def place(self, ref: Ref) -> tuple[int, Ref]:
        return (self.order.get(ref, len(self.order)), ref)
