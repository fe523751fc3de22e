"""What the history of an environment is made of: its log, and the registry for what a model was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from framework.api.errors import ConfigurationError
from framework.api.meta import Ref
from framework.planning.history import KINDS, History, history
from framework.ports import Event, Json, ModelRegistry, Ports, StateStore
from framework.render.history import HistoryReport

DEPLOYMENT = "ModelDeployment"
EVERYTHING = 2**31 - 1
"""More events than any log has."""


def report_of(
    environment: str, ports: Ports, ref: Ref | None, at: tuple[datetime, datetime] | None, limit: int
) -> HistoryReport:
    """All deployments, or the one resource that ``ref`` names; ``at``: from when until when, equal for a moment.

    Raises:
        ConfigurationError: the resource has no versions, or nothing ever happened to it.
    """
    if ref is not None and ref.kind not in KINDS:
        raise ConfigurationError(f"a {ref.kind} has no versions; there is history of {', '.join(KINDS)}")
    found = history(ports.state.events(limit=EVERYTHING))
    lives = tuple(life for life in found.lives if (life.ref == ref if ref else life.ref.kind == DEPLOYMENT))
    if ref is not None and not lives:
        raise ConfigurationError(f"nothing ever happened to {ref} in environment {environment}")
    found = History(found.turns, lives)
    if at is not None:
        found = found.between(*at)
    deployments = [life for life in found.lives if life.ref.kind == DEPLOYMENT]
    served = {one.version for life in deployments for one in life.services}
    return HistoryReport(
        environment=environment,
        history=found,
        features=features(served, ports.registry),
        since=at[0] if at else None,
        until=at[1] if at else None,
        limit=limit,
    )


def features(versions: Iterable[str], registry: ModelRegistry) -> dict[str, Mapping[str, Mapping[str, Json]]]:
    """What each version (``training@version``) was trained on, by view; without versions that the registry has not."""
    found: dict[str, Mapping[str, Mapping[str, Json]]] = {}
    for label in sorted(versions):
        training, _, version = label.partition("@")
        known = registry.get(training, version)
        if known is not None:
            found[label] = dict(known.lineage.get("views", {}))
    return found


def newest_events(
    state: StateStore, ref: Ref | None, limit: int, since: datetime | None, reasons: frozenset[str]
) -> tuple[Event, ...]:
    """The newest ``limit`` of those from ``since`` on with one of ``reasons`` (none: any), oldest first."""
    if since is None and not reasons:
        return tuple(state.events(ref, limit))
    found = [event for event in state.events(ref, EVERYTHING) if _matches(event, reasons)]
    recent = [event for event in found if since is None or event.time >= since]
    return tuple(recent[max(len(recent) - limit, 0) :])


def next_events(
    state: StateStore, ref: Ref | None, reasons: frozenset[str], wait: Callable[[], None]
) -> Iterator[Event]:
    """What happens from now on, each event once and without an end. ``wait`` is called between two looks."""
    seen = state.seal().events
    while True:
        wait()
        logged = state.seal().events
        if logged > seen:
            new = [event for event in state.events(limit=logged - seen) if event.sequence > seen]
            seen = max([seen, *(event.sequence for event in new)])
            yield from (event for event in new if ref in (None, event.ref) and _matches(event, reasons))


def _matches(event: Event, reasons: frozenset[str]) -> bool:
    return not reasons or event.reason in reasons
