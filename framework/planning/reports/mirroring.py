"""What a mirror of the registry has not got yet. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from framework.api.credentials import redacted_value
from framework.planning.reports.models import ModelRow
from framework.ports import MirrorMark, ModelVersion, TrackedVersion


def pending(rows: Iterable[ModelRow], mark: MirrorMark) -> tuple[ModelRow, ...]:
    """Versions that are not there yet, the oldest first."""
    there = {(training, version) for training, versions in mark.versions.items() for version in versions}
    missing = [row for row in rows if (row.model.training, row.model.version) not in there]
    return tuple(sorted(missing, key=lambda row: (row.model.created, row.model.training, row.model.version)))


def moved_aliases(rows: Sequence[ModelRow], mark: MirrorMark) -> Mapping[str, Mapping[str, str | None]]:
    """By training job, the aliases that stand for another version than is said there, None for those that stand for
    nothing now. A name that several versions have stands for none of them."""
    now: dict[str, dict[str, set[str]]] = {training: {} for training in mark.aliases}
    for row in rows:
        names = now.setdefault(row.model.training, {})
        for alias in row.aliases:
            names.setdefault(alias.name, set()).add(row.model.version)
    found: dict[str, dict[str, str | None]] = {}
    for training, names in now.items():
        there = mark.aliases.get(training, {})
        wanted = {name: next(iter(versions)) for name, versions in names.items() if len(versions) == 1}
        moved: dict[str, str | None] = {name: wanted.get(name) for name in sorted({*there, *wanted})}
        moved = {name: version for name, version in moved.items() if there.get(name) != version}
        if moved:
            found[training] = moved
    return found


def with_version(mark: MirrorMark, model: ModelVersion) -> MirrorMark:
    """``model`` is there now."""
    known = mark.versions.get(model.training, ())
    return mark.model_copy(update={"versions": {**mark.versions, model.training: (*known, model.version)}})


def with_aliases(mark: MirrorMark, training: str, moved: Mapping[str, str | None]) -> MirrorMark:
    """``moved`` was said there."""
    names = {**mark.aliases.get(training, {}), **moved}
    kept = {name: version for name, version in names.items() if version is not None}
    return mark.model_copy(update={"aliases": {**mark.aliases, training: kept}})


def in_doubt(mark: MirrorMark, moves: Mapping[str, Mapping[str, str | None]]) -> MirrorMark:
    """``moves`` are about to be said there: until they were, nobody knows what these aliases stand for."""
    for training, moved in moves.items():
        mark = with_aliases(mark, training, dict.fromkeys(moved, ""))
    return mark


def tracked(model: ModelVersion, environment: str, files: Mapping[str, bytes]) -> TrackedVersion:
    """As it is told elsewhere, without what looks like a credential. A parameter that is no text is told as JSON."""
    known = {
        "environment": environment,
        "training": model.training,
        "build": model.version,
        "identity": model.asked_for,
        "commit": model.commit,
        "run": model.lineage.get("run"),
        "dataset": model.lineage.get("dataset"),
        "seed": model.lineage.get("seed"),
        "format": model.format,
        "sha256": model.sha256,
        "artifact": model.artifact,
        "deployable": model.deployable,
    }
    return TrackedVersion(
        model.training,
        model.version,
        model.commit,
        model.created,
        model.metrics,
        {name: _text(value) for name, value in redacted_value(model.parameters).items()},
        {f"mlops.{name}": _text(value) for name, value in redacted_value(known).items() if value is not None},
        files,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
