"""A process that is killed while it writes a version leaves the one before, or the whole new one."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl

from framework.workloads.features import delta

COLUMNS = [("at", "Int64"), ("run", "Int64")]
ROWS = 50_000
KILLS = 4


def publish_for_ever(uri: str) -> None:
    """Each version has :data:`ROWS` rows of one run, handed over in small batches."""
    before = delta.current(uri)
    number = 0 if before is None else int(before.metadata["run"]) + 1
    while True:
        frame = pl.DataFrame({"at": range(ROWS), "run": [number] * ROWS})
        delta.publish(uri, frame.iter_slices(1000), COLUMNS, {"run": number})
        print(number, flush=True)
        number += 1


def test_whenever_it_is_killed_a_version_is_whole(tmp_path: Path) -> None:
    uri, chance = str(tmp_path / "table"), random.Random(7)
    for _ in range(KILLS):
        command = [sys.executable, "-c", f"import {__name__} as test; test.publish_for_ever({uri!r})"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(chance.randint(1, 4)):
                assert process.stdout.readline(), "it publishes"
            try:
                process.wait(chance.uniform(0.0, 0.08))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        found = delta.current(uri)
        assert found is not None
        rows = delta.read(uri, found.version, COLUMNS).collect()
        assert rows.height == ROWS
        assert rows["run"].unique().to_list() == [found.metadata["run"]]
