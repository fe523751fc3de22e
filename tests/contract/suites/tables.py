"""What every TableCatalog promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from framework.ports import TableCatalog

COLUMNS = (("flight", "Int64"), ("distance", "Float64"))


@dataclass(frozen=True)
class TableWorld:
    """``publish`` (table's URI, rows, source digest) does what a materialising run does at its end, with identity "i1",
    the commit "c" * 40 and :data:`COLUMNS`."""

    tables: TableCatalog
    storage: str
    publish: Callable[[str, int, str], None]

    def uri(self, name: str = "departures") -> str:
        return f"{self.storage}/features/{name}/i1"


class TableCatalogContract:
    """Subclass it and provide a fixture ``world``."""

    def test_nothing_is_described_where_nothing_is(self, world: TableWorld) -> None:
        assert world.tables.describe(world.uri()) is None
        assert world.tables.checked(world.uri()) is None

    def test_a_published_table_is_described(self, world: TableWorld) -> None:
        before = datetime.now(UTC)
        world.publish(world.uri(), 3, "s1")
        state = world.tables.describe(world.uri())
        assert state is not None
        assert (state.uri, state.rows, state.source_digest) == (world.uri(), 3, "s1")
        assert (state.identity, state.commit, state.columns) == ("i1", "c" * 40, COLUMNS)
        assert abs((state.published - before).total_seconds()) < 10
        assert world.tables.describe(world.uri("other")) is None

    def test_a_new_version_has_a_higher_number(self, world: TableWorld) -> None:
        world.publish(world.uri(), 3, "s1")
        first = world.tables.describe(world.uri())
        world.publish(world.uri(), 5, "s2")
        second = world.tables.describe(world.uri())
        assert first is not None
        assert second is not None
        assert second.version > first.version
        assert (second.rows, second.source_digest) == (5, "s2")

    def test_every_version_is_told_newest_first(self, world: TableWorld) -> None:
        assert list(world.tables.versions(world.uri())) == []
        for rows, digest in ((3, "s1"), (5, "s2"), (4, "s3")):
            world.publish(world.uri(), rows, digest)
        versions = world.tables.versions(world.uri())
        assert [(item.rows, item.source_digest) for item in versions] == [(4, "s3"), (5, "s2"), (3, "s1")]
        assert [item.version - versions[-1].version for item in versions] == [2, 1, 0]
        assert versions[0] == world.tables.describe(world.uri())

    def test_delete_is_idempotent_and_spares_the_others(self, world: TableWorld) -> None:
        for name in ("one", "two"):
            world.publish(world.uri(name), 3, "s1")
        world.tables.delete(world.uri("one"))
        world.tables.delete(world.uri("one"))
        world.tables.delete(world.uri("never"))
        assert world.tables.describe(world.uri("one")) is None
        assert world.tables.describe(world.uri("two")) is not None
