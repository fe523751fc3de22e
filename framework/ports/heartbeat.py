"""What the controller that leads says of itself, so that others can tell what is from what was."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from framework.api.meta import Stored

Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class Outage(Stored):
    """Something that does not answer or does not work, since when, and how that shows."""

    since: AwareDatetime
    message: str


class Heartbeat(Stored):
    """Written every ``every`` seconds by whoever holds the lease. Nothing is allowed or refused because of it: who may
    act is what the lease says. Times are those of the wall clock of its machine."""

    holder: str
    process: dict[str, Any] = Field(default_factory=dict)
    """Names the process beyond doubt: ``host``, ``pid``, and what tells it from another of that pid."""
    started: AwareDatetime
    time: AwareDatetime
    """When this was written."""
    every: Seconds
    """Seconds until the next one."""
    ended: AwareDatetime | None = None
    """The controller stopped in order."""
    resync: Seconds
    """Seconds in which it means to come by everything."""
    round: Seconds = 0.0
    """Seconds that it took the last time."""
    seen: AwareDatetime | None = None
    """Everything that git asks for was looked at since then, except for ``late``; None: nothing was yet."""
    late: dict[str, AwareDatetime | None] = Field(default_factory=dict)
    """The few that were looked at longer ago than the others, by ``Kind/name``; None: not at all yet."""
    commit: str = ""
    """The one in force."""
    newest: str = ""
    """The newest that was found in git."""
    note: str = ""
    """Why ``newest`` is not in force, where it was looked at: refused, waiting, or behind a pin."""
    source: Outage | None = None
    """Why git cannot be read."""
    cluster: Outage | None = None
    """Why Ray does not answer."""
    loop: Outage | None = None
    """What else keeps the controller from its work, such as a state store that is locked."""
    mirror: Outage | None = None
    """Why the mirror of the registry lags behind."""
