"""Whether anything is still under way. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framework.api.meta import Ref
from framework.planning.changes import Desired, Status
from framework.ports import Record

HELD = frozenset({"Paused"})
"""Reasons for which a person is awaited: nothing moves by itself."""


@dataclass(frozen=True)
class Standing:
    """How far an environment is from what git asks for.

    ``moving``: work is under way. ``stalled``: given up until something changes. ``blocked``: waits for a stalled one.
    ``held``: waits for a person. ``ready``: as git asks.
    """

    ready: tuple[Ref, ...] = ()
    moving: tuple[Ref, ...] = ()
    stalled: tuple[Ref, ...] = ()
    blocked: tuple[Ref, ...] = ()
    held: tuple[Ref, ...] = ()

    @property
    def settled(self) -> bool:
        return not self.moving

    @property
    def converged(self) -> bool:
        return not (self.moving or self.stalled or self.blocked or self.held)


def standing(desired: Mapping[Ref, Desired[Any]], records: Sequence[Record]) -> Standing:
    """Sort every resource, the vanished ones (recorded, but not asked for) included, by how it stands.

    ``desired`` must be in dependency order, so that what blocks a resource is known before the resource is looked at.
    """
    statuses = {record.ref: Status.model_validate(record.status) for record in records}
    found: dict[str, list[Ref]] = {"ready": [], "moving": [], "stalled": [], "blocked": [], "held": []}
    stuck: set[Ref] = set()
    for ref, asked in desired.items():
        word = _word(asked, statuses.get(ref), stuck)
        if word in {"stalled", "blocked", "held"}:
            stuck.add(ref)
        found[word].append(ref)
    found["moving"].extend(sorted(set(statuses) - set(desired)))
    return Standing(**{word: tuple(refs) for word, refs in found.items()})


def _word(asked: Desired[Any], status: Status | None, stuck: Collection[Ref]) -> str:
    if status is None or status.digest != asked.digest or status.identity != asked.identity:
        return "moving"
    conditions = status.conditions
    if conditions.stalled.status:
        return "stalled"
    if conditions.reconciling.status:
        if conditions.reconciling.reason in HELD:
            return "held"
        return "blocked" if any(ref in stuck for ref in asked.upstream) else "moving"
    return "ready"
