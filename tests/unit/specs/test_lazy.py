"""Objects whose parts come late are used like any others."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import pytest

from framework.api.meta import Metadata, Ref
from framework.backends.memory.source import MemorySource
from framework.kinds import KINDS
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.snapshot import Snapshot
from framework.specs.cache.lazy import resources_of
from framework.specs.cache.parse_cache import ParseCache
from framework.specs.cache.store import Store
from framework.specs.read import read_snapshot
from tests.unit.specs.conftest import COMMITTED

JOB = Ref("TrainingJob", "late")


@pytest.fixture
def readings(tmp_path: Path) -> list[Snapshot[Any]]:
    """Of two processes, the second of which read nothing but what the first one kept."""
    source = MemorySource()
    commit = source.commit(COMMITTED)
    caches = [ParseCache(Store(tmp_path), few=0) for _ in range(2)]
    return [
        read_snapshot(source, commit, "specs", "local", KINDS, root="root", storage="store", cache=cache)
        for cache in caches
    ]


@pytest.fixture
def snapshot(readings: list[Snapshot[Any]]) -> Snapshot[Any]:
    return readings[1]


def test_what_git_asks_for_can_be_copied_with_changes(snapshot: Snapshot[Any]) -> None:
    job = snapshot.desired[JOB]
    changed = replace(job, commit="other")

    assert isinstance(changed, Desired)
    assert (changed.commit, changed.spec, changed.metadata) == ("other", job.spec, Metadata(name="late"))
    assert replace(changed, commit=job.commit) == job
    assert {field.name for field in fields(job)} == {field.name for field in fields(Desired)}
    assert "spec=TrainingJobSpec(" in repr(job)
    with pytest.raises(FrozenInstanceError):
        job.commit = "other"  # type: ignore[misc]


def test_two_readings_ask_for_the_same(readings: list[Snapshot[Any]]) -> None:
    fresh, kept = readings

    assert fresh == kept
    assert fresh.desired[JOB] != replace(kept.desired[JOB], identity="other")


def test_drafts_and_resources_have_all_their_fields(snapshot: Snapshot[Any]) -> None:
    resource = resources_of(snapshot.desired)[JOB]
    problem = resource.problem("dataset.label", "is wrong")

    assert all(getattr(resource, field.name) is not None for field in fields(resource))
    assert resource.raw["spec"]["dataset"]["spine"] == "trips"
    assert (problem.file, problem.line, problem.path) == ("specs/training/late.yaml", 9, "spec.dataset.label")


def test_nothing_of_it_is_meant_to_leave_the_process(snapshot: Snapshot[Any]) -> None:
    """What is kept is data, and never this."""
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        pickle.dumps(resources_of(snapshot.desired)[JOB])
