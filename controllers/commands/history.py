"""What the history of an environment is made of: its log, and the registry for what a model was trained on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, islice

from framework.api.errors import ConfigurationError
from framework.api.meta import Ref
from framework.planning.grammar.kind import Kind
from framework.planning.reports.history import history
from framework.ports import Event, Json, ModelRegistry, Ports, StateStore, is_asked_for
from framework.render.history import HistoryReport

_PAGE = 1_000
"""Events that are held at a time."""


def report_of(
    environment: str,
    ports: Ports,
    kinds: Mapping[str, Kind],
    ref: Ref | None,
    at: tuple[datetime, datetime] | None,
    limit: int,
) -> HistoryReport:
    """All that serves, or the one resource that ``ref`` names; ``at``: from when until when, equal for a moment.

    Raises:
        ConfigurationError: the resource has no versions, or nothing ever happened to it.
    """
    versions = [name for name, kind in kinds.items() if kind.versions]
    if ref is not None and ref.kind not in versions:
        raise ConfigurationError(f"a {ref.kind} has no versions; there is history of {', '.join(versions)}")
    lived = whole_log(ports.state, [ref.kind] if ref else [name for name in versions if kinds[name].serving])
    asked = (event for event in lived if event.ref == (ref or event.ref))
    found = history(chain(whole_log(ports.state, [""]), asked), kinds, limit, at)
    if ref is not None and not found.lives:
        raise ConfigurationError(f"nothing ever happened to {ref} in environment {environment}")
    served = {one.version for life in found.lives if life.serve for one in life.services}
    return HistoryReport(
        environment=environment,
        history=found,
        features=features(served, ports.registry),
        since=at[0] if at else None,
        until=at[1] if at else None,
        limit=limit,
    )


def whole_log(state: StateStore, kinds: Collection[str] = ()) -> Iterator[Event]:
    """What ever happened to resources of some kinds (``""``: to the environment itself) or of any, oldest first, a page
    at a time."""
    after = 0
    while page := state.log(after, _PAGE, kinds=kinds):
        yield from page
        after = page[-1].sequence


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
    state: StateStore, ref: Ref | None, limit: int, reasons: Collection[str], since: datetime | None
) -> Iterator[Sequence[Event]]:
    """The newest ``limit`` events, oldest first, a page at a time: however many are wanted, few are held at once."""
    if limit <= _PAGE:
        yield state.events(ref, limit, reasons=reasons, since=since)
        return

    def asked() -> Iterator[Event]:
        log = whole_log(state, [ref.kind] if ref else ())
        return (event for event in log if ref in (None, event.ref) and is_asked_for(event, reasons, since))

    left = islice(asked(), max(0, sum(1 for _ in asked()) - limit), None)
    while page := tuple(islice(left, _PAGE)):
        yield page


def next_events(
    state: StateStore, ref: Ref | None, reasons: Collection[str], wait: Callable[[], None]
) -> Iterator[Event]:
    """What happens from now on, each event once and without an end. ``wait`` is called between two looks."""
    seen = state.seal().events
    while True:
        wait()
        while page := state.log(seen, _PAGE):
            seen = page[-1].sequence
            yield from (
                event for event in page if ref in (None, event.ref) and (not reasons or event.reason in reasons)
            )
