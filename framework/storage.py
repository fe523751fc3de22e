"""The one way to read and write files of an environment, on the control plane and on the cluster.

A URI is a local path or any fsspec URL. Writes are whole or not at all, so a reader never sees half a file.
"""

from __future__ import annotations

import glob
import json
import os
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import fsspec


def _is_local(uri: str) -> bool:
    return "://" not in uri or uri.startswith("file://")


def _local(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def write_bytes(uri: str, data: bytes) -> None:
    """Publish ``data`` at ``uri`` atomically, creating folders as needed. Raises OSError (disk full, no permission)."""
    if not _is_local(uri):
        with fsspec.open(uri, "wb") as stream:  # object stores publish on close
            stream.write(data)
        return
    path = _local(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        draft.write_bytes(data)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def read_bytes(uri: str) -> bytes | None:
    """The bytes at ``uri``, None where nothing is."""
    try:
        if _is_local(uri):
            return _local(uri).read_bytes()
        with fsspec.open(uri, "rb") as stream:
            return bytes(stream.read())
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_json(uri: str, value: Any) -> None:
    """``value`` as canonical JSON, atomically."""
    write_bytes(uri, json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def read_json(uri: str) -> Any:
    """The JSON value at ``uri``, None where nothing is."""
    data = read_bytes(uri)
    return None if data is None else json.loads(data)


def list_files(folder: str) -> list[str]:
    """URIs of the files directly below ``folder``, sorted; drafts of unfinished writes are left out."""
    if _is_local(folder):
        path = _local(folder)
        if not path.is_dir():
            return []
        return sorted(str(item) for item in path.iterdir() if item.is_file() and not item.name.startswith("."))
    filesystem, root = fsspec.core.url_to_fs(folder)
    if not filesystem.isdir(root):
        return []
    return sorted(filesystem.unstrip_protocol(item) for item in filesystem.ls(root, detail=False))


def delete_folder(folder: str) -> None:
    """Remove everything below ``folder``; a missing folder is fine.

    Raises:
        ValueError: the URI does not name one folder for certain: it is empty, relative to wherever the process happens
            to run, has ``..`` in it, or is a root (``/``, ``/x``, a whole bucket). Nothing is removed then.
    """
    filesystem, root = fsspec.core.url_to_fs(_deletable(folder))
    if filesystem.exists(root):
        filesystem.rm(root, recursive=True)


def _deletable(folder: str) -> str:
    scheme, _, path = folder.rpartition("://")
    parts = [part for part in path.split("/") if part not in {"", "."}]
    absolute = path.startswith("/") if scheme in {"", "file", "local"} else "::" not in scheme
    if not absolute or len(parts) < 2 or ".." in parts:
        raise ValueError(f"{folder!r} is not removed: it must be an absolute path or a URL, at least two levels deep")
    return folder


class FileState(NamedTuple):
    """What names the bytes of one file without reading them. ``modified`` is the mtime in nanoseconds, or an etag."""

    uri: str
    size: int
    modified: str


def resolve_path(path: str, root: str) -> str:
    """A data path of a spec as a URI: relative to the project's ``root``, or any fsspec URL as it stands.

    Raises:
        ValueError: an absolute path, or one that climbs out of ``root``.
    """
    if "://" in path:
        return path
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError(f"{path!r} leaves the project's root; use a path below it or a URL such as file:///...")
    return str(Path(root) / path)


def match_files(uri: str) -> list[FileState]:
    """The files that ``uri`` names, globs expanded, sorted by URI; empty where nothing matches.

    A folder counts as the files directly below it. Drafts of unfinished writes are left out.
    """
    if _is_local(uri):
        found: list[FileState] = []
        for name in sorted(glob.glob(str(_local(uri)), recursive=True)):
            for item in [Path(name)] if Path(name).is_file() else [Path(child) for child in list_files(name)]:
                if not item.name.startswith("."):
                    state = item.stat()
                    found.append(FileState(str(item), state.st_size, str(state.st_mtime_ns)))
        return found
    filesystem, root = fsspec.core.url_to_fs(uri)
    matches = filesystem.glob(root, detail=True) if glob.has_magic(root) else {}
    if not matches and filesystem.exists(root):
        matches = {root: filesystem.info(root)}
    return [
        FileState(filesystem.unstrip_protocol(name), int(info.get("size") or 0), _stamp(info))
        for name, info in sorted(matches.items())
        if info.get("type") != "directory"
    ]


def _stamp(info: dict[str, Any]) -> str:
    """What changes when the bytes of a remote file do: stores differ in which of these they have."""
    return str(next((info[key] for key in ("ETag", "etag", "md5Hash", "LastModified", "mtime") if info.get(key)), ""))
