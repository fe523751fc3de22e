"""Fresh files read by several processes.

The helpers are new interpreters that know nothing of this process, never copies of it: a copy would hold locks that
threads of ours had at that moment, and nobody would ever release them. They are given bytes, and answer with rows. If
one cannot be started, fails or differs from us, we do its work ourselves.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from framework.planning.grammar.kind import Kind
from framework.ports import Blob
from framework.specs.memo import engine

log = logging.getLogger(__name__)

FEW = 400
"""Below so many files a helper is not up before we are done (about 0.3 s)."""
_CHUNK = 40
_MOST = 7
_TIMEOUT_SECONDS = 120.0
_QUIET_SECONDS = 20.0
"""How long we wait for a helper's last answer once nothing else is left to do."""

File = tuple[Blob, bytes]


@dataclass(frozen=True)
class Workers:
    """``kinds`` is where a helper finds the kinds, as ``module:attribute``. ``most`` helpers run beside us; None: as
    many as there are other CPUs."""

    kinds: str
    most: int | None = None
    few: int = FEW

    def read(
        self, files: Sequence[File], kinds: Mapping[str, Kind], read: Callable[[Blob, bytes], bytes]
    ) -> dict[Blob, bytes]:
        """Rows of ``files``; ``read`` makes one here."""
        others = _other_cpus() if self.most is None else self.most
        count = min(others, _MOST, len(files) // self.few) if len(files) >= self.few else 0
        chunks = deque(list(files[start : start + _CHUNK]) for start in range(0, len(files), _CHUNK))
        found: dict[Blob, bytes] = {}
        helpers = [_Helper(self.kinds, engine.name(kinds), chunks) for _ in range(count)]
        try:
            for helper in helpers:
                helper.start()
            while chunk := _next(chunks):
                found.update((blob, read(blob, data)) for blob, data in chunk)
            for helper in helpers:
                helper.join(_QUIET_SECONDS)
        finally:
            for helper in helpers:
                helper.stop()
        for helper in helpers:
            found.update(helper.found)
        for blob, data in files:  # what a helper took and did not give back
            if blob not in found:
                found[blob] = read(blob, data)
        return found


def _other_cpus() -> int:
    return len(os.sched_getaffinity(0)) - 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) - 1


def _next(chunks: deque[list[File]]) -> list[File]:
    try:
        return chunks.popleft()
    except IndexError:
        return []


class _Helper(threading.Thread):
    """Takes chunks from the other end and has them read by a process of its own."""

    def __init__(self, kinds: str, reader: str, chunks: deque[list[File]]) -> None:
        super().__init__(name="spec-reader", daemon=True)
        self.found: dict[Blob, bytes] = {}
        self._kinds, self._reader, self._chunks = kinds, reader, chunks
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()

    def run(self) -> None:
        watchdog = threading.Timer(_TIMEOUT_SECONDS, self.stop)
        watchdog.daemon = True
        watchdog.start()
        try:
            self._work()
        except (OSError, ValueError, KeyError) as error:
            log.debug("a helper that reads specs gave up: %s", error)
        finally:
            watchdog.cancel()
            self.stop()

    def _work(self) -> None:
        process = _start(self._kinds)
        self._process = process
        if self._stopped.is_set():
            return
        assert process.stdin is not None
        assert process.stdout is not None
        reader = process.stdout.readline().decode("ascii").strip()
        if reader != self._reader:
            raise ValueError(f"it reads specs as {reader or 'nobody'}, and we as {self._reader}")
        while True:
            try:
                chunk = self._chunks.pop()
            except IndexError:
                return
            send(process.stdin, [(json.dumps([blob.path, blob.sha]).encode(), data) for blob, data in chunk])
            rows = dict(receive(process.stdout))
            self.found.update((blob, rows[json.dumps([blob.path, blob.sha]).encode()]) for blob, _ in chunk)

    def stop(self) -> None:
        self._stopped.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()


def _start(kinds: str) -> subprocess.Popen[bytes]:
    """An interpreter like ours. ``-P``: a folder named framework in a project's folder is not taken for ours."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry and os.path.exists(entry))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "framework.specs.memo.worker", kinds],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/",
        env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
    )  # fmt: skip


Pair = tuple[bytes, bytes]


def send(stream: IO[bytes], pairs: Sequence[Pair]) -> None:
    """A line of sizes, then everything one after the other."""
    sizes = json.dumps([[len(name), len(data)] for name, data in pairs]).encode()
    stream.write(b"".join([sizes, b"\n", *(part for pair in pairs for part in pair)]))
    stream.flush()


def receive(stream: IO[bytes]) -> list[Pair]:
    """What ``send`` wrote; nothing at the end of the stream.

    Raises:
        ValueError: it ends early.
    """
    line = stream.readline()
    found = [(stream.read(name), stream.read(data)) for name, data in (json.loads(line) if line else [])]
    if line and any(len(part) != size for pair, sizes in zip(found, json.loads(line), strict=True)
                    for part, size in zip(pair, sizes, strict=True)):  # fmt: skip
        raise ValueError("the answer ends early")
    return found
