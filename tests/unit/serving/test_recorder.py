"""Nothing recorded is lost in order, overwritten, or unbounded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from framework.answers import ModelOutput
from framework.workloads.serving import recorder as module
from framework.workloads.serving.recorder import ROW_BYTES, Destination, Recorder

HOUR = timedelta(hours=1)
SOON = timedelta(milliseconds=20)


def to_frame(rows):
    return pl.DataFrame({"temp": [row["temp"] for row in rows]}, schema={"temp": pl.Float64})


def make(folder: Path, flush=HOUR, replica="7-1", frame=to_frame, **more) -> Recorder:
    return Recorder(
        Destination(f"{folder}/profiles", f"{folder}/predictions", replica, ModelOutput("delayed")),
        frame,
        flush,
        **more,
    )


def append(recorder: Recorder, number: int, rows: int = 1, size: int = 0) -> None:
    keys = [f"{number}-{row}" for row in range(rows)]
    recorder.append(f"r{number}", keys, [{"temp": float(number)}] * rows, np.full(rows, number / 1000), size)


def files(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / kind).iterdir()) if (folder / kind).is_dir() else []


def log(folder: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(file) for file in files(folder, "predictions")])


def profiled(folder: Path) -> list:
    import whylogs

    return [whylogs.read(str(file)).view() for file in files(folder, "profiles")]


def rows_profiled(folder: Path) -> int:
    return sum(view.get_column("temp").get_metric("counts").n.value for view in profiled(folder))


def dropped_by_profiles(folder: Path) -> int:
    return sum(int(view.metadata["dropped"]) for view in profiled(folder))


def wait_for(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 5 s"
        time.sleep(0.005)


def test_what_was_appended_is_written_at_an_orderly_stop(tmp_path):
    recorder = make(tmp_path)
    append(recorder, 1, rows=2)
    append(recorder, 2)
    assert files(tmp_path, "profiles") == []
    recorder.close()
    recorder.close()
    (file,) = files(tmp_path, "predictions")
    (profile,) = files(tmp_path, "profiles")
    assert file.stem == profile.stem
    start, replica = file.stem.split("-", 1)
    assert replica == "7-1-0"
    table = log(tmp_path)
    assert table.schema == {
        "request_id": pl.String,
        "key": pl.String,
        "time": pl.Datetime("us", "UTC"),
        "prediction": pl.Float64,
    }
    assert int(start) == int(table["time"].min().timestamp() * 1000)
    assert table["request_id"].to_list() == ["r1", "r1", "r2"]
    assert table["key"].to_list() == ["1-0", "1-1", "2-0"]
    assert table["prediction"].to_list() == [0.001, 0.001, 0.002]
    (view,) = profiled(tmp_path)
    assert view.get_column("temp").get_metric("counts").n.value == 3
    assert view.get_column("delayed").get_metric("distribution").mean.value == pytest.approx(4 / 3000)
    assert (view.metadata["replica"], view.metadata["final"]) == ("7-1", "true")


def test_every_interval_has_files_of_its_own_and_nothing_is_lost(tmp_path):
    recorders = [make(tmp_path, SOON, replica=f"7-{number}") for number in range(3)]
    for number in range(300):
        append(recorders[number % 3], number)
        time.sleep(0.001)
    for recorder in recorders:
        recorder.close()
    assert sorted(log(tmp_path)["request_id"]) == sorted(f"r{number}" for number in range(300))
    assert rows_profiled(tmp_path) == 300
    assert len(files(tmp_path, "profiles")) == len(files(tmp_path, "predictions")) > 6


def test_a_clock_that_stands_still_overwrites_nothing(tmp_path):
    recorder = make(tmp_path, SOON, clock=lambda: datetime(2026, 3, 1, tzinfo=UTC))
    for number in range(3):
        append(recorder, number)
        wait_for(lambda expected=number + 1: len(files(tmp_path, "profiles")) == expected)
    recorder.close()
    assert sorted(log(tmp_path)["request_id"]) == ["r0", "r1", "r2"]


def test_a_request_pays_for_an_append_and_for_no_work(tmp_path):
    """Profiling happens on one thread that is not the caller's, and the caller never waits for it."""
    working, busy = threading.Event(), threading.Event()
    threads = []

    def slow(rows):
        threads.append(threading.current_thread())
        working.set()
        busy.wait(5)
        return to_frame(rows)

    recorder = make(tmp_path, SOON, frame=slow)
    append(recorder, 0)
    assert working.wait(5)
    started = time.perf_counter()
    for number in range(1, 1001):
        append(recorder, number)
    assert time.perf_counter() - started < 0.2
    busy.set()
    recorder.close()
    assert len(set(threads)) == 1
    assert threads[0] is not threading.current_thread()
    assert rows_profiled(tmp_path) == 1001


def test_an_idle_replica_writes_nothing(tmp_path):
    recorder = make(tmp_path, SOON)
    time.sleep(0.1)
    recorder.close()
    assert list(tmp_path.iterdir()) == []


def test_beyond_its_bound_it_drops_and_counts(tmp_path):
    recorder = make(tmp_path, max_pending=10)
    for number in range(4):
        append(recorder, number, rows=4)
    append(recorder, 5, rows=2)
    assert recorder.dropped == 8
    recorder.close()
    assert log(tmp_path)["request_id"].unique().sort().to_list() == ["r0", "r1", "r5"]
    assert dropped_by_profiles(tmp_path) == 8


def test_large_rows_fill_the_buffer_sooner(tmp_path):
    recorder = make(tmp_path, max_pending=10)
    append(recorder, 1, size=8 * ROW_BYTES)
    append(recorder, 2, size=8 * ROW_BYTES)
    append(recorder, 3)
    assert recorder.dropped == 1
    recorder.close()
    assert log(tmp_path)["request_id"].to_list() == ["r1", "r3"]


def test_what_was_written_makes_room(tmp_path):
    recorder = make(tmp_path, SOON, max_pending=10)
    for number in range(5):
        append(recorder, number, rows=10)
        wait_for(lambda expected=number + 1: len(files(tmp_path, "profiles")) == expected)
        time.sleep(0.02)
    recorder.close()
    assert recorder.dropped == 0
    assert rows_profiled(tmp_path) == 50


@pytest.mark.parametrize("kind", ["profiles", "predictions"])
def test_a_full_disk_delays_a_batch_and_writes_it_once(tmp_path, monkeypatch, kind):
    write, failures = module.write_bytes, []

    def full(uri, data):
        if f"/{kind}/" in uri and len(failures) < 3:
            failures.append(uri)
            raise OSError("no space left on device")
        write(uri, data)

    monkeypatch.setattr(module, "write_bytes", full)
    recorder = make(tmp_path, SOON)
    append(recorder, 1)
    wait_for(lambda: len(failures) == 3)
    append(recorder, 2)
    recorder.close()
    assert sorted(log(tmp_path)["request_id"]) == ["r1", "r2"]
    assert rows_profiled(tmp_path) == 2
    assert recorder.dropped == 0


def test_rows_that_cannot_be_profiled_are_counted_and_the_next_are_recorded(tmp_path):
    def picky(rows):
        if rows[0]["temp"] == 1.0:
            raise ValueError("not these")
        return to_frame(rows)

    recorder = make(tmp_path, SOON, frame=picky)
    append(recorder, 1, rows=3)
    wait_for(lambda: recorder.dropped == 3)
    append(recorder, 2)
    recorder.close()
    assert log(tmp_path)["request_id"].to_list() == ["r2"]
    assert dropped_by_profiles(tmp_path) == 3


CRASH = """
import sys, time
from datetime import timedelta
from pathlib import Path
from tests.unit.serving.test_recorder import append, make
folder = Path(sys.argv[1])
recorder = make(folder, timedelta(milliseconds=50))
append(recorder, 1)
while not list(folder.glob("profiles/*.bin")): time.sleep(0.005)
recorder._flush_seconds = 3600
time.sleep(0.1)
append(recorder, 2)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_a_crash_loses_what_was_not_flushed_yet_and_nothing_else(tmp_path):
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", CRASH, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    assert log(tmp_path)["request_id"].to_list() == ["r1"]
    assert rows_profiled(tmp_path) == 1
