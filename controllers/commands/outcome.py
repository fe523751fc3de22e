"""How one pass ended, for people and for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from framework.api.meta import Ref
from framework.planning.grammar.remembered import status_of, way_out
from framework.planning.reports.settled import Standing
from framework.ports import Recorded
from framework.render.terminal import LONGEST_MESSAGE, one_line


class Word(StrEnum):
    CONVERGED = "Converged"
    """Everything is as git asks."""
    STALLED = "Stalled"
    """Nothing moves any more, and something is not as git asks."""
    HELD = "Held"
    """Nothing moves until a person does something."""
    STARTED = "Started"
    """Work goes on; nobody was asked to wait for it, or not that long."""


WORDS = ("ready", "moving", "stalled", "blocked", "held", "orphaned")
"""Of a Standing, as a result tells them."""


@dataclass(frozen=True)
class PassResult:
    """How a pass ended. ``calls`` are the calls that changed anything, by action."""

    word: Word
    environment: str
    commit: str
    seconds: float
    standing: Standing
    looks: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    reasons: tuple[tuple[Ref, str], ...] = ()
    followed: bool = False
    """Another process did the work, so its calls are not counted here."""
    note: str = ""
    """Why the newest commit is not what is in force, where nothing is wrong with it; or why it cannot be said that all
    is as git asks."""
    taken_up: bool = True
    """Whether whoever does the work knows of the newest commit."""

    def document(self) -> dict[str, object]:
        return {
            "format": 1,
            "outcome": self.word.value,
            "environment": self.environment,
            "commit": self.commit,
            "seconds": round(self.seconds, 3),
            "looks": self.looks,
            "followed": self.followed,
            "taken_up": self.taken_up,
            "note": self.note,
            "changing_calls": dict(sorted(self.calls.items())),
            "resources": {word: [str(ref) for ref in getattr(self.standing, word)] for word in WORDS},
            "reasons": {str(ref): message for ref, message in self.reasons},
        }

    def json(self) -> str:
        return json.dumps(self.document(), indent=2)

    def text(self) -> str:
        """A sentence for each thing that is not as git asks, and one that sums up."""
        lines = [f"{ref!s:34}  {one_line(message, LONGEST_MESSAGE)}" for ref, message in self.reasons]
        return "\n".join([*lines, *([self.note] if self.note else []), self._summary()])

    def _summary(self) -> str:
        if not self.commit:
            return f"{self.word.value}: no commit is in force yet, and nothing was changed."
        commit, total = self.commit[:7], self.calls.total()
        if self.word is Word.CONVERGED and total == 0 and not self.followed:
            count = len(self.standing.ready)
            seen = f"{self.looks} looks, 0 changing calls, {self.seconds:.1f} s"
            return f"Nothing to do: {count} resources match commit {commit} ({seen})."
        done = ", ".join(f"{count} {name}" for name, count in sorted(self.calls.items())) or (
            "those of the controller that was followed" if self.followed else "none"
        )
        counts = ", ".join(f"{len(refs)} {word}" for word in WORDS if (refs := getattr(self.standing, word)))
        return f"{self.word.value} at commit {commit} in {self.seconds:.1f} s: {counts}; changing calls: {done}."


def outcome(
    environment: str,
    commit: str,
    seconds: float,
    found: Standing,
    recorded: Recorded,
    *,
    looks: int = 0,
    calls: Counter[str] | None = None,
    note: str = "",
    doubt: str = "",
    taken_up: bool = True,
) -> PassResult:
    """What to say of a pass that left things as they were ``found``. ``calls`` is None where another did the work;
    ``recorded`` are at least those that are not as git asks, ``doubt`` is why the records alone do not prove that all
    is as git asks."""
    if found.converged:
        word = Word.HELD if note else Word.STARTED if doubt else Word.CONVERGED
    elif found.moving:
        word = Word.STARTED
    elif found.stalled:
        word = Word.STALLED
    else:
        word = Word.HELD  # what is blocked then waits for what a person is awaited for
    return PassResult(
        word=word,
        environment=environment,
        commit=commit,
        seconds=seconds,
        standing=found,
        looks=looks,
        calls=Counter(calls or {}),
        followed=calls is None,
        note=note or doubt,
        taken_up=taken_up,
        reasons=tuple(_reasons(found.open, recorded)),
    )


def _reasons(refs: Iterable[Ref], recorded: Recorded) -> Iterator[tuple[Ref, str]]:
    """What each of them said of itself; nothing of one that is not on record."""
    records = {record.ref: record for record in recorded.readable}
    for ref in refs:
        if ref in recorded.unreadable:
            yield ref, way_out(ref, recorded.unreadable[ref])
        elif ref in records:
            said = status_of(records[ref]).conditions.ready
            yield ref, said.message or said.reason
