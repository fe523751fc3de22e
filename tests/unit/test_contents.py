"""Source files by content: read when the file system says that they may have changed, and not before."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import threading
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from framework import storage
from framework.sources.contents import Contents
from tests.lying import digest

DAY = 86_400_000_000_000


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read."""
    found: list[str] = []
    read = storage.content_digest

    def counted(uri: str, begin: Any) -> str:
        found.append(uri.rpartition("/")[2])
        return read(uri, begin)

    monkeypatch.setattr(storage, "content_digest", counted)
    return found


def later(days: int = 1) -> Any:
    """A clock by which what was written just now was written long ago."""
    return lambda: __import__("time").time_ns() + days * DAY


def digests(contents: Contents, uri: Path | str) -> list[str]:
    return contents.of(str(uri), storage.match_files(str(uri)))


def test_a_touched_file_is_read_again_and_is_the_same(tmp_path: Path, reads: list[str]) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    contents = Contents(now=later())
    before = digests(contents, tmp_path / "*.csv")
    assert digests(contents, tmp_path / "*.csv") == before
    assert reads == ["a.csv"]
    os.utime(tmp_path / "a.csv", ns=(1, 1))
    assert digests(contents, tmp_path / "*.csv") == before
    assert reads == ["a.csv", "a.csv"]


def test_new_bytes_are_seen_whatever_size_and_time_say(tmp_path: Path) -> None:
    file, contents = tmp_path / "a.csv", Contents(now=later())
    file.write_text("x\n1\n")
    os.utime(file, ns=(5, 5))
    before = digests(contents, file)
    file.write_text("x\n2\n")
    os.utime(file, ns=(5, 5))
    assert digests(contents, file) != before
    (tmp_path / "new").write_text("x\n1\n")
    os.utime(tmp_path / "new", ns=(5, 5))
    os.replace(tmp_path / "new", file)
    assert digests(contents, file) == before


def test_a_file_that_may_still_be_written_to_is_read_each_time(tmp_path: Path, reads: list[str]) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    contents = Contents()
    digests(contents, tmp_path / "a.csv")
    digests(contents, tmp_path / "a.csv")
    assert reads == ["a.csv"] * 2


def test_what_was_read_is_kept_between_processes(tmp_path: Path, reads: list[str]) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(name)
    kept = tmp_path / "kept"
    before = digests(Contents(kept, now=later()), tmp_path / "*.csv")
    assert digests(Contents(kept, now=later()), tmp_path / "*.csv") == before
    assert reads == ["a.csv", "b.csv"]
    (tmp_path / "b.csv").write_text("c")
    after = digests(Contents(kept, now=later()), tmp_path / "*.csv")
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)
    assert reads == ["a.csv", "b.csv", "b.csv"]


def test_whatever_happens_to_what_is_kept_the_files_tell_it_again(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    kept = tmp_path / "kept"
    right = digests(Contents(kept, now=later()), tmp_path / "a.csv")
    (file,) = kept.glob("*.json")
    assert (kept / ".gitignore").read_text() == "*\n"
    good = file.read_bytes()
    other = json.loads(good)
    other[str(tmp_path / "a.csv")][1] = "0" * 64
    bad = [b"", b"\x80", b"[]", b"null", b"{}", b'{"files": 3}', b'{"files": {"a": 3}, "seal": ""}', b"1" * 9]
    bad += [good[:cut] for cut in range(0, len(good), 9)] + [json.dumps(other).encode()]
    bad += [good[:at] + bytes([good[at] ^ 0x15]) + good[at + 1 :] for at in range(0, len(good), 5)]
    for data in bad:
        file.write_bytes(data)
        assert digests(Contents(kept, now=later()), tmp_path / "a.csv") == right
    shutil.rmtree(kept)
    kept.write_text("a file where a folder should be")
    assert digests(Contents(kept, now=later()), tmp_path / "a.csv") == right


# ---------------------------------------------------------------------- over HTTP


class _Server(http.server.BaseHTTPRequestHandler):
    """Serves one text with such headers as a test wants."""

    text, headers_given, asked = b"", {}, []  # type: ignore[var-annotated]

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.text)))
        for name, value in self.headers_given.items():
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.do_HEAD()
        self.wfile.write(self.text)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[tuple[str, type[_Server]]]:
    handler = type("Handler", (_Server,), {"asked": []})
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler))
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}", handler
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("ETag", ('"one"', '"two"')),
        ("Last-Modified", (formatdate(0, usegmt=True), formatdate(1, usegmt=True))),
        ("Content-MD5", ("3d8e577bddb17db339eae0b3d9bcf180", "5d8e577bddb17db339eae0b3d9bcf180")),
        ("Digest", ("sha-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=", "sha-256=Y48E9qOokqqrvdts8nOJRJN3OWDU")),
    ],
)
def test_what_a_server_says_of_a_file_is_enough(
    server: tuple[str, type[_Server]], header: str, values: tuple[str, str]
) -> None:
    address, handler = server
    handler.text, handler.headers_given = b"id\n1\n", {header: values[0]}
    source = {"a": {"format": "csv", "path": f"{address}/r.csv"}}
    before = digest(source, "/project")
    assert digest(source, "/project") == before
    handler.text, handler.headers_given = b"id\n2\n", {header: values[1]}
    assert digest(source, "/project") != before
    assert handler.asked == []


def test_where_a_server_says_nothing_the_content_decides(server: tuple[str, type[_Server]]) -> None:
    address, handler = server
    seconds = [0.0]
    contents = Contents(clock=lambda: seconds[0])
    handler.text = b"id\n1\n"
    before = digests(contents, f"{address}/r.csv")
    handler.text = b"id\n2\n"
    seconds[0] = 299.0
    assert digests(contents, f"{address}/r.csv") == before
    seconds[0] = 301.0
    assert digests(contents, f"{address}/r.csv") != before
    assert len(handler.asked) == 2
