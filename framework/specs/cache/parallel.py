"""Fresh files read by several processes.

The helpers are new interpreters that know nothing of this process, never copies of it: a copy would hold locks that
threads of ours had at that moment, and nobody would ever release them. They are given bytes, and answer with rows. If
one cannot be started, fails or differs from us, we do its work ourselves. It ends when it is not spoken to any more,
whatever became of us.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import IO

from framework.planning.grammar.kind import Kind
from framework.ports import Blob
from framework.specs.cache import engine

log = logging.getLogger(__name__)

FEW = 400
"""Below so many files a helper is not up before we are done (about 0.3 s)."""
_CHUNK = 40
_MOST = 7
_QUIET_SECONDS = 20.0
"""How long we wait for the helpers' last answers once nothing else is left to do."""

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
        count = min(others, _MOST, len(files) // self.few)
        chunks = deque(files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK))
        found: dict[Blob, bytes] = {}
        helpers: list[subprocess.Popen[bytes]] = []
        with ThreadPoolExecutor(count + 1, "spec-reader") as pool:
            try:
                with contextlib.suppress(OSError):
                    helpers += (_start(self.kinds) for _ in range(count))
                answers = [pool.submit(_helped, helper, engine.name(kinds), chunks) for helper in helpers]
                while chunk := _next(chunks.popleft):
                    found.update((blob, read(blob, data)) for blob, data in chunk)
                wait(answers, _QUIET_SECONDS)
            finally:
                for helper in helpers:
                    helper.kill()
        for answer in answers:
            found.update(answer.result())
        for blob, data in files:  # what a helper took and did not give back
            if blob not in found:
                found[blob] = read(blob, data)
        return found


def _other_cpus() -> int:
    return len(os.sched_getaffinity(0)) - 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) - 1


def _next(take: Callable[[], Sequence[File]]) -> Sequence[File]:
    try:
        return take()
    except IndexError:
        return ()


def _start(kinds: str) -> subprocess.Popen[bytes]:
    """An interpreter like ours. ``-P``: a folder named framework in a project's folder is not taken for ours."""
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry and os.path.exists(entry))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "framework.specs.cache.worker", kinds],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/",
        env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
    )  # fmt: skip


def _helped(helper: subprocess.Popen[bytes], reader: str, chunks: deque[Sequence[File]]) -> dict[Blob, bytes]:
    """What ``helper`` makes of chunks from the other end, until there are no more or it fails."""
    found: dict[Blob, bytes] = {}
    try:
        with helper:
            assert helper.stdin is not None
            assert helper.stdout is not None
            theirs = helper.stdout.readline().decode("ascii").strip()
            if theirs != reader:
                raise ValueError(f"it reads specs as {theirs or 'nobody'}, and we as {reader}")
            while chunk := _next(chunks.pop):
                send(helper.stdin, chunk)
                found.update(zip((blob for blob, _ in chunk), receive(helper.stdout, len(chunk)), strict=True))
    except (OSError, ValueError) as error:
        log.debug("a helper that reads specs gave up: %s", error)
    return found


def send(stream: IO[bytes], chunk: Sequence[File]) -> None:
    """A chunk on one line; bytes as the text that they are in Latin 1, which has one for each."""
    stream.write(
        json.dumps([(blob.path, blob.sha, data.decode("latin-1")) for blob, data in chunk]).encode("ascii") + b"\n"
    )
    stream.flush()


def receive(stream: IO[bytes], count: int) -> list[bytes]:
    """So many rows, each of them a line.

    Raises:
        ValueError: the answer ends early.
    """
    lines = [stream.readline() for _ in range(count)]
    if not all(line.endswith(b"\n") for line in lines):
        raise ValueError("the answer ends early")
    return [line[:-1] for line in lines]
