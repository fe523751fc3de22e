"""Resources that could never run within an Environment's quotas, found before anything starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from framework.api.meta import Ref
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.grammar.kind import CrossProblem, Kind, Needs

_EPSILON = 1e-9


def problems(
    name: str, spec: EnvironmentSpec, specs: Mapping[Ref, BaseModel], kinds: Mapping[str, Kind]
) -> Iterator[CrossProblem]:
    """What alone needs more than a quota, and standing needs that exceed it together even at their least. ``name`` is
    the Environment's; ``kinds`` are those that are held to it."""
    sized = {ref: kinds[ref.kind] for ref in sorted(specs) if ref.kind in kinds and kinds[ref.kind].sized_by}
    for unit, quota in (("gpus", spec.quotas.gpus), ("cpus", spec.quotas.cpus)):
        if quota is None:
            continue
        what = f"{unit[:-1].upper()}s"
        fits: dict[Ref, float] = {}
        for ref, kind in sized.items():
            needs = kind.needs(specs[ref])
            peak = _amount(needs, unit)
            if peak > quota + _EPSILON:
                message = f"needs {peak:g} {what} at its peak; the quota of Environment/{name} is {quota:g}"
                yield CrossProblem(kind.sized_by, message, ref=ref)
            else:
                fits[ref] = _standing(needs, unit)
        together = sum(fits.values())
        if together > quota + _EPSILON:
            parts = ", ".join(f"{ref} {amount:g}" for ref, amount in fits.items() if amount)
            message = f"all replicas together need {together:g} {what} even at their fewest ({parts})"
            yield CrossProblem(f"spec.quotas.{unit}", f"{message}; the quota is {quota:g}")


def _standing(needs: Needs, unit: str) -> float:
    """What cannot be done without for as long as it is there."""
    cpus, gpus = needs.least or (needs.cpus, needs.gpus)
    return (gpus if unit == "gpus" else cpus) if needs.standing else 0.0


def _amount(found: Needs, unit: str) -> float:
    return found.gpus if unit == "gpus" else found.cpus
