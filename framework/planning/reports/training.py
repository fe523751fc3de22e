"""Whether a training job would be trained, and why: what git asks for beside what was trained before. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from framework.api.meta import Ref
from framework.planning.grammar.changes import FieldDiff
from framework.ports import ModelVersion, ReadTable


class Training(StrEnum):
    """What comes of a training job at a commit."""

    HIT = "hit"
    """A version of it exists: nothing is trained."""
    MISS = "miss"
    """Its build does not exist: it is trained."""
    RUNNING = "running"
    """Its build does not exist, and a run of it is on record as begun."""
    WAITS = "waits"
    """A view that it reads is not published as the commit asks for it, so nobody knows yet."""


@dataclass(frozen=True)
class ViewNow:
    """A view as the training job would read it; ``rows`` of all its table, None where that is not on record."""

    read: ReadTable
    rows: int | None


@dataclass(frozen=True)
class ViewMoved:
    """A view that holds something else than a version was trained on. ``before`` is None where that version did not
    read it, ``after`` where it is not read any more."""

    view: str
    before: ViewNow | None
    after: ViewNow | None


class FileChange(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True)
class CodeMoved:
    """Code that is another than a version was trained with. ``files`` are those that differ, by path; None where it is
    not on record which."""

    before: str
    after: str
    files: Mapping[str, FileChange] | None


@dataclass(frozen=True)
class Nearness:
    """In what a version differs from what git asks for. ``fields`` and ``code`` are None where it is not on record how
    it was trained; then ``parameters`` are those of its trainer, and its seed, that are known to differ. An empty
    ``code`` is no difference. ``data`` is None where a view is not there to be compared, or the version has no record
    of what it read. ``workload``: fields and code are the same, and still it would be trained in another way, by
    another version of mlopsctl."""

    model: ModelVersion
    fields: tuple[FieldDiff, ...] | None
    code: tuple[CodeMoved, ...] | None
    data: tuple[ViewMoved, ...] | None
    parameters: tuple[FieldDiff, ...] = ()
    workload: bool = False

    @property
    def distance(self) -> tuple[int, int]:
        """How far it is: what is not on record counts before anything that differs."""
        parts = (self.fields, self.code, self.data)
        known = sum(len(part or ()) for part in parts)
        return sum(part is None for part in parts), known + len(self.parameters) + self.workload


@dataclass(frozen=True)
class TrainingOutlook:
    """What would come of one training job. ``build`` names what would be trained, empty where that cannot be told.
    ``version`` is what exists already, for a hit, and ``failed`` says which of the commit's gates it fails; ``newer``
    are the views that have moved on since it was trained, for which alone nothing is trained. ``waits_for`` are the
    views that are not published. ``nearest`` is the version that differs least, None where there is none."""

    ref: Ref
    word: Training
    build: str = ""
    version: ModelVersion | None = None
    failed: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()
    waits_for: tuple[Ref, ...] = ()
    nearest: Nearness | None = None


def nearest(found: Iterable[Nearness]) -> Nearness | None:
    """The one that differs least; of several the first, so give the newest first."""
    return min(found, key=lambda one: one.distance, default=None)


def files_moved(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, FileChange]:
    """Files whose names of content differ, by path.

    >>> {path: str(how) for path, how in files_moved({"a.py": "1", "b.py": "2"}, {"b.py": "3", "c.py": "4"}).items()}
    {'a.py': 'removed', 'b.py': 'changed', 'c.py': 'added'}
    """
    changes: dict[str, FileChange] = {}
    for path in sorted({*before, *after}):
        if path not in after:
            changes[path] = FileChange.REMOVED
        elif path not in before:
            changes[path] = FileChange.ADDED
        elif before[path] != after[path]:
            changes[path] = FileChange.CHANGED
    return changes


def views_moved(before: Mapping[str, ViewNow], after: Mapping[str, ViewNow]) -> tuple[ViewMoved, ...]:
    """The views that hold something else, sorted."""
    moved = []
    for view in sorted({*before, *after}):
        old, new = before.get(view), after.get(view)
        if old is None or new is None or not old.read.holds(new.read):
            moved.append(ViewMoved(view, old, new))
    return tuple(moved)
