"""What a fit goes on from where its worker died: a model so far, and what is to be known of it."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass

from framework import storage
from framework.ports import FailureKind
from framework.workloads.context import WorkloadError
from framework.workloads.training.trainer import BestRound

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckpointState:
    """What a checkpoint says of itself. ``failure`` is (reason, message, traceback) where the fit failed for good: the
    worker's way of telling the driver, because an exception would be taken for a crash and tried again. ``best`` is
    that of its ``Artifact``."""

    rounds: int
    format: str
    final: bool
    resumed: tuple[int, ...] = ()
    failure: tuple[str, str, str] | None = None
    best: BestRound | None = None


def kept_rounds(state: CheckpointState) -> int:
    """Of which round a finished model is."""
    return state.best.rounds if state.best is not None else state.rounds


def write_checkpoint(place: str, state: CheckpointState, model: bytes) -> None:
    """Two files whose names begin with ``place``; the second makes the first count."""
    storage.write_bytes(f"{place}.model", model)
    storage.write_sealed(f"{place}.json", {**vars(state), "sha256": hashlib.sha256(model).hexdigest()})


def read_checkpoint(place: str) -> tuple[CheckpointState, bytes]:
    """What ``write_checkpoint`` wrote.

    Raises:
        WorkloadError: "CheckpointDamaged" (Infrastructure).
    """
    try:
        raw, model = storage.read_json(f"{place}.json"), storage.read_bytes(f"{place}.model")
        failure = raw["failure"] and tuple(raw["failure"])
        best = BestRound(*raw["best"]) if raw.get("best") else None
        state = CheckpointState(raw["rounds"], raw["format"], raw["final"], tuple(raw["resumed"]), failure, best)
        found = hashlib.sha256(model or b"").hexdigest()
        if found != raw["sha256"]:
            raise ValueError(f"the model has SHA-256 {found}, written was {raw['sha256']}")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        told = f"the checkpoint {place} cannot be used: {error}"
        raise WorkloadError("CheckpointDamaged", told, kind=FailureKind.INFRASTRUCTURE) from error
    return state, model or b""


class Checkpoints:
    """Those of one fit, numbered by rounds; the newest ``keep`` stay."""

    def __init__(self, folder: str, keep: int) -> None:
        self._folder, self._keep = folder, keep

    def newest(self) -> tuple[CheckpointState, bytes] | None:
        """The newest that can be read: one that is damaged gives way to the one before."""
        for place in reversed(self._places()):
            try:
                return read_checkpoint(place)
            except WorkloadError as error:
                log.warning("%s", error)
        return None

    def add(self, state: CheckpointState, model: bytes) -> None:
        """Raises OSError."""
        write_checkpoint(f"{self._folder}/{state.rounds:09d}", state, model)
        for place in self._places()[: -self._keep]:
            storage.delete_file(f"{place}.json")
            storage.delete_file(f"{place}.model")

    def _places(self) -> list[str]:
        files = storage.list_files(self._folder)
        return [file.removesuffix(".json") for file in files if file.endswith(".json")]
