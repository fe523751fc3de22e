"""What mlopsctl writes keeps away from what it reads and from its own files, and lies where something can hold it."""

from __future__ import annotations

import pytest
from fsspec.registry import known_implementations

from framework.api.addresses import FILESYSTEMS, unknown_scheme
from tests.unit.specs.conftest import Project

LONG = "a" * 300


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("storage: data", "views read data/trips.csv"),
        ("storage: data/trips.csv", "views read data/trips.csv"),
        ("storage: data/trips.csv/x", "views read data/trips.csv"),
        ("storage: .mlops", "mlopsctl keeps .mlops/cache"),
        ("storage: .mlops/cache", "mlopsctl keeps .mlops/cache"),
        ("storage: .mlops/cache/x", "mlopsctl keeps .mlops/cache"),
        ("storage: .mlops/ray", "mlopsctl keeps .mlops/ray"),
        ("storage: .mlops/state.db", "mlopsctl keeps .mlops/state.db"),
        ("storage: .mlops/controller.log", "mlopsctl keeps .mlops/controller.*"),
        ("storage: .mlops/environment-local.json", "mlopsctl keeps .mlops/environment-*.json"),
        (f"storage: {LONG}", "a name in it has 300 bytes; file systems hold 255"),
        ("storage: 'foo://x'", "no file system is known by that name"),
        ("storage: 'LocalFileSystem://x'", "no file system is known by that name"),
        ("storage: 's3:x'", "is followed by // in a URL"),
        ("state: 'sqlite:///data/trips.csv'", "views read data/trips.csv"),
        ("state: 'sqlite:///.mlops/state.db/x'", "mlopsctl keeps .mlops/state.db"),
        ("state: 'sqlite:///.mlops/state.db-wal'", "mlopsctl keeps .mlops/state.db-*"),
        ("state: 'sqlite:///.mlops/controller.json'", "mlopsctl keeps .mlops/controller.*"),
        ("state: 'sqlite+aiosqlite:///x.db'", "a database is sqlite or postgresql"),
        ("state: 'mysql://h/d'", "a database is sqlite or postgresql"),
        ("state: 'mysql://'", "a database is sqlite or postgresql"),
        ("state: 'oracle://'", "a database is sqlite or postgresql"),
        ("state: 'duckdb:///x'", "a database is sqlite or postgresql"),
    ],
)
def test_places_that_are_taken_or_are_none(project: Project, spec: str, says: str) -> None:
    project.edit("environments/local.yaml", ("storage: .mlops/store", spec))
    (problem,) = project.check().errors

    assert (problem.file, problem.line) == ("specs/environments/local.yaml", 4)
    assert says in problem.message


@pytest.mark.parametrize(
    "spec",
    [
        "storage: store",
        "storage: .mlops/store",
        "storage: .mlops/elsewhere",
        "storage: database",
        "storage: 'memory://x'",
        "state: 'sqlite:///.mlops/state.db'",
        "state: 'sqlite:///.mlops/other.db'",
        "state: 'sqlite+pysqlite:///x.db'",
    ],
)
def test_places_that_are_free(project: Project, spec: str) -> None:
    project.edit("environments/local.yaml", ("storage: .mlops/store", spec))

    assert project.check().errors == ()


def test_files_that_a_pattern_stands_for_are_data_too(project: Project) -> None:
    project.edit("features/trips.yaml", ("data/trips.csv", "days/*/trips.csv"))
    for storage, taken in (("days", True), ("days/1/trips.csv", True), ("days/1", True), ("day", False)):
        project.write(
            "environments/local.yaml",
            f"apiVersion: mlops/v1alpha1\nkind: Environment\nmetadata: {{name: local}}\nspec: {{storage: {storage}}}\n",
        )
        assert bool(project.check().errors) == taken, storage


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("gcss://b/x", "gcs://b/x"),
        ("S3://b/x", "s3://b/x"),
        ("LocalFileSystem://x", "local://x"),
        ("s3:b/x", "s3://b/x"),
    ],
)
def test_what_was_likely_meant(address: str, meant: str) -> None:
    found = unknown_scheme(address)

    assert found is not None
    assert found[1] == meant


def test_every_file_system_of_fsspec_is_known() -> None:
    assert set(known_implementations) <= FILESYSTEMS
