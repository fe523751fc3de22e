"""Whose callers notice a plan, and what becomes of the routes that they call. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.planning.grammar.changes import Change, Desired, Verb
from framework.planning.grammar.forecast import Endpoint
from framework.planning.grammar.kind import Kind

Specs = Mapping[Ref, Desired[Any]]


def endpoints(
    changes: Sequence[Change],
    before: Specs,
    after: Specs,
    kinds: Mapping[str, Kind],
    requests: Mapping[Ref, int],
    *,
    same_cluster: bool = True,
) -> tuple[Endpoint, ...]:
    """Those whose answers, route or existence change. ``same_cluster``: what is to come runs where that which is in
    force runs, so that a route can be handed over."""
    total = sum(requests.values())
    moving = [change.ref for change in changes if change.verb is not Verb.NOOP]
    routes = _Routes(_routes(before, moving, kinds), _routes(after, moving, kinds), same_cluster)
    found = []
    for change in changes:
        desired = after.get(change.ref) or before.get(change.ref)
        if desired is None or not _noticed(change):
            continue
        exposure = kinds[change.ref.kind].exposure(desired.spec)
        if exposure is None:
            continue
        gradual = change.ref in before and change.verb is not Verb.DELETE and change.category >= Category.REDEPLOY
        share = requests.get(change.ref, 0) / total if total else None
        weight = exposure.first_weight if gradual else 100
        found.append(Endpoint(change.ref, exposure.route, share, weight, routes.note(change.ref)))
    return tuple(found)


def _noticed(change: Change) -> bool:
    if change.verb is Verb.DELETE:
        return True
    return change.verb is not Verb.NOOP and change.category >= Category.REROUTE and change.category != Category.RELOAD


class _Routes:
    """Who has a route, and who will, of those that change at all."""

    def __init__(self, old: Mapping[Ref, str], new: Mapping[Ref, str], same_cluster: bool) -> None:
        self._old, self._new = old, new
        self._had = {route: ref for ref, route in self._old.items()}
        self._gets = {route: ref for ref, route in self._new.items()}
        self._same_cluster = same_cluster

    def note(self, ref: Ref) -> str:
        told = [self._taken(ref), self._left(ref)]
        return "; ".join(part for part in told if part)

    def _taken(self, ref: Ref) -> str:
        """Where the route that it will have comes from."""
        route = self._new.get(ref)
        holder = self._had.get(route) if route is not None else None
        if holder is None or holder == ref:
            return ""
        if holder in self._new:
            return f"taken over from {holder}, which moves to {self._new[holder]}"
        if not self._same_cluster:
            return f"OUTAGE: {holder} serves it on another Ray, and nobody does until this one runs"
        return f"handed over from {holder}, which serves until this one does"

    def _left(self, ref: Ref) -> str:
        """What becomes of the route that it had."""
        route = self._old.get(ref)
        if route is None or self._new.get(ref) == route:
            return ""
        heir = self._gets.get(route)
        if heir is not None:
            return f"{route} is handed over to {heir}"
        moved = f"moves to {self._new[ref]}; " if ref in self._new else ""
        return f"{moved}nothing answers at {route} any more"


def _routes(specs: Specs, refs: list[Ref], kinds: Mapping[str, Kind]) -> dict[Ref, str]:
    exposed = ((ref, kinds[ref.kind].exposure(specs[ref].spec)) for ref in refs if ref in specs)
    return {ref: exposure.route for ref, exposure in exposed if exposure is not None}
