"""What every TableCatalog promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from framework.api.errors import TerminalError
from framework.ports import Json, TableCatalog

COLUMNS = (("flight", "Int64"), ("distance", "Float64"))


@dataclass(frozen=True)
class TableWorld:
    """``publish`` (table's URI, rows, source digest) does what a materialising run does at its end, with identity "i1",
    the commit "c" * 40 and :data:`COLUMNS`; ``write`` puts a source file at a path below ``root``."""

    tables: TableCatalog
    storage: str
    root: str
    publish: Callable[[str, int, str], None]
    write: Callable[[str, str], None]

    def uri(self, name: str = "departures") -> str:
        return f"{self.storage}/features/{name}/i1"

    def digest(self, **paths: str) -> str:
        sources: dict[str, dict[str, Json]] = {name: {"format": "csv", "path": path} for name, path in paths.items()}
        return self.tables.source_digest(sources, self.root)


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

    def test_the_source_digest_changes_with_the_files(self, world: TableWorld) -> None:
        world.write("data/flights.csv", "a\n1\n")
        world.write("data/other.csv", "b\n1\n")
        before = world.digest(flights="data/flights.csv")
        assert before
        assert world.digest(flights="data/flights.csv") == before
        world.write("data/other.csv", "b\n1\n2\n")
        assert world.digest(flights="data/flights.csv") == before
        assert world.digest(flights="data/other.csv") != before
        assert world.digest(flights="data/flights.csv", other="data/other.csv") != before
        world.write("data/flights.csv", "a\n1\n2\n")
        assert world.digest(flights="data/flights.csv") != before

    def test_globs_see_new_files(self, world: TableWorld) -> None:
        world.write("data/2013-01.csv", "a\n1\n")
        before = world.digest(flights="data/2013-*.csv")
        world.write("data/2014-01.csv", "a\n1\n")
        assert world.digest(flights="data/2013-*.csv") == before
        world.write("data/2013-02.csv", "a\n1\n")
        assert world.digest(flights="data/2013-*.csv") != before

    @pytest.mark.parametrize("path", ["data/missing.csv", "data/missing-*.csv"])
    def test_a_missing_source_is_named(self, world: TableWorld, path: str) -> None:
        world.write("data/flights.csv", "a\n1\n")
        with pytest.raises(TerminalError) as raised:
            world.digest(flights="data/flights.csv", planes=path)
        assert raised.value.reason == "SourceMissing"
        assert "planes" in str(raised.value)
        assert path in str(raised.value)

    def test_sources_that_are_no_files_have_no_digest(self, world: TableWorld) -> None:
        sources: dict[str, dict[str, Json]] = {"weather": {"view": "weather-hourly"}, "made": {"function": "a.b:c"}}
        assert world.tables.source_digest(sources, world.root) == ""
        assert world.tables.source_digest({}, world.root) == ""
