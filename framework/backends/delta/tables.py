"""Feature tables on Delta Lake, seen by the control plane: metadata only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from framework import storage
from framework.api.errors import TransientError
from framework.panics import panics_told
from framework.ports import CheckedRun, ExpectationResult, FileList, ReadTable, TableState

_METADATA_KEY = "mlops"
"""The same key that the materialising workload writes; a test holds the two together."""

_LOOKED_THROUGH = 100
_KEPT = ("run", "cause", "profile")


class DeltaTables:
    """A ``TableCatalog``: every call reads the transaction log again."""

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

    def checked(self, uri: str) -> CheckedRun | None:
        """As :func:`framework.checked.newest` reads it."""
        from framework import checked

        try:
            return checked.newest(uri)
        except (OSError, ValueError) as error:
            raise TransientError(f"what came of the expectations of {uri} cannot be read: {error}") from error

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
        newest=_moment(metadata.get("newest")),
        build=str(metadata.get("build", "")),
        digests=dict(metadata.get("digests", {})),
        upstream={name: ReadTable.model_validate(read) for name, read in metadata.get("upstream", {}).items()},
        mode=str(metadata.get("mode", "full")),
        since=_moment(metadata.get("since")),
        watermark=_moment(metadata.get("watermark")),
        covered=_range(metadata.get("covered")),
        days=metadata.get("days"),
        late=int(metadata.get("late") or 0),
        expectations=tuple(map(ExpectationResult.model_validate, metadata.get("expectations", ()))),
        kept={name: metadata[name] for name in _KEPT if name in metadata},
        files={name: FileList.model_validate(found) for name, found in metadata.get("files", {}).items()},
        committed=str(metadata.get("committed", "")),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _range(texts: Sequence[str] | None) -> tuple[datetime, datetime] | None:
    return (datetime.fromisoformat(texts[0]), datetime.fromisoformat(texts[1])) if texts else None
