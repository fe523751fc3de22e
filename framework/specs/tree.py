"""Files the way git names and groups them, and as an archive: what the object database and a folder on disk share."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from framework.api.errors import ConfigurationError

MAX_ARCHIVE_BYTES = 256 << 20
"""Of the code that travels to the cluster as one archive."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can hold: an archive tells nothing about when or where it was made."""

_SIBLING = ".mlops-code/"
"""An empty folder in every archive: Ray moves everything one level up where an archive has a single folder at the top,
and ``examples.flights`` would have to be imported as ``flights``."""


def inside(path: str) -> str:
    """``path`` as git writes it: relative, ``/`` between names, "" for the root.

    Raises:
        ConfigurationError: the path is absolute or leaves the root.
    """
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if path.startswith("/") or ".." in parts or "\0" in path:
        raise ConfigurationError(f"{path!r} does not lie inside the project")
    return "/".join(parts)


def blob_sha(data: bytes) -> str:
    """Git's name of the bytes of a file."""
    return _sha("blob", data)


def _sha(kind: str, data: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


def listing_digest(files: Iterable[tuple[str, str]]) -> str:
    """Names a set of files, given as path and SHA in order."""
    text = "\0".join(part for file in files for part in file)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


@dataclass
class _Folder:
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    folders: dict[str, _Folder] = field(default_factory=dict)

    def sha(self) -> str:
        entries = [(name, mode, sha) for name, (mode, sha) in self.files.items()]
        entries += [(name, "40000", folder.sha()) for name, folder in self.folders.items()]
        entries.sort(key=lambda entry: (entry[0] + ("/" if entry[1] == "40000" else "")).encode())
        data = b"".join(f"{mode} {name}".encode() + b"\0" + bytes.fromhex(sha) for name, mode, sha in entries)
        return _sha("tree", data)


def tree_sha(files: Iterable[tuple[str, bool, str]]) -> str:
    """Git's name of a folder, from (path below it, executable, blob SHA) of each file."""
    root = _Folder()
    for path, executable, sha in files:
        *parents, name = path.split("/")
        folder = root
        for parent in parents:
            folder = folder.folders.setdefault(parent, _Folder())
        folder.files[name] = ("100755" if executable else "100644", sha)
    return root.sha()


def archive(files: Mapping[str, tuple[bytes, bool]]) -> bytes:
    """A zip of path -> (bytes, executable). Sorted, without times and without compression, whose output differs between
    builds of zlib: equal files give equal bytes everywhere."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        held = [(path, 0o100755 if executable else 0o100644, data) for path, (data, executable) in files.items()]
        for path, mode, data in [*sorted(held), (_SIBLING, 0o040755, b"")]:
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.create_system = 3
            entry.external_attr = mode << 16
            target.writestr(entry, data)
    return buffer.getvalue()
