"""When an Environment takes no new commits."""

from __future__ import annotations

from datetime import datetime

from framework.api import closures
from framework.kinds.environment.spec import EnvironmentSpec


def closed_until(spec: EnvironmentSpec, now: datetime) -> datetime | None:
    """The first minute (UTC) from ``now`` on at which a new commit may take effect; None: it may now."""
    return closures.closes(((window.deny, window.timezone) for window in spec.windows), now)
