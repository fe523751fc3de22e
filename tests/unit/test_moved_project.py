"""The folder of a project is renamed: what was kept names the files where they are now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from framework.api.layout import rebased
from framework.api.meta import Ref
from framework.backends.ray.jobs import RayJobs, request_of
from framework.backends.ray.tenancy import Tenant
from framework.backends.state.database import open_database
from framework.backends.state.project_paths import ProjectPaths
from framework.backends.state.registry import SqlModelRegistry
from framework.backends.state.store import SqlStateStore
from framework.backends.state.stored import dump_json
from framework.ports import ModelVersion, Record, RunSpec
from framework.storage import write_json
from tests.unit.ray.fake_ray import FakeRay

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENDPOINT = Ref("ModelDeployment", "delay")
OLD, NEW = "/home/änn/p", "/srv/neu/p"

texts = st.text(max_size=6) | st.sampled_from(
    [OLD, f"{OLD}/x", f"{OLD}x", f"{NEW}/x", "$", "$/x", "$$/x", '"$/', f'"{OLD}/x', f"see {OLD}/x", "\\$", "s3://b/x"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)


@given(values)
def test_what_is_kept_is_found_again(value: Any) -> None:
    body, places = dump_json(value), ProjectPaths(OLD)
    assert places.found(places.kept(body)) == body


@given(values)
def test_what_is_kept_below_the_project_is_found_below_the_new_place(value: Any) -> None:
    found = json.loads(ProjectPaths(NEW).found(ProjectPaths(OLD).kept(dump_json(value))))
    expected = json.loads(dump_json(value).replace(f'"{OLD_IN_JSON}/', f'"{NEW}/'))
    assert found == expected


OLD_IN_JSON = json.dumps(OLD)[1:-1]


@given(values)
def test_moving_there_and_back_changes_nothing(value: Any) -> None:
    if f"{NEW}/" not in json.dumps(value):
        assert rebased(rebased(value, OLD, NEW), NEW, OLD) == value


def arguments(store: Path) -> dict[str, Any]:
    return {
        "artifact": f"{store}/models/classifier/v1/model.txt",
        "profiles": f"{store}/profiles/delay/delay-v1",
        "elsewhere": ["s3://bucket/x", "/data/store/x", "$/literally", f"see {store}/x"],
    }


def version(store: Path) -> ModelVersion:
    return ModelVersion(
        training="classifier", version="v1", commit="c" * 40, created=NOW, sha256="0" * 64, format="lightgbm-text",
        artifact=arguments(store)["artifact"], profile=f"{store}/models/classifier/v1/profile", signature={},
        metrics={}, parameters={}, lineage={"views": {"flights": {"uri": f"{store}/features/flights/f1"}}},
    )  # fmt: skip


@contextmanager
def opened(root: Path) -> Iterator[tuple[SqlStateStore, SqlModelRegistry]]:
    with closing(open_database("sqlite:///.mlops/state.db", str(root))) as database:
        yield SqlStateStore(database, "local"), SqlModelRegistry(database, "local")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a record and a model version."""
    root = tmp_path / "before"
    root.mkdir()
    store = root / ".mlops" / "store"
    with opened(root) as (state, registry):
        lease = state.acquire("a", 30.0, NOW)
        assert lease is not None
        state.save(Record(ref=ENDPOINT, status={"arguments": arguments(store)}), lease.token)
        registry.register(version(store), lease.token)
    return root


def moved(project: Path) -> Path:
    root = project.with_name("after, with ä and $")
    project.rename(root)
    return root


def test_records_and_models_name_the_files_where_the_project_is(project: Path) -> None:
    root = moved(project)
    old, new = project / ".mlops" / "store", root / ".mlops" / "store"
    with opened(root) as (state, registry):
        record = state.load(ENDPOINT)
        assert record is not None
        assert record.status["arguments"] == {
            **arguments(new), "elsewhere": ["s3://bucket/x", "/data/store/x", "$/literally", f"see {old}/x"],
        }  # fmt: skip
        assert list(state.records()) == [record]
        assert registry.get("classifier", "v1") == version(new)
        assert list(registry.versions("classifier")) == [version(new)]


def test_what_an_older_version_kept_as_absolute_paths_moves_from_then_on(project: Path) -> None:
    store = project / ".mlops" / "store"
    with closing(open_database("sqlite:///.mlops/state.db", str(project))) as database, database.write() as connection:
        for table in ("mlops_records", "mlops_models"):
            key = "kind" if table == "mlops_records" else "training"
            for name, body in connection.execute(text(f"SELECT {key}, body FROM {table}")).all():
                written = ProjectPaths(str(project)).found(body)
                assert str(store) in written
                connection.execute(text(f"UPDATE {table} SET body = :b WHERE {key} = :k"), {"b": written, "k": name})
        connection.execute(text("UPDATE mlops_schema SET version = 3"))
    with opened(project) as (state, registry):
        assert registry.get("classifier", "v1") == version(store)
        record = state.load(ENDPOINT)
        assert record is not None
        assert record.status["arguments"] == arguments(store)
    root = moved(project)
    with opened(root) as (_, registry):
        assert registry.get("classifier", "v1") == version(root / ".mlops" / "store")


def test_a_run_that_ended_before_the_move_names_its_files_where_they_are(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    run = RunSpec("train-a-0123456789", 1, "m:f", {}, str(before), "a title")
    result = {"artifact": f"{before}/models/a/model.txt", "metrics": {"auc": 0.7}, "views": [f"{before}/features/x"]}
    write_json(f"{before}/runs/{run.name}/request-1.json", request_of(run, "local_train-a-0123456789-1"))
    write_json(f"{before}/runs/{run.name}/result-1.json", {"status": "succeeded", "result": result})
    tenant = Tenant("local", str(before))
    assert RayJobs(FakeRay().rest(), lambda: tenant).observe(str(before), run.name).result == result
    before.rename(after)
    found = RayJobs(FakeRay().rest(), lambda: Tenant("local", str(after))).observe(str(after), run.name).result
    assert found == {
        "artifact": f"{after}/models/a/model.txt", "metrics": {"auc": 0.7}, "views": [f"{after}/features/x"],
    }  # fmt: skip
