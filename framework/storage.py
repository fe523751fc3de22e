"""The one way to read and write files of an environment, on the control plane and on the cluster.

A URI is a local path or any fsspec URL. Writes are whole or not at all, so a reader never sees half a file.

What goes wrong is an OSError, however the store's own library calls it; only what no second try can mend, because no
library for such a URL is installed or it is none, is a TerminalError.
"""

from __future__ import annotations

import glob
import json
import logging
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from framework import installed
from framework.api.errors import MlopsError, TerminalError
from framework.api.hashes import text_hash

log = logging.getLogger(__name__)

_CHUNK = 1 << 20
"""Bytes of a large file that are held at a time."""
_DRIVERS = {"s3": "s3fs", "s3a": "s3fs"}
"""Packages by the scheme that they bring, where they come with an extra of ours."""


def is_local(uri: str) -> bool:
    """Whether it lies on this machine."""
    return "://" not in uri or uri.startswith("file://")


def _local(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def _fsspec() -> Any:
    """Loaded for what lies elsewhere only: most commands never ask for that."""
    import fsspec

    return fsspec


class StoreError(OSError):
    """A remote store failed, in the words of its own library: it may do better at the next try."""


@contextmanager
def _reaching(uri: str) -> Iterator[None]:
    """What vendors' libraries raise, in the words of this module.

    Raises:
        TerminalError: "DriverMissing" with what to install, or "BadAddress".
        StoreError: anything else that is no OSError already.
    """
    try:
        yield
    except (OSError, MlopsError):
        raise
    except ImportError as error:
        links = (link.partition("://")[0] for link in uri.split("::"))
        packages = [_DRIVERS[scheme] for scheme in links if scheme in _DRIVERS]
        told = installed.advice(packages) if packages else str(error)
        raise TerminalError("DriverMissing", f"{uri}: nothing is installed that could read it: {told}") from error
    except ValueError as error:
        raise TerminalError("BadAddress", f"{uri}: {error}") from error
    except Exception as error:
        raise StoreError(f"{uri}: {type(error).__name__}: {error}") from error


def write_bytes(uri: str, data: bytes) -> None:
    """Publish ``data`` at ``uri`` atomically, creating folders as needed. Raises OSError (disk full, no permission)."""
    if not is_local(uri):
        with _reaching(uri), _fsspec().open(uri, "wb") as stream:  # object stores publish on close
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


def write_stream(uri: str, fill: Callable[[IO[bytes]], None]) -> None:
    """Publish what ``fill`` writes, a piece at a time, atomically; where it raises, nothing is published."""
    if not is_local(uri):
        with _reaching(uri):
            filesystem, path = _fsspec().core.url_to_fs(uri)
            remote = f"{path}.{uuid.uuid4().hex[:8]}"  # a store publishes what it has on close, also after an error
            try:
                with filesystem.open(remote, "wb") as stream:
                    fill(stream)
                filesystem.mv(remote, path)
            finally:
                if filesystem.exists(remote):
                    filesystem.rm_file(remote)
        return
    path = _local(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with draft.open("wb") as local:
            fill(local)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def read_bytes(uri: str, limit: int = -1) -> bytes | None:
    """The bytes at ``uri``, or the first ``limit`` of them; None where nothing is."""
    try:
        if is_local(uri):
            with open(_local(uri), "rb") as stream:
                return stream.read(limit)
        with _reaching(uri), _fsspec().open(uri, "rb") as stream:
            return bytes(stream.read(limit))
    except (FileNotFoundError, NotADirectoryError):
        return None


def content_digest(uri: str, begin: Callable[[int], Any]) -> str:
    """The hash of the bytes at ``uri``, in hex. ``begin`` gives what they are told to, knowing how many they are (-1:
    nobody says).

    Raises:
        OSError: FileNotFoundError included, and where the file grew or shrank while it was read.
    """
    if is_local(uri):
        with open(_local(uri), "rb") as local:
            size = os.fstat(local.fileno()).st_size
            digest, read = _told(local, begin(size))
        if read != size:
            raise OSError(f"{uri} changed while it was read: of {size:,} bytes {read:,} were there")
        return digest
    with _reaching(uri), _fsspec().open(uri, "rb") as stream:
        return _told(stream, begin(-1))[0]


def _told(stream: Any, digest: Any) -> tuple[str, int]:
    read = 0
    while part := stream.read(_CHUNK):
        digest.update(part)
        read += len(part)
    return digest.hexdigest(), read


_SEAL = "seal"


class DamagedFileError(ValueError):
    """A file of ours does not hold what was written to it."""


def write_json(uri: str, value: Any) -> None:
    """``value`` as canonical JSON, atomically."""
    write_bytes(uri, _canonical(value))


def write_sealed(uri: str, value: Mapping[str, Any]) -> None:
    """The same, with a checksum, so that ``read_json`` notices any damage."""
    write_json(uri, sealed(value))


def read_json(uri: str) -> Any:
    """The JSON value at ``uri``, None where nothing is.

    Raises:
        DamagedFileError: it is no JSON, or does not match its seal.
    """
    data = read_bytes(uri)
    if data is None:
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{uri} is damaged: {error}") from error
    return unsealed(value, uri)


def readable_json(uri: str) -> Any:
    """``read_json``, but a damaged file is as good as none: it is said, and who finds nothing has it written again."""
    try:
        return read_json(uri)
    except DamagedFileError as error:
        log.warning("left out: %s", error)
        return None


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """``value`` with a checksum over it."""
    return {**value, _SEAL: _seal(value)}


def unsealed(value: Any, place: str) -> Any:
    """``value`` without its seal; what never had one stays as it is.

    Raises:
        DamagedFileError: the seal does not match, naming ``place``.
    """
    if not isinstance(value, dict) or _SEAL not in value:
        return value
    seal = value.pop(_SEAL)
    if seal != _seal(value):
        raise DamagedFileError(f"{place} is damaged: it does not match its seal")
    return value


def _seal(value: Mapping[str, Any]) -> str:
    return text_hash(_canonical(value), 16)


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def list_files(folder: str) -> list[str]:
    """URIs of the files directly below ``folder``, sorted; drafts of unfinished writes are left out."""
    return _listed(folder, "file")


def list_folders(folder: str) -> list[str]:
    """URIs of the folders directly below ``folder``, sorted."""
    return _listed(folder, "directory")


def _listed(folder: str, form: str) -> list[str]:
    if is_local(folder):
        path = _local(folder)
        if not path.is_dir():
            return []
        wanted = Path.is_file if form == "file" else Path.is_dir
        return sorted(str(item) for item in path.iterdir() if wanted(item) and not item.name.startswith("."))
    with _reaching(folder):
        filesystem, root = _fsspec().core.url_to_fs(folder)
        if not filesystem.isdir(root):
            return []
        found = (item["name"] for item in filesystem.ls(root, detail=True) if item["type"] == form)
        return sorted(filesystem.unstrip_protocol(name) for name in found if name.rstrip("/") != root.rstrip("/"))


def make_cache(folder: Path, *, parents: bool = True) -> None:
    """A folder for what may be deleted at any time: made where it is missing, and left out of git. Without ``parents``
    only in a folder that is there: what a command that merely reads has found out is no reason to make one.

    Raises:
        OSError: it cannot be made, or a symbolic link lies on the way, which may lead anywhere.
    """
    if any(path.is_symlink() for path in (folder, folder.parent)):
        raise OSError(f"{folder}: a symbolic link lies on the way")
    if not folder.is_dir():
        folder.mkdir(parents=parents)
        (folder / ".gitignore").write_text("*\n")


def delete_file(uri: str) -> None:
    """Nothing happens where there is none. Raises OSError."""
    if is_local(uri):
        _local(uri).unlink(missing_ok=True)
        return
    with _reaching(uri):
        filesystem, path = _fsspec().core.url_to_fs(uri)
        if filesystem.exists(path):
            filesystem.rm_file(path)


def delete_folder(folder: str) -> None:
    """Remove everything below ``folder``; a missing folder is fine.

    Raises:
        ValueError: the URI does not name one folder for certain: it is empty, relative to wherever the process happens
            to run, has ``..`` in it, or is a root (``/``, ``/x``, a whole bucket). Nothing is removed then.
    """
    with _reaching(_deletable(folder)):
        filesystem, root = _fsspec().core.url_to_fs(folder)
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
    """What tells of a file, without reading it, that its bytes may have changed. ``modified`` is the mtime in
    nanoseconds, or what a remote store has instead; empty where it has nothing."""

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
    """The files that ``uri`` names, sorted by URI; empty where there are none. A file of that very name goes before
    what its brackets would match as a pattern.

    A folder counts as the files directly below it. Drafts of unfinished writes are left out.
    """
    if is_local(uri):
        named = str(_local(uri))
        names = [named] if os.path.exists(named) else sorted(glob.glob(named, recursive=True))
        found = {state.uri: state for name in names for state in _local_files(Path(name))}
        return [state for _, state in sorted(found.items())]
    with _reaching(uri):
        filesystem, root = _fsspec().core.url_to_fs(uri)
        filesystem.invalidate_cache()  # some remember listings for as long as the process lives
        return [
            FileState(filesystem.unstrip_protocol(name), int(info.get("size") or 0), _stamp(info))
            for name, info in sorted(_remote_files(filesystem, root).items())
            if info.get("type") != "directory"
        ]


def nothing_at(path: str) -> str:
    """What to say of a path of a spec that names no file.

    >>> nothing_at("data/r[1].csv")
    'no file at data/r[1].csv, nor any that matches it as a pattern'
    """
    return f"no file at {path}{', nor any that matches it as a pattern' if glob.has_magic(path) else ''}"


def _local_files(path: Path) -> Iterator[FileState]:
    for item in [path] if path.is_file() else [Path(child) for child in list_files(str(path))]:
        if not item.name.startswith("."):
            state = item.stat()
            yield FileState(str(item), state.st_size, str(state.st_mtime_ns))


def _remote_files(filesystem: Any, root: str) -> dict[str, dict[str, Any]]:
    try:
        found: dict[str, Any] = filesystem.info(root)
    except FileNotFoundError:
        return dict(filesystem.glob(root, detail=True)) if glob.has_magic(root) else {}
    if found.get("type") != "directory":
        return {root: found}
    return {info["name"]: info for info in filesystem.ls(root, detail=True)}


_STAMPS = (
    "ETag", "etag", "md5Hash", "Content-MD5", "content_md5", "Digest", "sha", "checksum",
    "LastModified", "Last-Modified", "last_modified", "updated", "mtime", "modified", "modify", "created",
)  # fmt: skip
"""What stores say of a file that changes when its bytes do, the surest first."""


def _stamp(info: dict[str, Any]) -> str:
    return str(next((info[key] for key in _STAMPS if info.get(key)), ""))
