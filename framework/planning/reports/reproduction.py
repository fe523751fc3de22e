"""A version beside what came of training it again. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from framework.ports import Json, ModelVersion

TOLERANCE = 1e-9
"""How far a metric may be off and still be called equal."""


@dataclass(frozen=True)
class MetricAgain:
    """A metric then and now; None where it was not measured."""

    name: str
    before: float | None
    after: float | None

    @property
    def difference(self) -> float | None:
        """Now less then; None where one of them is missing."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def equal(self) -> bool:
        """Within the tolerance; what is no number both times is, too."""
        if self.before is None or self.after is None:
            return self.before is self.after
        if math.isnan(self.before) or math.isnan(self.after):
            return math.isnan(self.before) and math.isnan(self.after)
        return math.isclose(self.before, self.after, rel_tol=0.0, abs_tol=TOLERANCE)


@dataclass(frozen=True)
class FactAgain:
    """Something that a run told of its surroundings, then and now; None where it was not recorded."""

    name: str
    before: Json
    after: Json

    @property
    def equal(self) -> bool:
        return bool(self.before == self.after)

    @property
    def recorded(self) -> bool:
        return self.before is not None


@dataclass(frozen=True)
class Reproduction:
    """``run`` trained ``model`` again. ``sha256`` is of the model file that came of it, ``dataset`` the digests of both
    training sets. ``libraries`` and ``machine`` have everything that was told either time."""

    model: ModelVersion
    run: str
    sha256: str
    dataset: FactAgain
    metrics: tuple[MetricAgain, ...]
    libraries: tuple[FactAgain, ...]
    machine: tuple[FactAgain, ...]
    seconds: float | None = None

    @property
    def same_bytes(self) -> bool:
        return self.sha256 == self.model.sha256

    @property
    def reproduced(self) -> bool:
        """Whether every metric is equal."""
        return bool(self.metrics) and all(one.equal for one in self.metrics)


def reproduction(model: ModelVersion, run: str, result: Mapping[str, Any], seconds: float | None) -> Reproduction:
    """``result`` is what the run returned, see ``train.run``."""
    before, after = model.lineage, result.get("lineage") or {}
    metrics: Mapping[str, float] = result.get("metrics") or {}
    return Reproduction(
        model,
        run,
        str(result.get("sha256", "")),
        FactAgain("training set", before.get("dataset"), after.get("dataset")),
        tuple(
            MetricAgain(name, model.metrics.get(name), metrics.get(name)) for name in sorted({*model.metrics, *metrics})
        ),
        _facts(before.get("libraries") or {}, after.get("libraries") or {}),
        _facts(before.get("machine") or {}, after.get("machine") or {}),
        seconds,
    )


def _facts(before: Mapping[str, Json], after: Mapping[str, Json]) -> tuple[FactAgain, ...]:
    return tuple(FactAgain(name, before.get(name), after.get(name)) for name in sorted({*before, *after}))
