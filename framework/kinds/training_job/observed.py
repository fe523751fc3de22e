"""What is looked at before a TrainingJob is planned, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from framework.api.meta import Ref, Stored
from framework.ports import ModelVersion, RunState


class TrainingJobState(Stored):
    version: str | None = None
    """The model version of the identity that git asked for last and that was trained; it may have failed its gates."""
    deployable: bool = False
    gates: tuple[dict[str, Any], ...] = ()
    run: str | None = None
    """The run that is under way, if one is."""


@dataclass(frozen=True)
class TrainingJobObserved:
    """``views`` holds each upstream's published version as plain values (uri, version, identity, entities, timestamp,
    columns), None where it is not ready at the identity that git asks for. ``champion`` is what serves now. ``used_by``
    is looked at for a removal only: deployments that serve a version of it or are about to."""

    ref: Ref
    storage: str
    version: ModelVersion | None
    run: RunState
    views: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    champion: ModelVersion | None = None
    used_by: tuple[Ref, ...] = ()
