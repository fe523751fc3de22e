"""One name for all that the sources of a view hold."""

from __future__ import annotations

import json
from collections.abc import Mapping

from framework import storage
from framework.api.errors import TerminalError, TransientError
from framework.api.hashes import text_hash
from framework.panics import panics_told
from framework.ports import Json
from framework.sources import databases
from framework.sources.contents import Contents


def source_digest(sources: Mapping[str, Mapping[str, Json]], root: str, contents: Contents) -> str:
    """16 hex characters over place and content of every file that the sources name. A file of a remote store counts by
    what the store says of it (an etag, a checksum, when it was modified), and by its content where it says nothing; a
    Delta source counts by its version, one of SQL by what names its rows, ``connection`` being what the Environment has
    under that name. Views and functions are named otherwise. Empty where no source is a file or SQL.

    Raises:
        TerminalError: "SourceMissing" with the path, "PathOutsideRoot", "DriverMissing" with what to install,
            "BadAddress", "ConnectionMissing", "SecretMissing", "QueryFailed".
        TransientError: a store does not answer, or a file cannot be read.
    """
    parts: list[Json] = []
    for name, source in sorted(sources.items()):
        path = source.get("path")
        if isinstance(path, str):
            parts.append([name, path, _held(name, path, source.get("format"), root, contents)])
        elif source.get("sql"):
            parts.append([name, _queried(name, source, root)])
    return text_hash(json.dumps(parts), 16) if parts else ""


def _held(name: str, path: str, form: Json, root: str, contents: Contents) -> Json:
    try:
        uri = storage.resolve_path(path, root)
    except ValueError as error:
        raise TerminalError("PathOutsideRoot", f"source {name}: {error}") from error
    if form == "delta":
        return _delta_version(name, path, uri)
    try:
        files = storage.match_files(uri)
        digests = contents.of(uri, files)
    except TerminalError as error:
        raise TerminalError(error.reason, f"source {name}: {error}") from error
    except OSError as error:
        raise TransientError(f"source {name}: cannot read {path}: {error}") from error
    if not files:
        raise TerminalError("SourceMissing", f"source {name}: {storage.nothing_at(path)}")
    return [[_relative(file.uri, root), digest] for file, digest in zip(files, digests, strict=True)]


def _queried(name: str, source: Mapping[str, Json], root: str) -> Json:
    try:
        return databases.version(source, root)
    except TerminalError as error:
        raise TerminalError(error.reason, f"source {name}: {error}") from error
    except TransientError as error:
        raise TransientError(f"source {name}: {error}") from error


def _delta_version(name: str, path: str, uri: str) -> int:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        with panics_told():
            return int(DeltaTable(uri).version())
    except TableNotFoundError as error:
        raise TerminalError("SourceMissing", f"source {name}: no Delta table at {path}") from error
    except (DeltaError, OSError, RuntimeError) as error:
        raise TransientError(f"source {name}: cannot read the Delta table at {path}: {error}") from error


def _relative(uri: str, root: str) -> str:
    """The digest must not change when the project's folder is moved."""
    return uri.removeprefix(root.rstrip("/") + "/")
