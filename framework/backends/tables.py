"""Feature tables on Delta Lake and the sources they are computed from, seen by the control plane: metadata only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from framework import storage
from framework.api.errors import TerminalError, TransientError
from framework.ports import Json, TableState

_METADATA_KEY = "mlops"
"""The same key that the materialising workload writes; a test holds the two together."""


class DeltaTables:
    """A ``TableCatalog``. Stateless: every call reads the transaction log again."""

    def describe(self, uri: str) -> TableState | None:
        """The newest published version, None where there is none.

        Raises:
            TransientError: the log cannot be read now (storage down, damaged log).
        """
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            table = DeltaTable(uri)
            (last,) = table.history(1)
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise TransientError(f"cannot read the table at {uri}: {error}") from error
        metadata = json.loads(last.get(_METADATA_KEY) or "{}")
        return TableState(
            uri=uri,
            version=table.version(),
            rows=int(metadata.get("rows", 0)),
            source_digest=str(metadata.get("source_digest", "")),
            identity=str(metadata.get("identity", "")),
            commit=str(metadata.get("commit", "")),
            published=datetime.fromtimestamp(last["timestamp"] / 1000, UTC),
            columns=tuple((name, dtype) for name, dtype in metadata.get("columns", ())),
        )

    def source_digest(self, sources: Mapping[str, Mapping[str, Json]], root: str) -> str:
        """16 hex characters over location, size and modification time of every file that the sources name; a Delta
        source counts by its version. Sources that are views or functions are named by the view's identity instead.
        Empty where no source is a file.

        Raises:
            TerminalError: "SourceMissing" with the path, or "PathOutsideRoot".
        """
        parts: list[Json] = []
        for name, source in sorted(sources.items()):
            path = source.get("path")
            if path is None:
                continue
            try:
                uri = storage.resolve_path(path, root)
            except ValueError as error:
                raise TerminalError("PathOutsideRoot", f"source {name}: {error}") from error
            if source.get("format") == "delta":
                parts.append([name, path, _delta_version(name, path, uri)])
                continue
            files = storage.match_files(uri)
            if not files:
                raise TerminalError("SourceMissing", f"source {name}: no file at {path}")
            parts.append([name, path, [[_relative(item.uri, root), item.size, item.modified] for item in files]])
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16] if parts else ""

    def delete(self, uri: str) -> None:
        """Remove the table with all its versions; a missing one is fine."""
        storage.delete_folder(uri)


def _delta_version(name: str, path: str, uri: str) -> int:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    try:
        return int(DeltaTable(uri).version())
    except TableNotFoundError as error:
        raise TerminalError("SourceMissing", f"source {name}: no Delta table at {path}") from error
    except (DeltaError, OSError) as error:
        raise TransientError(f"source {name}: cannot read the Delta table at {path}: {error}") from error


def _relative(uri: str, root: str) -> str:
    """The digest must not change when the project's folder is moved."""
    return uri.removeprefix(root.rstrip("/") + "/")
