"""Files read by several processes: the same rows, whatever becomes of the helpers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.backends.memory.source import MemorySource
from framework.kinds import KINDS
from framework.ports import Blob
from framework.specs.cache import engine, parallel
from framework.specs.cache.parallel import Workers
from framework.specs.cache.parse_cache import ParseCache
from framework.specs.loader import read_row
from framework.specs.read import check, read_snapshot
from tests.unit.specs.conftest import COMMITTED, FILES

pytestmark = pytest.mark.slow

HERE = "framework.kinds:KINDS"
TEXTS = [*FILES.values(), "spec: [", "# ä\nkind: [\n", ""]


def files(count: int) -> list[tuple[Blob, bytes]]:
    return [(Blob(f"specs/ä {n}.yaml", str(n)), TEXTS[n % len(TEXTS)].encode()) for n in range(count)]


def rows(workers: Workers, count: int = 200) -> tuple[dict[Blob, bytes], int]:
    """Rows, and how many of them were made here."""
    here = []

    def read(blob: Blob, data: bytes) -> bytes:
        here.append(blob)
        return read_row(blob, data, KINDS)

    return workers.read(files(count), KINDS, read), len(here)


ALONE = {blob: read_row(blob, data, KINDS) for blob, data in files(200)}


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("spec-reader")]
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the helper time to take its share: this process takes a chunk only when the helper had one."""
    taken = threading.Event()
    original, receive = parallel._next, parallel.receive

    def later(take):  # type: ignore[no-untyped-def]
        if threading.current_thread() is threading.main_thread():
            taken.wait(20)
        return original(take)

    def told(stream, count):  # type: ignore[no-untyped-def]
        found = receive(stream, count)
        taken.set()
        return found

    monkeypatch.setattr(parallel, "_next", later)
    monkeypatch.setattr(parallel, "receive", told)


@pytest.mark.usefixtures("patient")
def test_helpers_make_the_same_rows() -> None:
    found, here = rows(Workers(HERE, most=1, few=1))
    assert found == ALONE
    assert here < 200


def test_few_files_and_a_single_cpu_need_no_helper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_start", lambda kinds: pytest.fail("no helper is wanted"))
    assert rows(Workers(HERE, most=1, few=201)) == (ALONE, 200)
    assert rows(Workers(HERE, most=0, few=1)) == (ALONE, 200)


@pytest.mark.parametrize("kinds", ["nowhere:KINDS", "framework.kinds:NOTHING", "framework.specs.language.words:found"])
def test_a_helper_that_does_not_start_is_done_without(kinds: str) -> None:
    assert rows(Workers(kinds, most=2, few=1)) == (ALONE, 200)


def helped_by(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code = program.replace("{name!r}", repr(engine.name(KINDS)))

    def start(kinds: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)

    monkeypatch.setattr(parallel, "_start", start)


@pytest.mark.parametrize(
    "program",
    [
        "print('another version', flush=True); import sys; sys.stdin.read()",
        "import sys; print({name!r}, flush=True); sys.stdin.buffer.read(10); sys.exit(1)",
        "import sys; print({name!r}, flush=True); sys.stdin.buffer.readline(); print('[]', end='', flush=True)",
        "import sys; print({name!r}, flush=True); sys.stdin.buffer.readline(); print('nonsense', flush=True)",
        "import sys; print({name!r}, flush=True); sys.stdin.buffer.readline(); print('[]', flush=True)",
    ],
)
def test_a_helper_that_fails_is_done_without(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    helped_by(program, monkeypatch)
    assert rows(Workers(HERE, most=1, few=1))[0] == ALONE


def test_a_helper_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    helped_by("import time; print({name!r}, flush=True); time.sleep(600)", monkeypatch)
    monkeypatch.setattr(parallel, "_QUIET_SECONDS", 0.2)
    assert rows(Workers(HERE, most=1, few=1))[0] == ALONE


def test_a_helper_that_nobody_speaks_to_any_more_ends() -> None:
    """As where we were killed: nobody else holds the other end."""
    with parallel._start(HERE) as helper:
        assert helper.stdout is not None
        assert helper.stdin is not None
        assert helper.stdout.readline().decode().strip() == engine.name(KINDS)
        helper.stdin.close()
        assert helper.wait(60) == 0


@pytest.mark.parametrize("module", ["framework/__init__.py", "random.py", "selectors.py"])
def test_what_lies_in_the_project_is_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    (tmp_path / module).parent.mkdir(exist_ok=True)
    (tmp_path / module).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert rows(Workers(HERE, most=1, few=1))[0] == ALONE
    assert not (tmp_path / "ran").exists()


@pytest.mark.usefixtures("patient")
def test_commits_read_the_same_with_helpers() -> None:
    """Wrong ones, too, and from a process with threads."""
    source = MemorySource()
    view = FILES["features/weather.yaml"]
    many = {f"specs/many/v{n}.yaml": view.replace("weather", f"v{n}", 1) for n in range(300)}
    right = source.commit(COMMITTED | many)
    wrong = source.change({"specs/many/v7.yaml": "spec: [", "specs/many/v8.yaml": view.replace("csv", "cvs")})
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        helped = ParseCache(workers=Workers(HERE, most=1, few=1))
        snapshot = read_snapshot(source, right, "specs", "local", KINDS, cache=helped)
        assert snapshot == read_snapshot(source, right, "specs", "local", KINDS)
        report = check(source, wrong, ["specs"], KINDS, ParseCache(workers=Workers(HERE, most=1, few=1)))
        assert report == check(source, wrong, ["specs"], KINDS)
        assert len(report.errors) == 2
    finally:
        stop.set()
        thread.join()
