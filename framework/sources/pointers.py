"""What a commit holds in the place of data that lies elsewhere: files of DVC and git-lfs. Pure; neither is needed."""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

DVC_SUFFIX = ".dvc"
LONGEST_LFS = 1023
"""Bytes; by its specification a pointer of git-lfs is shorter than 1,024."""

_LFS = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d+)\n?"
)
_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
_LONGEST_DVC = 1 << 20


@dataclass(frozen=True)
class Pointer:
    """The data at ``path`` has the hash ``digest`` (``md5:...``, ``sha256:...``), says the file ``by`` of the commit.
    ``lines``: line ends do not count in it, as before DVC 3."""

    path: str
    digest: str
    by: str
    size: int | None = None
    folder: bool = False
    lines: bool = False

    @property
    def remedy(self) -> str:
        return "git lfs pull" if self.digest.startswith("sha256:") else "dvc pull, or dvc checkout"


def lfs_pointer(path: str, data: bytes) -> Pointer | None:
    """What a file is where it is a pointer of git-lfs."""
    found = _LFS.fullmatch(data)
    return Pointer(path, f"sha256:{found[1].decode()}", path, int(found[2])) if found else None


def dvc_pointers(by: str, data: bytes) -> tuple[Pointer, ...]:
    """What the file ``by``, of that suffix, says of data; nothing where it is no such file."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(data) > _LONGEST_DVC:
        return ()
    try:
        found = YAML(typ="safe", pure=True).load(io.BytesIO(data))
    except (YAMLError, ValueError, RecursionError):
        return ()
    return tuple(_outs(by, found)) if isinstance(found, dict) else ()


def _outs(by: str, found: Mapping[str, Any]) -> Iterator[Pointer]:
    folder = posixpath.join(posixpath.dirname(by), str(found.get("wdir") or ""))
    outs = found.get("outs")
    for out in outs if isinstance(outs, list) else ():
        if not isinstance(out, dict):
            continue
        digest, size = str(out.get("md5")), out.get("size")
        path = posixpath.normpath(posixpath.join(folder, str(out.get("path") or "")))
        if _MD5.fullmatch(digest) and path != "." and not posixpath.isabs(path) and path.partition("/")[0] != "..":
            yield Pointer(
                path, f"md5:{digest}", by, size if type(size) is int else None,
                folder=digest.endswith(".dir"), lines=out.get("hash") != "md5",
            )  # fmt: skip
