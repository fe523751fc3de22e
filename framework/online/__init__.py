"""Online stores: where rows lie that replicas look up while they serve. A run writes them, the control plane describes
and drops them, so the room is nobody's alone, like ``framework.storage``.

A store knows keys and values as bytes. What is in them is the business of ``framework.workloads.online``, but for this:
a value begins with eight bytes that compare as the times do from which it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from framework.api.errors import TerminalError
from framework.api.nearest import did_you_mean
from framework.online.store import TIMEOUT, OnlineStore
from framework.ports import OnlinePlace

STORES: Mapping[str, str] = {
    "sqlite": "framework.online.sqlite:SqliteStore",
    "redis": "framework.online.redis:RedisStore",
    "rediss": "framework.online.redis:RedisStore",
}
"""By the scheme of the address: what keeps rows there, called with the place and the seconds that a call may take."""


def open_store(place: OnlinePlace, timeout: float = TIMEOUT) -> OnlineStore:
    """The store at ``place``; nothing is connected to before the first call.

    Raises:
        TerminalError: "BadAddress" for a scheme that no store has; "DriverMissing" with what to install.
    """
    scheme = place.store.partition("://")[0]
    if scheme not in STORES:
        near = did_you_mean(scheme, STORES)
        raise TerminalError("BadAddress", f"an online store is sqlite:// or redis://, not {scheme}://{near}")
    module, _, name = STORES[scheme].partition(":")
    make: Callable[[OnlinePlace, float], OnlineStore] = getattr(import_module(module), name)
    return make(place, timeout)
