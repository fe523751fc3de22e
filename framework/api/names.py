"""What things of an environment are called where environments meet, such as on one Ray."""

from __future__ import annotations

_SEPARATOR = "_"
"""In the name of no resource and of no environment. Ray takes it in names of files, processes and URLs as it stands."""


def shared_name(environment: str, name: str) -> str:
    """``name`` with its environment before it."""
    return f"{environment}{_SEPARATOR}{name}"


def own_name(shared: str) -> str:
    """The name within its environment. One that carries no environment is taken as it is."""
    return shared.rpartition(_SEPARATOR)[2]
