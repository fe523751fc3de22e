"""User code, by the name that a spec gives it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import polars as pl

from framework.api.nearest import did_you_mean
from framework.workloads.context import WorkloadError
from framework.workloads.failures import place_of, raised


def load_entrypoint(entrypoint: str) -> Callable[..., Any]:
    """The attribute that ``package.module:attribute`` names.

    Raises:
        WorkloadError: "EntrypointMissing" when the module or the attribute is not in the code of this commit,
            "EntrypointFailed" when importing it raised.
    """
    module_name, _, attribute = entrypoint.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        told = f"{entrypoint}: there is no module {error.name!r}{place_of(error)}"
        raise WorkloadError("EntrypointMissing", told) from error
    except Exception as error:
        raise WorkloadError("EntrypointFailed", f"importing {module_name} raised {raised(error)}") from error
    found = getattr(module, attribute, None)
    if not callable(found):
        names = [name for name in vars(module) if not name.startswith("_")]
        raise WorkloadError(
            "EntrypointMissing", f"{module_name} has no function {attribute!r}{did_you_mean(attribute, names)}"
        )
    return found  # type: ignore[no-any-return]


def call(entrypoint: str, /, **sources: pl.LazyFrame) -> pl.LazyFrame:
    """What a user's function returns, as a LazyFrame.

    Raises:
        WorkloadError: what ``load_entrypoint`` raises; "TransformFailed" with what the function raised, and where;
            "WrongType" for anything but a LazyFrame or DataFrame.
    """
    function = load_entrypoint(entrypoint)
    try:
        value = function(**sources)
    except WorkloadError:
        raise
    except Exception as error:
        raise WorkloadError("TransformFailed", f"{entrypoint} raised {raised(error)}") from error
    if isinstance(value, pl.DataFrame):
        return value.lazy()
    if not isinstance(value, pl.LazyFrame):
        raise WorkloadError(
            "WrongType", f"{entrypoint} returned {type(value).__name__}; a polars LazyFrame is expected"
        )
    return value
