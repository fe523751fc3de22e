"""What names the bytes of files: git's way, and those of what points to files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class LinesDigest:
    """MD5 as DVC before its version 3 has it: line ends of text do not count, each MiB for itself
    (``dvc_data.hashfile.hash.Dos2UnixHashStreamFile``)."""

    _SHOWS, _MOST_FOREIGN = 512, 0.3
    _TEXT = bytes(range(32, 127)) + b"\n\r\t\f\b"

    def __init__(self) -> None:
        self._digest = hashlib.md5(usedforsecurity=False)

    def update(self, data: bytes, /) -> None:
        start = data[: self._SHOWS]
        foreign = start.translate(None, self._TEXT)
        text = b"\0" not in start and len(foreign) <= self._MOST_FOREIGN * len(start)
        self._digest.update(data.replace(b"\r\n", b"\n") if text else data)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _blob(name: str) -> Callable[[int], Any]:
    return lambda size: hashlib.new(name, f"blob {size}\0".encode(), usedforsecurity=False)


ALGORITHMS: Mapping[str, Callable[[int], Digest]] = {
    "git": _blob("sha1"),
    "git256": _blob("sha256"),
    "sha256": lambda size: hashlib.sha256(),
    "md5": lambda size: hashlib.md5(usedforsecurity=False),
    "lines": lambda size: LinesDigest(),
}
"""By the word before a digest, given how many bytes there will be. ``git`` and ``git256`` are the names that git has
for files in repositories of either format."""
