"""Whatever happens to a file that we wrote ourselves, it is told or made again; nothing wrong is believed, and nothing
raises what its readers do not expect."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from framework import storage
from framework.answers import ModelOutput
from framework.api.errors import TransientError
from framework.api.layout import run_folder
from framework.backends.delta.tables import DeltaTables
from framework.backends.ray.jobs import RayJobs
from framework.backends.ray.tenancy import PRIVATE, Tenant
from framework.backends.ray.traffic import CounterFiles
from framework.kinds import KINDS
from framework.ports import Blob, RunPhase, RunSpec
from framework.specs.cache.store import FILE, Store
from framework.workloads.context import WorkloadError
from framework.workloads.features import delta
from framework.workloads.run import run as run_workload
from framework.workloads.training.checkpoints import CheckpointState, read_checkpoint, write_checkpoint
from framework.workloads.training.tuning import searching
from tests.unit.ray.fake_ray import FakeRay

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def damaged(good: bytes, step: int = 7) -> Iterator[bytes]:
    """Bytes lost, cut short, turned over, and turned into what is no UTF-8."""
    yield b""
    for cut in range(1, len(good), step * 3):
        yield good[:cut]
    for place in range(0, len(good), step):
        yield good[:place] + bytes([good[place] ^ 0x11]) + good[place + 1 :]
        yield good[:place] + b"\x80" + good[place + 1 :]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


# ---------------------------------------------------------------------- runs


@pytest.fixture
def run(tmp_path: Path) -> RunSpec:
    return RunSpec("train-a-0123456789", 1, "m:f", {"x": 1}, str(tmp_path), "a title")


def jobs_on(ray: FakeRay, run: RunSpec) -> RayJobs:
    tenant = Tenant("local", run.storage, PRIVATE)
    return RayJobs(ray.rest(), lambda: tenant, clock=lambda: NOW)


def test_a_result_that_is_damaged_is_no_result(run: RunSpec) -> None:
    """Ray says that the job has ended, so another attempt is due."""
    ray = FakeRay()
    jobs = jobs_on(ray, run)
    jobs.submit(run, None)
    ray.jobs[f"local_{run.submission_id}"]["status"] = "SUCCEEDED"
    file = Path(run_folder(run.storage, run.name)) / "result-1.json"
    times = {"started": NOW.isoformat(), "finished": NOW.isoformat()}
    storage.write_sealed(str(file), {"status": "succeeded", "result": {"auc": 0.7123}, "attempt": 1, **times})
    good = file.read_bytes()
    for bad in damaged(good):
        file.write_bytes(bad)
        state = jobs.observe(run.storage, run.name)
        assert (state.phase, state.reason) == (RunPhase.FAILED, "RunLost") or state.result == {"auc": 0.7123}
        jobs.stop(run.storage, run.name)
    file.write_bytes(good)
    assert jobs.observe(run.storage, run.name).result == {"auc": 0.7123}


def test_a_run_is_seen_to_run_whatever_became_of_its_heartbeat(run: RunSpec) -> None:
    ray = FakeRay()
    jobs = jobs_on(ray, run)
    jobs.submit(run, None)
    ray.jobs[f"local_{run.submission_id}"] |= {"status": "RUNNING", "start_time": NOW.timestamp() * 1000}
    file = Path(run_folder(run.storage, run.name)) / "heartbeat-1.json"
    storage.write_sealed(str(file), {"time": NOW.isoformat(), "progress": 0.5, "message": "fitting"})
    for bad in damaged(file.read_bytes()):
        file.write_bytes(bad)
        state = jobs.observe(run.storage, run.name)
        assert (state.phase, state.progress) in ((RunPhase.RUNNING, None), (RunPhase.RUNNING, 0.5))


def test_a_request_that_is_damaged_is_written_again_and_never_run(run: RunSpec) -> None:
    jobs = jobs_on(FakeRay(), run)
    jobs.submit(run, None)
    file = Path(run_folder(run.storage, run.name)) / "request-1.json"
    good = file.read_bytes()
    for bad in damaged(good):
        file.write_bytes(bad)
        jobs.submit(run, None)
        assert storage.read_json(str(file)).items() >= {"payload": {"x": 1}, "workload": "m:f"}.items()
    for bad in (b"", b"\x80", good[:-9], good.replace(b"m:f", b"m:g")):
        file.write_bytes(bad)
        assert run_workload(run.storage, run.name, 1) == 2


def test_what_one_router_counted_is_left_out_where_it_is_damaged(tmp_path: Path) -> None:
    counts = {"requests": 9, "errors": 1, "shielded": 0, "latency_buckets": [1, 2]}
    for replica in ("7-1000", "8-1000"):
        content = {"replica": replica, "generation": 1, "written": NOW.isoformat(), "versions": {"a": counts}}
        storage.write_json(str(tmp_path / f"{replica}.json"), content)
    file = tmp_path / "7-1000.json"
    for bad in damaged(file.read_bytes()):
        file.write_bytes(bad)
        assert "8-1000" in {item["replica"] for item in CounterFiles().read(str(tmp_path), [])}


# ---------------------------------------------------------------------- training


def test_a_checkpoint_that_is_damaged_is_never_gone_on_from(tmp_path: Path) -> None:
    right = (CheckpointState(20, "lightgbm-text", False, (8,)), b"a model of some bytes")
    place = f"{tmp_path}/000000020"
    write_checkpoint(place, *right)
    for file in sorted(tmp_path.iterdir()):
        good = file.read_bytes()
        for bad in damaged(good, 3):
            file.write_bytes(bad)
            assert _checkpoint(place) in (right, ("CheckpointDamaged", "Infrastructure"))
        file.write_bytes(good)
    assert read_checkpoint(place) == right


def _checkpoint(place: str) -> Any:
    try:
        return read_checkpoint(place)
    except WorkloadError as error:
        return error.reason, error.kind


def test_a_search_that_is_damaged_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def again(*_: Any) -> Any:
        raise InterruptedError

    tune = {"metric": "validation_auc", "mode": "max", "search": {}}
    data = SimpleNamespace(output=ModelOutput(), own=SimpleNamespace(measures=searching.NO_OWN))
    arguments: Any = (data, "sklearn", None, tune, {}, str(tmp_path), print)
    monkeypatch.setattr(searching, "_choosing", again)
    right = searching.SearchResult({"C": 0.5}, 1, [{"number": 0}])
    storage.write_sealed(str(tmp_path / "search.json"), vars(right))
    good = (tmp_path / "search.json").read_bytes()
    for bad in damaged(good):
        (tmp_path / "search.json").write_bytes(bad)
        try:
            assert searching.search(*arguments) == right
        except InterruptedError:
            continue
    (tmp_path / "search.json").write_bytes(good)
    assert searching.search(*arguments) == right


# ---------------------------------------------------------------------- tables


def test_the_log_of_a_table_is_believed_or_not(tmp_path: Path) -> None:
    columns = [("x", "Int64")]
    metadata = {"rows": 1, "run": "r", "identity": "i1", "columns": columns, "newest": NOW.isoformat()}
    uri = delta.publish(str(tmp_path / "table"), [pl.DataFrame({"x": [1]})], columns, metadata).uri
    (log,) = (tmp_path / "table" / "_delta_log").glob("*.json")
    right, good = DeltaTables().describe(uri), log.read_bytes()
    assert right is not None
    assert right.newest == NOW
    for bad in damaged(good, 11):
        log.write_bytes(bad)
        try:
            found = DeltaTables().describe(uri)
        except TransientError:
            continue
        mine = ("rows", "identity", "source_digest", "commit", "newest", "columns")
        assert found is None or not found.rows or all(getattr(found, name) == getattr(right, name) for name in mine)


@pytest.mark.slow
def test_a_checkpoint_of_a_table_is_believed_or_not(tmp_path: Path) -> None:
    columns = [("x", "Int64")]
    for number in range(3):
        uri = delta.publish(str(tmp_path / "table"), [pl.DataFrame({"x": [number]})], columns, {"rows": 1}).uri
    DeltaTable(uri).create_checkpoint()
    log = tmp_path / "table" / "_delta_log"
    (checkpoint,) = log.glob("*.checkpoint.parquet")
    for file, damages in (
        (log / "_last_checkpoint", damaged((log / "_last_checkpoint").read_bytes(), 3)),
        (checkpoint, _turned_over(checkpoint.read_bytes(), 700)),
    ):
        good = file.read_bytes()
        for bad in damages:
            file.write_bytes(bad)
            with suppress(TransientError):
                DeltaTables().describe(uri)
        file.write_bytes(good)


def _turned_over(good: bytes, count: int) -> Iterator[bytes]:
    """One byte after the other of the first ``count``: at some of them the library that reads it panics."""
    for place in range(count):
        yield good[:place] + bytes([good[place] ^ 0x11]) + good[place + 1 :]


# ---------------------------------------------------------------------- what was read of specs


@pytest.mark.parametrize("harm", [lambda place: b"\x80", lambda place: b"\xff\xfe", lambda place: b"\0"])
def test_the_parse_cache_is_no_error_wherever_a_byte_is_wrong(tmp_path: Path, harm: Callable[[int], bytes]) -> None:
    blobs = [Blob(f"specs/{number}.yaml", "a") for number in range(5)]
    Store(tmp_path / "made").add_files(dict.fromkeys(blobs, b"[1]"), KINDS)
    good = (tmp_path / "made" / FILE).read_bytes()
    head = [*range(110), *range(110, len(good), 61)]
    for number, place in enumerate(head):
        folder = tmp_path / f"damaged-{number}"
        folder.mkdir()
        patch = harm(place)
        (folder / FILE).write_bytes(good[:place] + patch + good[place + len(patch) :])
        store = Store(folder)
        assert set(store.files(blobs, KINDS).values()) <= {b"[1]"}
        store.add_files({blobs[0]: b"[1]"}, KINDS)


# ---------------------------------------------------------------------- seals


def test_a_seal_is_seen_by_nobody_and_notices_any_change(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    value = {"auc": 0.7123, "rows": [1, 2, None], "text": "ü"}
    storage.write_sealed(str(file), value)
    assert storage.read_json(str(file)) == value
    good = file.read_bytes()
    for bad in damaged(good, 1):
        file.write_bytes(bad)
        found = storage.readable_json(str(file))
        assert found is None or found.items() >= value.items()
        if found is None:
            with pytest.raises(storage.DamagedFileError, match=f"{file} is damaged: "):
                storage.read_json(str(file))
    file.write_text(json.dumps(value))
    assert storage.read_json(str(file)) == value
