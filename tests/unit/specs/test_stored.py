"""Objects whose parts come late are used like any others."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import pytest

from framework.api.meta import Metadata, Ref
from framework.backends.memory.source import MemorySource
from framework.kinds import KINDS
from framework.planning.grammar.changes import Desired
from framework.specs.memo.cache import ParseCache
from framework.specs.memo.store import Store
from framework.specs.read import read_snapshot
from framework.specs.snapshot import Snapshot, desired
from tests.unit.specs.conftest import CODE, FILES

JOB = Ref("TrainingJob", "late")


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """Of a process that read nothing but what was kept."""
    source = MemorySource()
    commit = source.commit({f"specs/{path}": text for path, text in FILES.items()} | CODE)
    for _ in range(2):
        cache = ParseCache(Store(tmp_path), few=0)
        found = read_snapshot(source, commit, "specs", "local", KINDS, root="root", storage="store", cache=cache)
    return found


def test_what_git_asks_for_can_be_copied_with_changes(snapshot: Snapshot) -> None:
    job = desired(snapshot, KINDS)[JOB]
    changed = replace(job, commit="other")

    assert isinstance(changed, Desired)
    assert (changed.commit, changed.spec, changed.metadata) == ("other", job.spec, Metadata(name="late"))
    assert replace(changed, commit=job.commit) == job
    assert {field.name for field in fields(job)} == {field.name for field in fields(Desired)}
    assert "spec=TrainingJobSpec(" in repr(job)
    with pytest.raises(FrozenInstanceError):
        job.commit = "other"  # type: ignore[misc]


def test_two_readings_ask_for_the_same(snapshot: Snapshot) -> None:
    assert desired(snapshot, KINDS) == desired(snapshot, KINDS)
    assert desired(snapshot, KINDS)[JOB] != replace(desired(snapshot, KINDS)[JOB], identity="other")


def test_drafts_and_resources_have_all_their_fields(snapshot: Snapshot) -> None:
    resource = snapshot.resources[JOB]
    problem = resource.problem("dataset.label", "is wrong")

    assert all(getattr(resource, field.name) is not None for field in fields(resource))
    assert resource.raw["spec"]["dataset"]["spine"] == "trips"
    assert (problem.file, problem.line, problem.path) == ("specs/training/late.yaml", 9, "spec.dataset.label")


def test_nothing_of_it_is_meant_to_leave_the_process(snapshot: Snapshot) -> None:
    """What is kept is data, and never this."""
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        pickle.dumps(snapshot.resources[JOB])
