"""What processes on the cluster wrote."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Log:
    """The end of what one process wrote. ``source`` is what it works for: an app, a router or an attempt of a run;
    ``process`` tells those of one source apart. ``note`` is for people, such as that the log itself is gone."""

    source: str
    text: str
    process: str = ""
    note: str = ""
