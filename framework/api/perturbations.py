"""How rows are disturbed to see whether a model still answers well. Pure: specs bound what the workload does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from framework.api.tasks import NUMBERS


class Perturbation(StrEnum):
    NOISE = "noise"
    MISSING = "missing"
    UNSEEN = "unseen"


@dataclass(frozen=True)
class PerturbationForm:
    """``amount`` is in ``unit``, ``usual`` where a spec says nothing. It is done to inputs of ``dtypes``, or of any
    where that is None; ``needs`` says to which in words."""

    unit: str
    usual: float
    most: float
    dtypes: frozenset[str] | None
    needs: str


PERTURBATIONS: Mapping[Perturbation, PerturbationForm] = {
    Perturbation.NOISE: PerturbationForm(
        "standard deviations of each column", 0.1, float("inf"), NUMBERS, "an input that is a number"
    ),
    Perturbation.MISSING: PerturbationForm("of the values", 0.1, 1.0, None, "an input that may be missing"),
    Perturbation.UNSEEN: PerturbationForm(
        "of the values", 0.1, 1.0, frozenset({"String"}), "an input that is a String"
    ),
}


def amount_of(perturb: Perturbation, asked: float | None) -> float:
    return PERTURBATIONS[perturb].usual if asked is None else asked


def check_name(metric: str, perturb: str, amount: float | None) -> str:
    """
    >>> check_name("auc", "noise", None)
    'auc under noise of 0.1'
    """
    return f"{metric} under {perturb} of {amount_of(Perturbation(perturb), amount):g}"
