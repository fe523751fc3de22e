from __future__ import annotations

import os
import threading
import tomllib
import uuid
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from framework import storage
from framework.api.errors import TerminalError


@pytest.fixture
def bucket() -> str:
    """An object store in memory, of its own."""
    return f"memory://{uuid.uuid4().hex}"


# ---------------------------------------------------------------------- deleting

REFUSED = [
    "", ".", "..", "./", "kept", "kept/deep", "./kept", "../kept", "~", "~/kept",
    "/", "//", "/.", "/work", "/work/", "/work/.", "/./work", "/a/..", "/a/b/..", "/a/../b/c",
    "file://", "file:///", "file:///srv", "file://kept/deep", "local://kept/deep", "local:///srv", "file:/srv/main",
    "memory://", "memory:///", "memory://bucket", "memory://bucket/", "memory:///bucket/.", "memory://bucket/../other/x",
    "s3://bucket", "s3://bucket/", "gs://bucket//", "://a/b", "simplecache::memory://bucket/folder",
]  # fmt: skip


@pytest.mark.parametrize("folder", REFUSED)
def test_what_is_not_one_folder_for_certain_is_not_removed(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError(f"a file system was asked about {folder!r}")

    monkeypatch.setattr("fsspec.core.url_to_fs", never)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="is not removed"):
        storage.delete_folder(folder)


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_a_folder_is_removed_and_its_neighbours_stay(tmp_path: Path, prefix: str) -> None:
    for name in ("gone/deep/file", "gone/file", "kept/file", "gone-not/file"):
        storage.write_bytes(str(tmp_path / name), b"x")
    (tmp_path / "gone" / "link").symlink_to(tmp_path / "kept")
    storage.delete_folder(f"{prefix}{tmp_path}/gone")
    storage.delete_folder(f"{prefix}{tmp_path}/gone")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["gone-not", "kept"]
    assert (tmp_path / "kept" / "file").read_bytes() == b"x"


def test_a_folder_of_an_object_store_is_removed(bucket: str) -> None:
    for name in ("gone/deep/file", "kept/file"):
        storage.write_bytes(f"{bucket}/{name}", b"x")
    storage.delete_folder(f"{bucket}/gone")
    storage.delete_folder(f"{bucket}/never")
    assert storage.read_bytes(f"{bucket}/gone/deep/file") is None
    assert storage.read_bytes(f"{bucket}/kept/file") == b"x"


# ---------------------------------------------------------------------- reading and writing


@pytest.mark.parametrize("local", [True, False])
def test_what_is_written_is_read_and_replaced(tmp_path: Path, bucket: str, local: bool) -> None:
    uri = f"{tmp_path if local else bucket}/deep/folder/file.json"
    assert storage.read_bytes(uri) is None
    assert storage.read_json(uri) is None
    values: list[Any] = [{"b": 1, "a": ["ä", None, 0.1]}, []]
    for value in values:
        storage.write_json(uri, value)
        assert storage.read_json(uri) == value


@pytest.mark.parametrize("local", [True, False])
def test_files_and_folders_are_listed_apart(tmp_path: Path, bucket: str, local: bool) -> None:
    root = str(tmp_path if local else bucket)
    for name in ("one/file", "two/deep/file", "file"):
        storage.write_bytes(f"{root}/{name}", b"x")
    assert [uri.rpartition("/")[2] for uri in storage.list_files(root)] == ["file"]
    assert [uri.rpartition("/")[2] for uri in storage.list_folders(root)] == ["one", "two"]
    assert [uri.rpartition("/")[2] for uri in storage.list_files(storage.list_folders(root)[0])] == ["file"]
    assert storage.list_folders(f"{root}/never") == []


def test_json_is_canonical(tmp_path: Path) -> None:
    storage.write_json(f"{tmp_path}/a", {"b": 1, "a": [1, 2]})
    storage.write_json(f"{tmp_path}/b", {"a": [1, 2], "b": 1})
    assert storage.read_bytes(f"{tmp_path}/a") == storage.read_bytes(f"{tmp_path}/b") == b'{"a":[1,2],"b":1}'


def test_a_folder_is_no_file_and_below_a_file_is_nothing(tmp_path: Path) -> None:
    storage.write_bytes(f"{tmp_path}/file", b"x")
    assert storage.read_bytes(f"{tmp_path}/file/below") is None
    with pytest.raises(OSError):  # noqa: PT011 - the errno differs between systems
        storage.read_bytes(str(tmp_path))


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    uri = f"{tmp_path}/file"
    contents = {bytes([value]) * 200_000 for value in range(4)}
    storage.write_bytes(uri, bytes(200_000))
    done = threading.Event()

    def write() -> None:
        for _ in range(25):
            for content in contents:
                storage.write_bytes(uri, content)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(storage.read_bytes(uri))
    writer.join()
    assert seen <= contents
    assert storage.list_files(str(tmp_path)) == [uri]


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"{tmp_path}/file"
    storage.write_bytes(uri, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        storage.write_bytes(uri, b"new")
    assert storage.read_bytes(uri) == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("local", [True, False])
def test_files_directly_below_a_folder_are_listed(tmp_path: Path, bucket: str, local: bool) -> None:
    folder = f"{tmp_path if local else bucket}/listed"
    assert storage.list_files(folder) == []
    for name in ("b.json", "a.json"):
        storage.write_bytes(f"{folder}/{name}", b"x")
    found = storage.list_files(folder)
    assert [item.rpartition("/")[2] for item in found] == ["a.json", "b.json"]
    assert [storage.read_bytes(item) for item in found] == [b"x", b"x"]


def test_drafts_and_folders_are_not_listed(tmp_path: Path) -> None:
    for name in ("a.json", ".b.json.1234abcd", "deep/c.json"):
        storage.write_bytes(f"{tmp_path}/{name}", b"x")
    assert storage.list_files(str(tmp_path)) == [f"{tmp_path}/a.json"]


# ---------------------------------------------------------------------- paths of specs


def test_paths_of_a_spec_are_relative_to_the_project() -> None:
    assert storage.resolve_path("data/flights.csv", "/project") == "/project/data/flights.csv"
    assert storage.resolve_path("s3://bucket/data", "/project") == "s3://bucket/data"


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "data/../../outside", ".."])
def test_paths_of_a_spec_stay_in_the_project(path: str) -> None:
    with pytest.raises(ValueError, match="leaves the project's root"):
        storage.resolve_path(path, "/project")


def test_files_are_matched_by_name_glob_and_folder(tmp_path: Path) -> None:
    for name in ("data/2013.csv", "data/2014.csv", "data/.draft", "data/deep/x.csv"):
        storage.write_bytes(f"{tmp_path}/{name}", b"four")

    def matched(uri: str) -> list[str]:
        return [item.uri.removeprefix(f"{tmp_path}/data/") for item in storage.match_files(f"{tmp_path}/{uri}")]

    assert matched("data/2013.csv") == ["2013.csv"]
    assert matched("data/*.csv") == ["2013.csv", "2014.csv"]
    assert matched("data") == ["2013.csv", "2014.csv"]
    assert matched("data/**/*.csv") == ["2013.csv", "2014.csv", "deep/x.csv"]
    assert matched("nowhere/*.csv") == []


def test_the_state_of_a_file_changes_with_its_bytes(tmp_path: Path, bucket: str) -> None:
    uri = f"{tmp_path}/file"
    storage.write_bytes(uri, b"one")
    (before,) = storage.match_files(uri)
    assert storage.match_files(uri) == [before]
    assert before.size == 3
    os.utime(uri, ns=(1, before_ns := int(before.modified) + 1))
    (touched,) = storage.match_files(uri)
    assert touched == before._replace(modified=str(before_ns))
    storage.write_bytes(f"{bucket}/data/one.csv", b"one")
    storage.write_bytes(f"{bucket}/data/two.txt", b"two!")
    (found,) = storage.match_files(f"{bucket}/data/*.csv")
    assert (storage.read_bytes(found.uri), found.size) == (b"one", 3)


@pytest.mark.parametrize("local", [True, False])
def test_a_file_of_that_very_name_goes_before_the_pattern(tmp_path: Path, bucket: str, local: bool) -> None:
    folder = str(tmp_path) if local else bucket
    for name in ("r[1].csv", "r1.csv", "s1.csv"):
        storage.write_bytes(f"{folder}/{name}", b"x")

    def matched(path: str) -> list[str]:
        return [item.uri.rpartition("/")[2] for item in storage.match_files(f"{folder}/{path}")]

    assert matched("r[1].csv") == ["r[1].csv"]
    assert matched("s[1].csv") == ["s1.csv"]
    assert matched("[rs]1.csv") == ["r1.csv", "s1.csv"]
    assert storage.nothing_at("t[1].csv") == "no file at t[1].csv, nor any that matches it as a pattern"
    assert storage.nothing_at("t1.csv") == "no file at t1.csv"


# ---------------------------------------------------------------------- stores that cannot be reached

REMOTE = {
    "read": storage.read_bytes,
    "write": lambda uri: storage.write_bytes(uri, b"x"),
    "list": storage.list_files,
    "match": storage.match_files,
    "digest": lambda uri: storage.content_digest(uri, lambda size: sha256()),
    "delete": lambda uri: storage.delete_folder(uri),
}


@pytest.mark.parametrize("verb", REMOTE)
def test_a_driver_that_is_missing_is_told_with_what_to_install(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(protocol: str) -> None:
        raise ImportError(f"Install what reads {protocol}")

    monkeypatch.setattr("fsspec.core.get_filesystem_class", missing)
    monkeypatch.setattr("framework.installed.origin", lambda: None)  # as from an index, wherever ours is from
    for uri, told in (("s3://bucket/a/b", r"pip install 'mlopsctl\[s3\]'"), ("gs://bucket/a/b", "what reads gs")):
        with pytest.raises(TerminalError, match=told) as caught:
            REMOTE[verb](uri)
        assert caught.value.reason == "DriverMissing"
        assert uri in str(caught.value)
    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert [requirement.partition(">")[0] for requirement in extras["s3"]] == ["s3fs"]


@pytest.mark.parametrize("verb", REMOTE)
def test_a_scheme_that_nobody_knows_is_told(verb: str) -> None:
    with pytest.raises(TerminalError, match=r"nosuch://bucket/a/b.*nosuch") as caught:
        REMOTE[verb]("nosuch://bucket/a/b")
    assert caught.value.reason == "BadAddress"


@pytest.mark.parametrize("verb", REMOTE)
def test_a_store_that_fails_in_words_of_its_own_is_an_oserror(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoCredentialsError(Exception):
        """As vendors' libraries have them."""

    def fails(*_: object, **__: object) -> None:
        raise NoCredentialsError("Unable to locate credentials")

    monkeypatch.setattr("fsspec.core.get_filesystem_class", fails)
    with pytest.raises(OSError, match="s3://bucket/a/b: NoCredentialsError: Unable to locate credentials"):
        REMOTE[verb]("s3://bucket/a/b")
