"""What is kept on disk: right or not there, whatever happens to the file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.backends.memory.source import MemorySource
from framework.kinds import KINDS
from framework.planning.grammar.snapshot import Snapshot
from framework.ports import Blob
from framework.specs.cache import engine, store
from framework.specs.cache.parse_cache import ParseCache
from framework.specs.cache.store import FILE, Store, own_folder
from framework.specs.read import read_snapshot
from tests.unit.specs.conftest import COMMITTED

BLOB = Blob("specs/a.yaml", "a" * 40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "mlopsctl"


def keep(folder: Path, body: bytes = b"[1]", project: str = "") -> None:
    Store(folder, project).add_files({BLOB: body}, KINDS)


def kept(folder: Path, project: str = "") -> bytes | None:
    return Store(folder, project).files([BLOB], KINDS).get(BLOB)


def snapshot(source: MemorySource, commit: str, folder: Path) -> Snapshot[Any]:
    """As a process of its own reads it."""
    return read_snapshot(source, commit, "specs", "local", KINDS, cache=ParseCache(Store(folder), few=0))


def test_what_is_kept_is_there_for_the_next_process(folder: Path) -> None:
    keep(folder)
    assert kept(folder) == b"[1]"
    assert Store(folder).files([Blob("specs/a.yaml", "b" * 40), Blob("specs/b.yaml", "a" * 40)], KINDS) == {}


def test_a_project_knows_nothing_of_another(folder: Path) -> None:
    keep(folder, b"[1]", "/one")
    assert kept(folder, "/other") is None
    keep(folder, b"[2]", "/other")
    assert (kept(folder, "/one"), kept(folder, "/other")) == (b"[1]", b"[2]")


def test_reading_makes_no_file(folder: Path) -> None:
    assert kept(folder) is None
    assert Store(folder).states(["specs"], KINDS, "local") == ()
    assert not folder.exists()


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def _scramble(file: Path) -> None:
    data = bytearray(file.read_bytes())
    for index in range(4096, len(data), 7):
        data[index] ^= 0xFF
    file.write_bytes(bytes(data))


def _of_another_form(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 99")


def _without_tables(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute("DROP TABLE files")


def _something_else(file: Path) -> None:
    file.write_text("no database\n" * 100)


@pytest.mark.parametrize(
    "harm", [_truncate, _scramble, _of_another_form, _without_tables, _something_else, Path.unlink]
)  # fmt: skip
def test_a_damaged_file_says_nothing_and_is_made_anew(folder: Path, harm: Callable[[Path], None]) -> None:
    keep(folder)
    harm(folder / FILE)
    assert kept(folder) is None
    keep(folder)
    assert kept(folder) == b"[1]"


@settings(max_examples=60, deadline=None)
@given(harms=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=40)), min_size=1))
def test_no_damage_is_an_error_or_a_wrong_answer(
    tmp_path_factory: pytest.TempPathFactory, harms: list[tuple[float, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("damaged") / "cache"
    Store(folder).add_files({Blob(f"specs/{n}.yaml", "a"): b"[%d]" % n * 200 for n in range(40)}, KINDS)
    Store(folder).add_state(["specs"], "local", b"[]", b"{}", KINDS)
    data = bytearray((folder / FILE).read_bytes())
    for place, patch in harms:
        start = int(place * len(data))
        data[start : start + len(patch)] = patch
    (folder / FILE).write_bytes(bytes(data))

    found = Store(folder).files([Blob(f"specs/{n}.yaml", "a") for n in range(40)], KINDS)
    assert all(body == b"[%s]" % blob.path[6:-5].encode() * 200 for blob, body in found.items())
    one = Store(folder)
    assert all(one.state(kept) in {None, b"{}"} for kept in one.states(["specs"], KINDS, "local"))
    keep(folder)
    assert kept(folder) in {None, b"[1]"}


def test_a_body_that_was_changed_says_nothing(folder: Path) -> None:
    keep(folder)
    with sqlite3.connect(folder / FILE) as database:
        assert database.execute("UPDATE files SET body = ?", (b"[2]",)).rowcount == 1
    assert kept(folder) is None


def test_what_others_may_write_says_nothing(folder: Path) -> None:
    keep(folder)
    folder.chmod(0o777)
    assert kept(folder) is None
    folder.chmod(0o700)
    assert kept(folder) == b"[1]"


def test_nobody_else_may_write_what_it_makes(folder: Path) -> None:
    keep(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_another_version_wrote_says_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(folder)
    monkeypatch.setattr(engine, "_code", lambda: "another")
    assert kept(folder) is None
    monkeypatch.undo()
    assert kept(folder) == b"[1]"


def test_other_kinds_read_other_rows(folder: Path) -> None:
    keep(folder)
    fewer = {name: kind for name, kind in KINDS.items() if name != "ModelMonitor"}
    assert Store(folder).files([BLOB], fewer) == {}


def test_a_locked_file_is_as_good_as_none(folder: Path) -> None:
    keep(folder)
    with sqlite3.connect(folder / FILE) as database:
        database.execute("BEGIN EXCLUSIVE")
        assert kept(folder) is None
        keep(folder, b"[3]")
        database.rollback()
    assert kept(folder) == b"[1]"


def test_a_folder_in_the_way_is_no_error(folder: Path) -> None:
    (folder / FILE).mkdir(parents=True)
    keep(folder)
    assert kept(folder) is None


def test_it_does_not_grow_without_bound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_MOST_FILES", 20)
    monkeypatch.setattr(store, "_KEPT_FILES", 10)
    monkeypatch.setattr(store, "_MOST", 12)
    one = Store(folder)
    blobs = [Blob(f"specs/{number}.yaml", "a") for number in range(50)]
    for blob in blobs:
        one.add_files({blob: b"[]"}, KINDS)
    left = one.files(blobs, KINDS)
    assert 10 <= len(left) <= 20
    assert blobs[-1] in left

    for number in range(10):
        one.add_state(["specs"], "local", json.dumps(["local", {"specs": str(number)}]).encode(), b"{}", KINDS)
        one.add_state(["specs"], f"env{number}", b"[]", b"{}", KINDS)
    assert [json.loads(state.head)[1] for state in one.states(["specs"], KINDS, "local")] == [
        {"specs": "9"}, {"specs": "8"}, {"specs": "7"},
    ]  # fmt: skip
    with sqlite3.connect(folder / FILE) as database:
        assert database.execute("SELECT count(*) FROM states").fetchone() == (12,)


def test_it_lies_with_what_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    monkeypatch.setenv("HOME", str(home))
    for unset in ("", "relative/to/wherever/we/are"):
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert own_folder(project) == home / ".cache" / "mlopsctl"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert own_folder(project) == tmp_path / "caches" / "mlopsctl"


def test_what_a_commit_may_have_brought_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder for caches may have been put into the checkout, as some runners of CI do."""
    repository = tmp_path / "repository"
    (repository / ".git").mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(repository / ".cache"))
    assert own_folder(repository) is None
    assert own_folder(repository / "a" / "project") is None
    assert own_folder(tmp_path / "other") is not None
    (tmp_path / "link").symlink_to(repository)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "link" / ".cache"))
    assert own_folder(repository) is None


def test_who_had_the_file_open_that_was_made_anew_goes_on_with_the_new_one(folder: Path) -> None:
    one = Store(folder)
    one.add_files({BLOB: b"[1]"}, KINDS)
    _something_else(folder / FILE)
    assert kept(folder) is None
    keep(folder, b"[2]")
    one.add_files({Blob("specs/b.yaml", "b" * 40): b"[3]"}, KINDS)
    assert kept(folder) == b"[2]"


def test_many_may_write_and_read_at_once(folder: Path) -> None:
    """Each with a connection of its own, as processes have it. Who finds the file locked does without."""
    blobs = [[Blob(f"specs/{who}/{n}.yaml", "a") for n in range(15)] for who in range(4)]

    def use(mine: list[Blob]) -> int:
        store = Store(folder)
        for blob in mine:
            store.add_files({blob: blob.path.encode()}, KINDS)
            assert all(
                body == found.path.encode()
                for found, body in store.files([one for some in blobs for one in some], KINDS).items()
            )
        return len(Store(folder).files(mine, KINDS))

    with ThreadPoolExecutor(len(blobs)) as pool:
        assert sum(pool.map(use, blobs)) > 0


def test_a_few_files_are_not_worth_a_place_on_disk(folder: Path) -> None:
    source = MemorySource()
    commit = source.commit(COMMITTED)
    cache = ParseCache(Store(folder))
    read_snapshot(source, commit, "specs", "local", KINDS, cache=cache)
    assert not folder.exists()


def test_a_process_that_knows_the_commit_reads_no_file(folder: Path) -> None:
    source = _Counting()
    first, second = source.commit(COMMITTED), source.commit({**COMMITTED, "README.md": "hello\n"})
    expected = snapshot(source, first, folder)
    assert source.reads > 0
    source.reads = 0
    again = snapshot(source, second, folder)

    assert source.reads == 0
    assert (again.digest, list(again.desired)) == (expected.digest, list(expected.desired))
    assert [one.spec for one in again.desired.values()] == [one.spec for one in expected.desired.values()]
    assert source.reads == 0


def test_what_was_dropped_meanwhile_is_read_from_the_commit(folder: Path) -> None:
    source = _Counting()
    commit = source.commit(COMMITTED)
    expected = snapshot(source, commit, folder)
    again = snapshot(source, commit, folder)
    with sqlite3.connect(folder / FILE) as database:
        database.execute("DELETE FROM files")
    source.reads = 0

    assert [one.spec for one in again.desired.values()] == [one.spec for one in expected.desired.values()]
    assert source.reads == len(expected.desired)


class _Counting(MemorySource):
    reads = 0

    def read(self, blobs):  # type: ignore[no-untyped-def]
        self.reads += 1
        return super().read(blobs)
