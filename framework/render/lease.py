"""Who may change an environment, for people and for programs."""

from __future__ import annotations

from enum import StrEnum

from framework.ports import Lease
from framework.render.canonical import document
from framework.render.wording import count, second

FORMAT = 1


class Holder(StrEnum):
    """What can be seen from here of the process that holds a lease."""

    ALIVE = "alive"
    DEAD = "dead"
    ELSEWHERE = "elsewhere"
    """On another machine, or nothing is known of it: only its signs of life tell."""


_SEEN = {
    Holder.ALIVE: "Its process runs on this machine.",
    Holder.DEAD: "Its process has ended: whoever looks next takes the lease over.",
    Holder.ELSEWHERE: "It does not run on this machine. Whoever waits takes the lease over after {ttl:g} s without a "
    "sign of life. If you know that it is dead: mlopsctl lease --break",
}


def lease_text(environment: str, lease: Lease | None, holder: Holder) -> str:
    if lease is None:
        return f"Nobody holds the lease of {environment}."
    last = "an unknown time" if lease.renewed is None else f"{second(lease.renewed)} UTC"
    return (
        f"The lease of {environment} is held by {lease.holder} (token {lease.token}).\n"
        f"{count(lease.renewals, 'sign')} of life; the last at {last} by its clock.\n"
        f"{_SEEN[holder].format(ttl=lease.ttl_seconds)}"
    )


def broken_text(lease: Lease, holder: Holder) -> str:
    again = "; its process runs, and takes it again" if holder is Holder.ALIVE else ""
    return f"The lease of {lease.holder} is broken{again}."


def lease_json(environment: str, lease: Lease | None, holder: Holder, *, broken: bool) -> str:
    """``lease`` as it was before it was broken."""
    seen = None if lease is None else holder
    return document({"format": FORMAT, "environment": environment, "lease": lease, "holder": seen, "broken": broken})
