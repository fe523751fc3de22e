"""What the rows of a FeatureView are read from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from framework.api.hashes import text_hash
from framework.api.meta import Stored
from framework.ports.json import Json
from framework.ports.verbs import changes

Sources = Mapping[str, Mapping[str, Json]]
"""The ``sources`` of a spec, as JSON by alias."""


def names_are_data(options: Json) -> bool:
    """Whether a reader with such ``options`` takes values from the names of its files."""
    return isinstance(options, dict) and bool(options.get("hivePartitioning"))


class SourcePath(NamedTuple):
    """A path of the project, patterns included, at which a source has its files. ``named``: their names are data."""

    source: str
    path: str
    named: bool = False


class SourceFile(Stored):
    """A file that is read. ``label`` is its path below the project's root, or its URL; ``size`` is in bytes, None where
    nobody tells; ``uri`` is where it is read, empty while nobody has looked.

    ``digest`` names what it holds: ``git:`` and git's own name of its bytes, whether git tracks it or not; ``md5:`` or
    ``sha256:`` and what a pointer to it says; ``store:`` and what a remote store says of it; ``delta:``, the version of
    a table and the id of that; ``query:`` and a hash of what names the rows of a database.
    """

    label: str
    digest: str
    size: int | None = None
    uri: str = ""


class FileList(Stored):
    """Files of a source, of which ``files`` are the first; ``size`` of all is None where that of one is not known."""

    count: int = 0
    size: int | None = 0
    files: tuple[SourceFile, ...] = ()

    @property
    def whole(self) -> bool:
        return len(self.files) == self.count

    def first(self, most: int) -> FileList:
        """The same, with fewer names."""
        return self.model_copy(update={"files": self.files[:most]})


def file_list(files: Sequence[SourceFile], most: int) -> FileList:
    """The first ``most`` of ``files``, without where they lay, and how many there are in all."""
    sizes = [file.size for file in files]
    kept = tuple(file.model_copy(update={"uri": ""}) for file in files[:most])
    return FileList(
        count=len(files), size=None if None in sizes else sum(size or 0 for size in sizes), files=kept
    )  # fmt: skip


@dataclass(frozen=True)
class SourceData:
    """What sources hold, by source and in the order in which it is read. ``digest`` are 16 hex characters that name all
    of it: where it lies does not count, except for the ``named``, whose names are data. Empty where nothing is read
    from files."""

    files: Mapping[str, tuple[SourceFile, ...]] = field(default_factory=dict)
    digest: str = ""


def source_data(files: Mapping[str, Sequence[SourceFile]], named: Iterable[str] = ()) -> SourceData:
    """``named``: the sources whose files' names are data."""
    by_name = frozenset(named)
    parts: list[Json] = [
        [source, [[file.label, file.digest] if source in by_name else file.digest for file in found]]
        for source, found in sorted(files.items())
    ]
    held = {source: tuple(found) for source, found in files.items()}
    return SourceData(held, text_hash(json.dumps(parts), 16) if parts else "")


class SourceCatalog(Protocol):
    """What sources hold at a commit: files that git tracks as the commit has them, all others as they lie at ``root``,
    the project's folder, or at their URL. ``commit`` may be the work tree."""

    def held(self, sources: Sources, root: str, commit: str) -> SourceData:
        """What there is to read, named. Files that a commit only points to need not be here.

        Raises:
            TerminalError: "SourceMissing" with the path, "PathOutsideRoot", "SourceNotInGit", "DriverMissing",
                "BadAddress".
            TransientError: a store does not answer, a file cannot be read, or changes while it is.
        """
        ...

    def located(self, data: SourceData, sources: Sources, root: str, commit: str) -> SourceData:
        """The same with the ``uri`` of each file that is to be read. A folder that a commit points to comes as its
        files. Reads what lies here as far as nobody has yet; writes nothing.

        Raises:
            TerminalError: what ``held`` raises; "SourceNotHere" where what a commit points to has to be fetched first.
        """
        ...

    @changes
    def export(self, files: Iterable[SourceFile]) -> None:
        """Put those that :meth:`located` places in the environment's storage there, unless they are; some that nobody
        asked for lately go.

        Raises:
            TransientError: the repository or the storage does not answer.
        """
        ...
