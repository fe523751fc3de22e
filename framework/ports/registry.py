"""Trained models."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError

from framework.api.meta import Stored
from framework.ports.data import ReadTable
from framework.ports.verbs import changes

_READ = TypeAdapter(dict[str, ReadTable])


class ModelVersion(Stored):
    """One trained model, named by its build. Everything needed to serve it and to explain it."""

    training: str
    version: str
    commit: str
    created: datetime
    artifact: str
    sha256: str
    format: str
    signature: dict[str, Any]
    profile: str
    metrics: dict[str, float]
    parameters: dict[str, Any]
    lineage: dict[str, Any]
    gates: tuple[dict[str, Any], ...] = ()
    deployable: bool = False
    trial_rows: int = 0
    """Rows of its training set that are kept to try it on before it serves; 0 for a model from before they were."""
    identity: str = ""
    """What git asked for when it was registered; empty for a model from before builds had names of their own."""

    @property
    def asked_for(self) -> str:
        """The identity that it was registered for."""
        return self.identity or self.version

    @property
    def read(self) -> Mapping[str, ReadTable]:
        """The tables it was trained on, by view."""
        try:
            return _READ.validate_python(self.lineage.get("views", {}))
        except ValidationError:
            return {}  # nobody knows any more


class ModelRegistry(Protocol):
    """A version whose row cannot be read is as good as none, and is told of."""

    def get(self, training: str, version: str) -> ModelVersion | None:
        """None where it was never registered, was forgotten, or cannot be read."""
        ...

    def versions(self, training: str) -> Sequence[ModelVersion]:
        """Newest first."""
        ...

    def builds(self, training: str, identity: str) -> Sequence[ModelVersion]:
        """The versions that were registered for ``identity``, the one that was last first."""
        ...

    def naming(self, names: Collection[str]) -> Sequence[tuple[str, str]]:
        """Training job and version of those in which a text is one of ``names``, likewise, whether they can be read or
        not."""
        ...

    @changes
    def register(self, version: ModelVersion, token: int) -> None:
        """Idempotent: a version that exists is left as it is, unless it cannot be read. It is a build of its
        ``identity`` from now on, and goes on being one of those that it was registered for before."""
        ...

    @changes
    def adopt(self, version: ModelVersion) -> None:
        """Take over a version that another environment trained; one that exists is left as it is. An operator's input
        like a pin, so it is not fenced."""
        ...

    @changes
    def forget(self, training: str, token: int) -> None:
        """Remove every version of a training job. Their files are not touched."""
        ...
