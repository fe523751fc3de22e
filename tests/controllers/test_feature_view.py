"""What is looked at before a FeatureView is planned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controllers.kinds.feature_view import observe
from framework.api import layout
from framework.api.meta import Ref
from framework.backends.memory import MemoryRuns, MemorySources, MemoryTables, memory_ports
from framework.kinds.feature_view.plan import run_name
from framework.planning.grammar.changes import Desired
from framework.ports import Ports, RunPhase, SourceData, Sources, TableState
from tests.builders import NOW, STORAGE, desired, feature_view_spec, table

REF = Ref("FeatureView", "departures")
WATCHING = desired(REF, feature_view_spec(materialization={"every": "5m"}))
PUBLISHED = desired(REF, feature_view_spec())


class CountedSources(MemorySources):
    """Counts how often the sources are looked at."""

    looks = 0

    def held(self, sources: Sources, root: str, commit: str) -> SourceData:
        self.looks += 1
        return super().held(sources, root, commit)


@pytest.mark.parametrize(
    ("asked", "published", "looks"), [(PUBLISHED, False, 1), (PUBLISHED, True, 0), (WATCHING, True, 1)]
)
def test_sources_are_looked_at_only_where_that_may_change_anything(
    asked: Desired[Any], published: bool, looks: int
) -> None:
    tables, sources = MemoryTables(), CountedSources()
    sources.files["data/flights.csv"] = "carrier,hour"
    if published:
        tables.publish(table())
    observed = observe(REF, asked, None, _ports(tables, sources), NOW)
    assert (sources.looks, observed.table is not None) == (looks, published)
    assert observed.source_problem is None


def test_sources_that_are_gone_are_no_matter_for_a_table_that_waits_for_no_new_ones() -> None:
    tables, sources = MemoryTables(), MemorySources()
    tables.publish(table())
    assert observe(REF, PUBLISHED, None, _ports(tables, sources), NOW).source_problem is None
    assert observe(REF, WATCHING, None, _ports(tables, sources), NOW).source_problem == (
        "SourceMissing", "source flights: no file at data/flights.csv",
    )  # fmt: skip


@pytest.mark.parametrize("asked", [PUBLISHED, WATCHING])
def test_a_run_that_ends_between_two_looks_is_never_seen_without_its_table(asked: Desired[Any]) -> None:
    """It publishes while its state is being read."""
    tables, sources, runs = MemoryTables(), MemorySources(), MemoryRuns()
    sources.files["data/flights.csv"] = "carrier,hour"
    digest = sources.held({"flights": {"path": "data/flights.csv"}}, "/project", asked.commit).digest
    uri = layout.feature_table(STORAGE, REF.name, asked.identity)

    class Ending(MemoryRuns):
        def observe(self, storage: str, run: str) -> Any:
            made = run.removeprefix(run_name(REF.name, ""))
            tables.publish(TableState(uri, 0, 3, digest, asked.identity, "c" * 40, NOW, build=made))
            return runs.observe(storage, run)

    observed = observe(REF, asked, None, _ports(tables, sources, Ending()), NOW)
    assert (observed.run.phase, observed.current) == (RunPhase.ABSENT, True)


def _ports(tables: MemoryTables, sources: MemorySources, runs: MemoryRuns | None = None) -> Ports:
    ports = memory_ports(lambda: NOW, storage=STORAGE)
    return replace(ports, tables=tables, sources=sources, runs=runs or ports.runs)
