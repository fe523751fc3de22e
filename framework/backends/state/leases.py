"""Who may change an environment. Pure; the rule that every state store follows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from framework.ports import Lease


def taken(
    current: Lease | None,
    newest_token: int,
    holder: str,
    ttl_seconds: float,
    now: datetime,
    note: Mapping[str, Any] | None,
    over: Lease | None,
) -> Lease | None:
    """The lease that ``holder`` gets, None where somebody else holds another one than ``over``.

    The token grows with every taking, so that a former holder that was paused cannot write once somebody took over.
    """
    if current is not None and current.holder != holder and current != over:
        return None
    return Lease(holder=holder, token=newest_token + 1, ttl_seconds=ttl_seconds, renewed=now, note=dict(note or {}))


def renewed(current: Lease | None, lease: Lease, now: datetime) -> Lease | None:
    """``lease`` after one more sign of life, None where it is no longer the one in force."""
    if current is None or current.token != lease.token:
        return None
    return current.model_copy(update={"renewals": current.renewals + 1, "renewed": now})
