"""Whatever comes, goes and fails in between, a mirror that answers in the end says what the registry says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from framework.backends.memory import MemoryMirror
from framework.planning.reports.aliases import ModelAlias
from framework.planning.reports.mirroring import in_doubt, moved_aliases, pending, tracked, with_aliases, with_version
from framework.planning.reports.models import ModelRow, model_row
from framework.ports import MirrorMark
from tests.contract.suites.registry import NOW, version

BUILDS, TRAININGS, NAMES = ("a" * 10, "b" * 10, "c" * 10), ("delay", "other"), ("champion", "challenger", "proven")
worlds = st.dictionaries(
    st.tuples(st.sampled_from(TRAININGS), st.sampled_from(BUILDS)),
    st.tuples(st.integers(0, 5), st.frozensets(st.sampled_from(NAMES))),
)


def rows_of(world: dict[tuple[str, str], tuple[int, frozenset[str]]]) -> list[ModelRow]:
    return [
        model_row(
            version(build, training, NOW + timedelta(hours=hour)),
            aliases=[ModelAlias(name, build) for name in sorted(names)],
        )
        for (training, build), (hour, names) in world.items()
    ]


def sent(rows: Sequence[ModelRow], mark: MirrorMark, mirror: MemoryMirror, calls: int) -> MirrorMark:
    """What is noted after so many calls, when the process dies without noting the last."""
    for row in pending(rows, mark):
        if calls == 0:
            return mark
        calls -= 1
        mirror.put(tracked(row.model, "local", {}))
        mark = with_version(mark, row.model) if calls else mark
    moves = moved_aliases(rows, mark)
    mark = in_doubt(mark, moves)
    for training, moved in moves.items():
        if calls == 0:
            return mark
        calls -= 1
        mirror.name(training, moved)
        mark = with_aliases(mark, training, moved) if calls else mark
    return mark


@given(st.lists(st.tuples(worlds, st.integers(0, 12)), min_size=1, max_size=5))
def test_in_the_end_it_says_what_the_registry_says(
    story: list[tuple[dict[tuple[str, str], tuple[int, frozenset[str]]], int]],
) -> None:
    mirror, mark, rows = MemoryMirror(), MirrorMark(address="x"), list[ModelRow]()
    for world, calls in story:
        rows = rows_of(world)
        mark = sent(rows, mark, mirror, calls)
    mark = sent(rows, mark, mirror, 1_000)

    assert (pending(rows, mark), moved_aliases(rows, mark)) == ((), {})
    assert {row.label for row in rows} <= mirror.versions.keys()
    for training in TRAININGS:
        named = {name: {row.model.version for row in rows if row.model.training == training
                        and name in {alias.name for alias in row.aliases}} for name in NAMES}  # fmt: skip
        wanted = {name: next(iter(builds)) for name, builds in named.items() if len(builds) == 1}
        assert mirror.aliases.get(training, {}) == wanted


@given(worlds)
def test_the_oldest_comes_first(world: dict[tuple[str, str], tuple[int, frozenset[str]]]) -> None:
    found = [row.model.created for row in pending(rows_of(world), MirrorMark(address="x"))]
    assert found == sorted(found)
    assert len(found) == len(world)
