"""How the next combination of parameters is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from framework.workloads.context import WorkloadError
from framework.workloads.training.progress import trials_in_all


class Samples(NamedTuple):
    """A search algorithm of Tune's, how many samples it is asked for, and the space of parameters as Tune writes it."""

    algorithm: Any
    number: int
    space: dict[str, Any]


def _optuna(tune: Mapping[str, Any], seed: int) -> Samples:
    """It gets the space through Tune, which converts it."""
    from ray.tune.search import ConcurrencyLimiter
    from ray.tune.search.optuna import OptunaSearch

    limited = ConcurrencyLimiter(OptunaSearch(seed=seed), max_concurrent=tune["concurrency"])
    return Samples(limited, tune["trials"], _space(tune))


def _random(tune: Mapping[str, Any], seed: int) -> Samples:
    return Samples(_variants(tune, seed), tune["trials"], _space(tune))


def _grid(tune: Mapping[str, Any], seed: int) -> Samples:
    return Samples(_variants(tune, seed), 1, grid_space(tune))


ALGORITHMS: Mapping[str, Callable[[Mapping[str, Any], int], Samples]] = {
    "optuna": _optuna,
    "random": _random,
    "grid": _grid,
}


def samples_of(tune: Mapping[str, Any], seed: int) -> Samples:
    """
    Raises:
        WorkloadError: "UnsupportedSearch".
    """
    name = tune["algorithm"]
    if name not in ALGORITHMS:
        told = f"tune.algorithm {name} cannot run yet (allowed: {', '.join(ALGORITHMS)})"
        raise WorkloadError("UnsupportedSearch", told)
    return ALGORITHMS[name](tune, seed)


def _variants(tune: Mapping[str, Any], seed: int) -> Any:
    from ray.tune.search.basic_variant import BasicVariantGenerator

    return BasicVariantGenerator(max_concurrent=tune["concurrency"], random_state=seed)


def grid_space(tune: Mapping[str, Any]) -> dict[str, Any]:
    """Every combination of the choices, as Tune writes it.

    Raises:
        WorkloadError: "GridNeedsChoice" for a distribution that has no finite list; "UnsupportedSearch" where the
            combinations outnumber ``trials``.
    """
    size = trials_in_all(tune)
    if size > tune["trials"]:
        raise WorkloadError("UnsupportedSearch", f"the grid has {size} combinations, but trials is {tune['trials']}")
    return {key: {"grid_search": list(value["choice"])} for key, value in sorted(tune["search"].items())}


def _space(tune: Mapping[str, Any]) -> dict[str, Any]:
    """Draws go by the order of the parameters, which must not follow from how a file or a JSON writer ordered them."""
    return {key: _distribution(distribution) for key, distribution in sorted(tune["search"].items())}


def _distribution(form: Mapping[str, Any]) -> Any:
    from ray import tune as ray_tune

    ((name, value),) = ((key, given) for key, given in form.items() if given is not None)
    if name == "choice":
        return ray_tune.choice(list(value))
    return getattr(ray_tune, name)(*value)
