"""Which version answers a request. Pure: the table, the request's headers and one random draw decide."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from framework.api.names import own_name

CANDIDATE_SHARE = 0.5
"""A shielded candidate may use this share of what is left of the deadline; the rest is stable's."""


@dataclass(frozen=True)
class TrafficTable:
    """What a router is told through its Serve ``user_config``. Weights are percent by the app's name in Serve."""

    deployment: str
    weights: Mapping[str, int]
    stable: str
    generation: int
    shield: bool
    timeout_seconds: float
    sticky_header: str | None
    match_header: tuple[str, str] | None
    max_queued: int

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> TrafficTable:
        """Read a ``user_config``; keys of a newer version are ignored.

        Raises:
            ValueError: stable is not in the table, a weight is negative or none is positive, or a field is missing.
        """
        try:
            match = value.get("match_header")
            sticky = value.get("sticky_header")
            table = cls(
                deployment=str(value["deployment"]),
                weights={str(app): int(weight) for app, weight in value["weights"].items()},
                stable=str(value["stable"]),
                generation=int(value["generation"]),
                shield=bool(value["shield"]),
                timeout_seconds=float(value["timeout_seconds"]),
                sticky_header=sticky.lower() if sticky else None,
                match_header=(match[0].lower(), match[1]) if match else None,
                max_queued=int(value["max_queued"]),
            )
        except KeyError as missing:
            raise ValueError(f"the traffic table lacks {missing}") from None
        if table.stable not in table.weights:
            raise ValueError(f"stable {table.stable!r} is not in the traffic table")
        if min(table.weights.values()) < 0 or sum(table.weights.values()) <= 0:
            raise ValueError("weights must not be negative and must not all be zero")
        return table

    @property
    def candidates(self) -> tuple[str, ...]:
        """Every app but stable, in the order that sticky buckets are handed out."""
        return tuple(sorted(app for app in self.weights if app != self.stable))

    def public(self) -> dict[str, Any]:
        """What a caller may see of the table."""
        return {
            "deployment": self.deployment,
            "generation": self.generation,
            "stable": own_name(self.stable),
            "weights": {own_name(app): weight for app, weight in self.weights.items()},
        }


def choose(table: TrafficTable, headers: Mapping[str, str], draw: float) -> str:
    """The app for one request.

    A request with the match header goes to the candidate. One with the sticky header lands by a hash of its value, the
    candidate taking the lowest buckets: as its weight rises it only gains users, and as it falls only the last to come
    go back. The hash is salted with the candidates' names, so that not the same users try every version. All others are
    drawn.

    Args:
        headers: by lower-case name.
        draw: uniform in [0, 1).
    """
    candidates = table.candidates
    if candidates and table.match_header is not None:
        name, value = table.match_header
        if headers.get(name) == value:
            return candidates[0]
    key = headers.get(table.sticky_header) if table.sticky_header else None
    point = draw if not key else bucket(key, salt="/".join(candidates))
    position = point * sum(table.weights.values())
    threshold = 0
    for app in candidates:
        threshold += table.weights[app]
        if position < threshold:
            return app
    return table.stable


def bucket(key: str, salt: str) -> float:
    """Where ``key`` falls in [0, 1): uniform over keys, equal in every process and on every machine."""
    digest = hashlib.blake2b(f"{salt}\0{key}".encode(errors="surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / (1 << 53)


def call_budget(table: TrafficTable, app: str, remaining: float) -> float:
    """Seconds that a call to ``app`` may take when ``remaining`` are left of the request's deadline."""
    if app == table.stable or not table.shield:
        return remaining
    return remaining * CANDIDATE_SHARE
