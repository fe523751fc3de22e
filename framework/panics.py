"""Panics of libraries that are written in Rust."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_MODULE = "pyo3_runtime"
"""Where every such library says that its own class of them is from."""


@contextmanager
def panics_told() -> Iterator[None]:
    """Raise a panic as a RuntimeError, as a block or around a function. Damaged bytes are enough for one, and it is
    raised past Exception: whoever tells of all failures and goes on would be ended by it, and tell nobody."""
    try:
        yield
    except BaseException as error:
        if type(error).__module__ != _MODULE:
            raise
        raise RuntimeError(f"a library failed within: {error}") from error
