"""What is remembered: records, events, revisions, the lease, and model versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, Field

from framework.api.credentials import redacted_value
from framework.api.meta import Ref, Stored
from framework.api.printing import Told


class Record(Stored):
    """What we must remember about one resource because it cannot be observed again."""

    ref: Ref
    status: dict[str, Any]
    inventory: tuple[str, ...] = ()
    takes: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """CPUs and GPUs by item of the inventory that was let in: what quotas count."""
    upstream: tuple[Ref, ...] = ()
    version: int = 0


class Event(Stored):
    """One thing that happened."""

    sequence: int = 0
    time: datetime
    commit: str
    ref: Ref | None
    reason: str
    message: Told
    data: Annotated[dict[str, Any], AfterValidator(redacted_value)] = Field(default_factory=dict)
    actor: str = ""


class Revision(Stored):
    """What we know of one commit: accepted or refused (with its problems)."""

    commit: str
    digest: str
    accepted: bool
    time: datetime
    problems: tuple[Told, ...] = ()
    subject: Told = ""


class Pin(Stored):
    """An operator's word that ``commit`` is in force until git asks for something else than at ``over``, the newest
    commit when the word was given. An input like git itself, so it is not fenced."""

    commit: str
    over: str
    actor: str
    time: datetime
    message: str = ""


class Word(Stored):
    """What an operator says beside git about ``subject``, e.g. that one commit may remove what it likes. The last word
    on a subject counts, until whoever acts on it takes it back. An input like a pin, so saying it is not fenced."""

    subject: str
    verb: str
    actor: str
    time: datetime
    data: dict[str, Any] = Field(default_factory=dict)


class Seal(Stored):
    """The state of the audit log: whoever notes ``head`` elsewhere can tell later whether what was logged until then is
    still what it was. ``events`` counts all that were ever appended; ``first`` and ``last`` are the times of those that
    are there, None where none can be read."""

    events: int
    head: str
    first: datetime | None = None
    last: datetime | None = None


class Lease(Stored):
    """The right to change an environment. ``token`` grows with every new holder and fences off the old one."""

    holder: str
    token: int
    expires: datetime
    note: dict[str, Any] = Field(default_factory=dict)


class StateStore(Protocol):
    """The durable memory of one environment. Every write carries the lease token; a stale one raises ConflictError.

    ``events`` of a write tell what it comes to: both are kept, or neither is.
    """

    def load(self, ref: Ref) -> Record | None: ...

    def records(self) -> Sequence[Record]: ...

    def save(self, record: Record, token: int, events: Sequence[Event] = ()) -> Record:
        """Compare-and-set on ``record.version`` (0 = must not exist). Returns the record at its new version."""
        ...

    def delete(self, record: Record, token: int, events: Sequence[Event] = ()) -> None:
        """Compare-and-set like ``save``; a record that is missing is fine, and ``events`` are told all the same."""
        ...

    def append_events(self, events: Sequence[Event], token: int) -> None:
        """Tell what changed nothing that is remembered; all of them or none."""
        ...

    def events(self, ref: Ref | None = None, limit: int = 100) -> Sequence[Event]:
        """The newest ``limit`` events, oldest first."""
        ...

    def verify_events(self) -> Sequence[str]:
        """What is wrong with the audit log's hash chain, in order; empty when nothing was changed, moved or removed."""
        ...

    def seal(self) -> Seal: ...

    def save_revision(self, revision: Revision, token: int, events: Sequence[Event] = ()) -> None: ...

    def revisions(self, limit: int = 50) -> Sequence[Revision]:
        """Newest first."""
        ...

    def pin(self) -> Pin | None: ...

    def set_pin(self, pin: Pin | None) -> None: ...

    def end_pin(self, pin: Pin, token: int, events: Sequence[Event]) -> None:
        """Take ``pin`` back, unless an operator has set another one meanwhile; ``events`` are told in any case."""
        ...

    def words(self) -> Sequence[Word]:
        """Sorted by subject."""
        ...

    def say(self, word: Word) -> None: ...

    def take_back(self, word: Word, token: int, events: Sequence[Event] = ()) -> None:
        """``word`` was acted upon; one that an operator said on the same subject since then stands."""
        ...

    def acquire(
        self, holder: str, ttl_seconds: float, now: datetime, note: Mapping[str, Any] | None = None
    ) -> Lease | None:
        """Take or renew the lease; None while another holder's lease has not expired."""
        ...

    def release(self, lease: Lease) -> None: ...

    def lease(self) -> Lease | None: ...


class ModelVersion(Stored):
    """One trained model, named by the identity of its TrainingJob. Everything needed to serve it and to explain it."""

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


class ModelRegistry(Protocol):
    def get(self, training: str, version: str) -> ModelVersion | None: ...

    def versions(self, training: str) -> Sequence[ModelVersion]:
        """Newest first."""
        ...

    def register(self, version: ModelVersion, token: int) -> None:
        """Idempotent: a version that exists is left as it is."""
        ...

    def adopt(self, version: ModelVersion) -> None:
        """Take over a version that another environment trained; one that exists is left as it is. An operator's input
        like a pin, so it is not fenced."""
        ...

    def forget(self, training: str, token: int) -> None:
        """Remove every version of a training job. Their files are not touched."""
        ...
