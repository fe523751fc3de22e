"""Which verbs the ports have, and which of them change the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints

VerbT = TypeVar("VerbT", bound=Callable[..., Any])

_MARK = "changes_the_world"


def changes(verb: VerbT) -> VerbT:
    """Mark a verb of a protocol as one that changes the world. Taking and renewing the lease and the heartbeat are not
    marked: a leader always does."""
    setattr(verb, _MARK, True)
    return verb


def verbs(ports: type[Any]) -> Mapping[str, bool]:
    """Every verb of every port that is a field of ``ports``, as ``port.verb``, and whether it changes the world."""
    protocols = {name: kind for name, kind in get_type_hints(ports).items() if getattr(kind, "_is_protocol", False)}
    return {
        f"{port}.{name}": hasattr(getattr(protocol, name), _MARK)
        for port, protocol in protocols.items()
        for name in dir(protocol)
        if not name.startswith("_")
    }
