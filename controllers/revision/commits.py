"""The repository that is followed, as the controller asks it: what cannot be read now says nothing about any commit."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from controllers.revision.snapshot import Examine, Read, Snapshot, unexamined
from controllers.runtime.trouble import cause
from framework.api.errors import Problem, SpecError
from framework.panics import panics_told
from framework.ports import Repository, Signature


class UnreadableError(Exception):
    """The repository does not give now what was asked for, for whatever ``reason``."""

    def __init__(self, reason: Exception) -> None:
        self.reason = reason
        super().__init__(cause(reason))


@contextmanager
def _asking() -> Iterator[None]:
    """Only what is wrong with a commit itself passes as it is."""
    try:
        with panics_told():
            yield
    except SpecError:
        raise
    except Exception as error:
        raise UnreadableError(error) from error


@dataclass(frozen=True)
class Commits:
    """Every question raises UnreadableError where it cannot be answered."""

    source: Repository
    read: Read
    examine: Examine = unexamined
    _kept: dict[str, Snapshot] = field(default_factory=dict, init=False, repr=False)

    def newest(self, revision: str) -> str:
        """As of now, remote included."""
        with _asking():
            self.source.refresh()
            return self.source.resolve(revision)

    def load(self, commit: str, matter: Collection[str]) -> Snapshot:
        """Read a commit; of those read before, those that ``matter`` are kept. Raises SpecError where it is wrong."""
        found = self._kept.get(commit)
        if found is None:
            with _asking():
                found = self.read(commit)
            for other in self._kept.keys() - set(matter):
                del self._kept[other]
            self._kept[commit] = found
        return found

    def examined(self, before: Snapshot | None, after: Snapshot) -> tuple[Problem, ...]:
        """What speaks against a commit that is valid as it reads."""
        with _asking():
            return self.examine(before, after)

    def descends(self, commit: str, ancestor: str) -> bool:
        with _asking():
            return self.source.descends(commit, ancestor)

    def signature(self, commit: str) -> Signature:
        with _asking():
            return self.source.signature(commit)
