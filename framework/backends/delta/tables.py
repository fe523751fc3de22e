"""Feature tables on Delta Lake and the sources they are computed from, seen by the control plane: metadata only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from framework import storage
from framework.api.errors import TerminalError, TransientError
from framework.api.hashes import text_hash
from framework.backends.delta.contents import Contents
from framework.panics import panics_told
from framework.ports import Json, ReadTable, TableState

_METADATA_KEY = "mlops"
"""The same key that the materialising workload writes; a test holds the two together."""

_LOOKED_THROUGH = 100


class DeltaTables:
    """A ``TableCatalog``: every call reads the transaction log again. ``contents`` remembers what source files hold."""

    def __init__(self, contents: Contents | None = None) -> None:
        self._contents = Contents() if contents is None else contents

    def describe(self, uri: str) -> TableState | None:
        """The newest published version, None where there is none.

        Raises:
            TransientError: the log cannot be read now (storage down, damaged log).
        """
        return next(iter(_history(uri, 1) or _history(uri, _LOOKED_THROUGH)), None)

    def versions(self, uri: str) -> Sequence[TableState]:
        """Of the newest :data:`_LOOKED_THROUGH` commits, those that published something and are still in the log, which
        Delta keeps for a month by default."""
        return _history(uri, _LOOKED_THROUGH)

    def source_digest(self, sources: Mapping[str, Mapping[str, Json]], root: str) -> str:
        """16 hex characters over place and content of every file that the sources name. A file of a remote store counts
        by what the store says of it (an etag, a checksum, when it was modified), and by its content where it says
        nothing; a Delta source counts by its version. Sources that are views or functions are named by the view's
        identity instead. Empty where no source is a file.

        Raises:
            TerminalError: "SourceMissing" with the path, "PathOutsideRoot", "DriverMissing" with what to install,
                "BadAddress".
            TransientError: a store does not answer, or a file cannot be read.
        """
        parts: list[Json] = []
        for name, source in sorted(sources.items()):
            path = source.get("path")
            if path is not None:
                parts.append([name, path, self._read(name, path, source.get("format"), root)])
        return text_hash(json.dumps(parts), 16) if parts else ""

    def _read(self, name: str, path: str, form: Json, root: str) -> Json:
        try:
            uri = storage.resolve_path(path, root)
        except ValueError as error:
            raise TerminalError("PathOutsideRoot", f"source {name}: {error}") from error
        if form == "delta":
            return _delta_version(name, path, uri)
        try:
            files = storage.match_files(uri)
            digests = self._contents.of(uri, files)
        except TerminalError as error:
            raise TerminalError(error.reason, f"source {name}: {error}") from error
        except OSError as error:
            raise TransientError(f"source {name}: cannot read {path}: {error}") from error
        if not files:
            raise TerminalError("SourceMissing", f"source {name}: {storage.nothing_at(path)}")
        return [[_relative(file.uri, root), digest] for file, digest in zip(files, digests, strict=True)]

    def delete(self, uri: str) -> None:
        """Remove the table with all its versions; a missing one is fine."""
        storage.delete_folder(uri)


def _history(uri: str, limit: int) -> list[TableState]:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        with panics_told():
            table = DeltaTable(uri)
            return [
                _state(uri, table.version() - back, commit["timestamp"], _metadata(uri, commit))
                for back, commit in enumerate(table.history(limit))
                if commit.get(_METADATA_KEY)  # what others do to a table, such as to compact it, changes no rows
            ]
    except TableNotFoundError:
        return []
    except (DeltaError, OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise TransientError(f"cannot read the table at {uri}: {error}") from error


def _metadata(uri: str, commit: Mapping[str, Any]) -> Mapping[str, Any]:
    return dict(storage.unsealed(json.loads(commit[_METADATA_KEY]), f"the log of {uri}"))


def _state(uri: str, version: int, milliseconds: int, metadata: Mapping[str, Any]) -> TableState:
    return TableState(
        uri=uri,
        version=version,
        rows=int(metadata.get("rows", 0)),
        source_digest=str(metadata.get("source_digest", "")),
        identity=str(metadata.get("identity", "")),
        commit=str(metadata.get("commit", "")),
        published=datetime.fromtimestamp(milliseconds / 1000, UTC),
        columns=tuple((name, dtype) for name, dtype in metadata.get("columns", ())),
        newest=datetime.fromisoformat(metadata["newest"]) if metadata.get("newest") else None,
        build=str(metadata.get("build", "")),
        digests=dict(metadata.get("digests", {})),
        upstream={name: ReadTable.model_validate(read) for name, read in metadata.get("upstream", {}).items()},
    )


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
