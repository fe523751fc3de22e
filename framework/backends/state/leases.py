"""Who may change an environment. Pure; the rule that every state store follows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from framework.ports import Lease


def next_lease(
    current: Lease | None,
    newest_token: int,
    holder: str,
    ttl_seconds: float,
    now: datetime,
    note: Mapping[str, Any] | None,
) -> Lease | None:
    """The lease that ``holder`` gets, None while somebody else's has not expired.

    The token grows with every new holder and stays through renewals, so that a former holder that was paused cannot
    write once somebody took over. A renewal keeps the note unless a new one is given.
    """
    expires = now + timedelta(seconds=ttl_seconds)
    if current is not None and current.holder == holder:
        return current.model_copy(update={"expires": expires, "note": current.note if note is None else dict(note)})
    if current is not None and now < current.expires:
        return None
    return Lease(holder=holder, token=newest_token + 1, expires=expires, note=dict(note or {}))
