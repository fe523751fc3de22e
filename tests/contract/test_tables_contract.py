from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from framework import checked
from framework.api.errors import TransientError
from framework.backends.delta.tables import DeltaTables
from framework.backends.memory import MemoryTables
from framework.ports import CheckedRun, ExpectationResult, TableState
from framework.workloads.features import delta
from tests.contract.suites.tables import COLUMNS, TableCatalogContract, TableWorld


class TestMemoryTables(TableCatalogContract):
    @pytest.fixture
    def world(self) -> TableWorld:
        tables = MemoryTables()

        def publish(uri: str, rows: int, digest: str) -> None:
            before = tables.describe(uri)
            version = before.version + 1 if before else 0
            now = datetime.now(UTC)
            tables.publish(TableState(uri, version, rows, digest, "i1", "c" * 40, now, COLUMNS))

        return TableWorld(tables, "memory://store", publish)


class TestDeltaTables(TableCatalogContract):
    """Published as the materialising workload does it."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> TableWorld:
        def publish(uri: str, rows: int, digest: str) -> None:
            frame = pl.DataFrame(
                {"flight": range(rows), "distance": [1.5] * rows}, schema_overrides={"flight": pl.Int64}
            )
            metadata = {"rows": rows, "source_digest": digest, "identity": "i1", "commit": "c" * 40, "columns": COLUMNS}
            delta.publish(uri, [frame], COLUMNS, metadata)

        return TableWorld(DeltaTables(), str(tmp_path / "store"), publish)

    def test_a_log_that_cannot_be_read_is_transient(self, world: TableWorld) -> None:
        world.publish(world.uri(), 3, "s1")
        (log,) = Path(world.uri(), "_delta_log").glob("*.json")
        log.write_text("{not json")
        with pytest.raises(TransientError, match="cannot read the table"):
            world.tables.describe(world.uri())

    def test_the_newest_run_that_was_checked_is_found_and_a_damaged_one_is_transient(self, world: TableWorld) -> None:
        result = ExpectationResult(check="sql", observed="é", passed=False, failing=0.5, offending=({"k": 1},))
        runs = [
            CheckedRun(run=f"run-{day}", at=datetime(2024, 1, day, tzinfo=UTC), rows=9, version=v, results=(result,))
            for day, v in ((1, 0), (2, None))
        ]
        for run in reversed(runs):
            checked.write(world.uri(), run)
        checked.write(world.uri(), CheckedRun(run="none", at=datetime(2024, 1, 3, tzinfo=UTC), rows=1))
        assert world.tables.checked(world.uri()) == runs[1]
        assert world.tables.describe(world.uri()) is None
        newest = sorted(Path(world.uri(), "_expectations").iterdir())[-1]
        newest.write_bytes(b"no parquet")
        with pytest.raises(TransientError, match=f"{newest.name} is damaged"):
            world.tables.checked(world.uri())

    def test_what_others_do_to_a_table_is_no_version_of_ours(self, world: TableWorld) -> None:
        world.publish(world.uri(), 3, "s1")
        before = world.tables.describe(world.uri())
        DeltaTable(world.uri()).alter.set_table_properties({"delta.logRetentionDuration": "interval 90 days"})
        assert world.tables.describe(world.uri()) == before
        world.publish(world.uri(), 5, "s2")
        assert [item.version for item in world.tables.versions(world.uri())] == [2, 0]

    def test_only_a_whole_uri_is_deleted(
        self, world: TableWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "empty" / "kept").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "empty")
        for uri in ("", ".", "kept"):
            with pytest.raises(ValueError, match="is not removed"):
                world.tables.delete(uri)
        assert (tmp_path / "empty" / "kept").is_dir()
