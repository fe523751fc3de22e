"""What is remembered: records, events, revisions, the lease, and model versions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, Field

from framework.api.credentials import redacted_value
from framework.api.meta import Ref, Stored
from framework.api.printing import Told
from framework.ports.heartbeat import Heartbeat
from framework.ports.tracking import MirrorMark
from framework.ports.verbs import changes


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


UNREADABLE_EVENT = "UnreadableEvent"
"""Reason of what stands in the place of an event that cannot be read."""


def is_asked_for(event: Event, reasons: Collection[str], since: datetime | None) -> bool:
    """Of an event that cannot be read nobody knows that it is not."""
    if event.reason == UNREADABLE_EVENT:
        return True
    return (not reasons or event.reason in reasons) and (since is None or event.time >= since)


class Intent(Stored):
    """An action that is about to be done: written down before, so that whoever finds it there knows that it may have
    been done, and what of the world may therefore differ from what is remembered."""

    key: str
    item: str = ""
    """What it touches, as an inventory names it: ``app:x``, ``route:d``, ``run:r``."""
    takes: tuple[float, float] | None = None
    """CPUs and GPUs that the item takes once it is done. Until that is known, the larger of this and what is on record
    counts."""
    attempt: int | None = None
    """Of the run that it starts."""
    tells: tuple[Event, ...] = ()
    """What is true, and has to be told, once it is done."""


class Record(Stored):
    """What we must remember about one resource because it cannot be observed again."""

    ref: Ref
    status: dict[str, Any]
    inventory: tuple[str, ...] = ()
    takes: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """CPUs and GPUs by item of the inventory that was let in: what quotas count."""
    room: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """CPUs and GPUs that are kept free for an item of the inventory until it holds them."""
    withheld: str = ""
    """Why something was held back at the last look that got so far; told once, whatever failed in between."""
    upstream: tuple[Ref, ...] = ()
    doing: tuple[Intent, ...] = ()
    """Empty but while actions are under way, or when nobody knows what became of them."""
    version: int = 0


@dataclass(frozen=True)
class Recorded:
    """All that is on record: what can be read, and what is wrong with each record that cannot."""

    readable: tuple[Record, ...]
    unreadable: Mapping[Ref, str] = field(default_factory=dict)


class Pin(Stored):
    """An operator's word that ``commit`` is in force until git asks for something else than at ``over``, the newest
    commit when the word was given. An input like git itself, so it is not fenced."""

    commit: str
    over: str
    actor: str
    time: datetime
    message: str = ""


class Revision(Stored):
    """What we know of one commit: accepted or refused (with its problems)."""

    commit: str
    digest: str
    accepted: bool
    time: datetime
    problems: tuple[str, ...] = ()
    subject: str = ""
    pin: Pin | None = None
    """What put it in force; None where git did."""
    unpinned: bool = False
    """The pin that put it in force is over, and that was told."""
    damaged: bool = False
    """What was kept of it cannot be read, and the problem says why: nobody knows whether it was accepted."""


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


class ClockMark(Stored):
    """That it was ``wall`` when a machine had been up for ``uptime`` seconds since the start that ``boot`` names: by
    that it shows later whether its clock was set meanwhile."""

    boot: str
    wall: datetime
    uptime: float


class Lease(Stored):
    """The right to change an environment. ``token`` grows with every new holder and fences off the old one,
    ``renewals`` with every sign of life of this one.

    No time of day counts, because clocks are set: who has seen a lease unchanged for ``ttl_seconds``, by a clock of
    their own that nobody sets, may take it over, and who has not renewed theirs for so long counts it as lost.
    """

    holder: str
    token: int
    renewals: int = 0
    ttl_seconds: float = 15.0
    renewed: datetime | None = None
    """By the holder's clock; for people."""
    expires: datetime | None = None
    """Of a lease that an older version took: it renews by moving this."""
    note: dict[str, Any] = Field(default_factory=dict)


MOST_NAMED = 100
"""So many names are looked for at a time: to look for more takes longer than to read everything."""


class StateStore(Protocol):
    """The durable memory of one environment. Every write carries the lease token; a stale one raises ConflictError.
    Every verb raises TransientError while the store does not answer: a write may then have been made all the same.

    ``events`` of a write tell what it comes to: both are kept, or neither is. What was damaged is told of where it is
    come upon, and stands in nothing else's way.
    """

    def load(self, ref: Ref) -> Record | None:
        """None where there is none.

        Raises:
            DamagedError: there is one, and it cannot be read.
        """
        ...

    def recorded(self) -> Recorded:
        """All of them, sorted by kind and name."""
        ...

    def refs(self) -> Sequence[Ref]:
        """What there is a record of, be it one that can be read or not: for that nobody has to read them. Sorted by
        kind and name."""
        ...

    def naming(self, names: Collection[str]) -> Recorded:
        """Those in which a text is one of ``names``, sorted, so that nobody has to read them all. Of more than
        :data:`MOST_NAMED` names it may be all there are."""
        ...

    def records(self) -> Sequence[Record]:
        """Those that can be read."""
        ...

    def scan(self) -> Iterator[Record]:
        """The same a part at a time, so that nobody holds them all. What is written meanwhile is found as it was or as
        it is."""
        ...

    @changes
    def save(self, record: Record, token: int, events: Sequence[Event] = ()) -> Record:
        """Compare-and-set on ``record.version`` (0 = must not exist): ConflictError where it is another. Returns the
        record at its new version."""
        ...

    @changes
    def delete(self, record: Record, token: int, events: Sequence[Event] = ()) -> None:
        """Compare-and-set like ``save``; a record that is missing is fine, and ``events`` are told all the same."""
        ...

    @changes
    def forget(self, ref: Ref, events: Sequence[Event], left: Record | None = None) -> None:
        """Take a record away, whether it can be read or not, and put ``left`` in its place. An operator's word like a
        pin, so it is not fenced."""
        ...

    @changes
    def append_events(self, events: Sequence[Event], token: int) -> None:
        """Tell what changed nothing that is remembered; all of them or none."""
        ...

    def events(
        self,
        ref: Ref | None = None,
        limit: int = 100,
        *,
        kinds: Collection[str] = (),
        reasons: Collection[str] = (),
        since: datetime | None = None,
    ) -> Sequence[Event]:
        """The newest ``limit`` events, oldest first, of one resource or of all; ``kinds`` of resources, the empty one
        for events of the environment itself. In the place of one that cannot be read stands one that says so, with the
        reason :data:`UNREADABLE_EVENT`, whatever was asked for."""
        ...

    def log(self, after: int = 0, limit: int = 1_000, *, kinds: Collection[str] = ()) -> Sequence[Event]:
        """The oldest ``limit`` events after the one with the number ``after``: page by page, the whole log."""
        ...

    def verify_events(self) -> Sequence[str]:
        """What is wrong with the audit log's hash chain, in order; empty when nothing was changed, moved or removed."""
        ...

    def seal(self) -> Seal:
        """The end of the log: how many events there are, and the hash of the last."""
        ...

    def damage(self) -> Sequence[str]:
        """What of all that is kept beside the log cannot be read, and what is wrong with it."""
        ...

    @changes
    def save_revision(self, revision: Revision, token: int, events: Sequence[Event] = ()) -> None:
        """Keep what became of a commit. One that is known already becomes the newest again, with what is known now."""
        ...

    def revisions(self, limit: int = 50, skip: int = 0) -> Sequence[Revision]:
        """Newest first, without the newest ``skip``."""
        ...

    def pin(self) -> Pin | None:
        """None where nobody set one; one that cannot be read is none."""
        ...

    @changes
    def set_pin(self, pin: Pin | None, events: Sequence[Event] = ()) -> None:
        """Put ``pin`` in the place of whatever there is; None takes that away. An operator's word, so it is not fenced,
        and the last one counts."""
        ...

    @changes
    def end_pin(self, pin: Pin, token: int, events: Sequence[Event]) -> None:
        """Take ``pin`` back, unless an operator has set another one meanwhile; ``events`` are told in any case."""
        ...

    def words(self) -> Sequence[Word]:
        """Operators' words that were not taken back, sorted by subject."""
        ...

    @changes
    def say(self, word: Word) -> None:
        """Put ``word`` in the place of the one on the same subject. An operator's, so it is not fenced."""
        ...

    @changes
    def take_back(self, word: Word, token: int, events: Sequence[Event] = ()) -> None:
        """``word`` was acted upon; one that an operator said on the same subject since then stands."""
        ...

    def clock(self) -> ClockMark | None:
        """How the clock of the last leader's machine stood; None where nobody noted it."""
        ...

    @changes
    def set_clock(
        self, mark: ClockMark, token: int, records: Sequence[Record] = (), events: Sequence[Event] = ()
    ) -> None:
        """Note how it stands. ``records`` are what it moved, each at the version that was read; all is kept, or
        nothing."""
        ...

    def mirror_mark(self) -> MirrorMark | None:
        """How far the mirror of the registry is; None where nobody noted it, or what is kept cannot be read."""
        ...

    @changes
    def set_mirror_mark(self, mark: MirrorMark, token: int, events: Sequence[Event] = ()) -> None:
        """Put ``mark`` in the place of the last one."""
        ...

    def owner(self, claim: str | None = None) -> str:
        """Who this environment is where its name is not enough, such as on a Ray that several projects use: ten
        hexadecimal digits, made by chance when they are first asked for. ``claim`` takes the place of what there was.
        Not fenced: it says nothing about who leads."""
        ...

    def acquire(
        self,
        holder: str,
        ttl_seconds: float,
        now: datetime,
        note: Mapping[str, Any] | None = None,
        over: Lease | None = None,
    ) -> Lease | None:
        """Take the lease where nobody else holds it, or the one who does still holds exactly ``over``: compare-and-set
        on what the caller saw. None otherwise. ``holder`` names one process; ``now`` is only remembered."""
        ...

    def renew(self, lease: Lease, now: datetime) -> Lease | None:
        """A sign of life of its holder; None once it is no longer the lease."""
        ...

    def release(self, lease: Lease) -> None:
        """Give the lease back at once; one that is somebody else's by now stays. Its token is never given again."""
        ...

    def lease(self) -> Lease | None:
        """As last taken or renewed, however long ago; None where nobody holds it, or it cannot be read."""
        ...

    def beat(self, heartbeat: Heartbeat, token: int) -> None:
        """Put ``heartbeat`` in the place of the last one."""
        ...

    def heartbeat(self) -> Heartbeat | None:
        """The last one; None where no controller ever told of itself, or what is kept cannot be read."""
        ...
