"""What is told of how one pass ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from framework.api.meta import Ref
from framework.planning.grammar.remembered import status_of, way_out
from framework.planning.reports.convergence import EnvironmentHealth
from framework.ports import Recorded
from framework.render.outcome import PassResult


def outcome(
    environment: str,
    commit: str,
    seconds: float,
    found: EnvironmentHealth,
    recorded: Recorded,
    *,
    looks: int = 0,
    calls: Counter[str] | None = None,
    note: str = "",
    doubt: str = "",
    taken_up: bool = True,
) -> PassResult:
    """What to say of a pass that left things as they were ``found``. ``calls`` is None where another did the work;
    ``recorded`` are at least those that are not as git asks, ``doubt`` is why the records alone do not prove that all
    is as git asks."""
    return PassResult(
        word=found.conclusion(withheld=bool(note), doubted=bool(doubt)),
        environment=environment,
        commit=commit,
        seconds=seconds,
        health=found,
        looks=looks,
        calls=Counter(calls or {}),
        followed=calls is None,
        note=note or doubt,
        taken_up=taken_up,
        reasons=tuple(_reasons(found.open, recorded)),
    )


def _reasons(refs: Iterable[Ref], recorded: Recorded) -> Iterator[tuple[Ref, str]]:
    """What each of them said of itself; nothing of one that is not on record."""
    records = {record.ref: record for record in recorded.readable}
    for ref in refs:
        if ref in recorded.unreadable:
            yield ref, way_out(ref, recorded.unreadable[ref])
        elif ref in records:
            said = status_of(records[ref]).conditions.ready
            yield ref, said.message or said.reason
