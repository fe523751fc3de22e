"""Where newer data exists than what is in service was made from. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from framework.api.meta import Ref
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.kind import Kind
from framework.planning.grammar.remembered import status_of
from framework.ports import Record


def newer_data(
    desired: Mapping[Ref, Desired[Any]], records: Sequence[Record], kinds: Mapping[str, Kind]
) -> Mapping[Ref, tuple[Ref, ...]]:
    """By resource the upstreams that have moved on since, where a kind stays behind its upstreams on purpose."""
    recorded = {record.ref: record for record in records}
    found: dict[Ref, tuple[Ref, ...]] = {}
    for ref, asked in desired.items():
        behind = kinds[ref.kind].behind
        if behind is None or ref not in recorded:
            continue
        above = {item: _state(recorded[item]) for item in asked.upstream if item in recorded}
        moved = behind(asked, _state(recorded[ref]), above)
        if moved:
            found[ref] = moved
    return found


def _state(record: Record) -> Mapping[str, Any]:
    return status_of(record).state
