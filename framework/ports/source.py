"""Where specs and code come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from framework.ports.verbs import changes


@dataclass(frozen=True)
class Blob:
    """One file of a commit. ``sha`` names its bytes; ``data`` is read on demand through the source."""

    path: str
    sha: str


class Held(NamedTuple):
    """Something that a commit holds, a link or a submodule included: ``mode`` is git's. ``sha`` names the bytes of a
    file, the target of a link, or the commit of a submodule."""

    path: str
    sha: str
    mode: str = "100644"


SYMLINK, SUBMODULE = "120000", "160000"
"""Modes of what is no regular file."""


@dataclass(frozen=True)
class CommitInfo:
    """Who made a commit, when (the committer's time) and what its first line says."""

    sha: str
    author: str
    time: datetime
    subject: str


@dataclass(frozen=True)
class Signature:
    """Whether a commit is signed by somebody whom the operator trusts. ``problem`` says why not."""

    trusted: bool
    signer: str = ""
    problem: str = ""


class SpecSource(Protocol):
    """A git repository, read from the object database without a checkout. Commits are full SHAs, paths relative to the
    project. Each verb raises ConfigurationError for a commit that is unknown here, and TransientError for one that is
    known and cannot be read now."""

    def resolve(self, revision: str) -> str:
        """The commit SHA of a branch, tag or SHA. Raises ConfigurationError for an unknown or unsafe name."""
        ...

    def blobs(self, commit: str, folder: str) -> Sequence[Blob]:
        """Regular files below ``folder``, sorted by path. Symlinks and submodules raise SpecError."""
        ...

    def read(self, blobs: Iterable[Blob]) -> Mapping[str, bytes]:
        """Bytes by blob SHA; of one that is too large to be a spec only so many that this shows."""
        ...

    def tree_digest(self, commit: str, folder: str) -> str | None:
        """The git tree SHA of a folder (or blob SHA of a file), None where the commit has none."""
        ...

    def archive(self, commit: str, folder: str) -> bytes:
        """A zip of ``folder`` at ``commit``; equal trees give equal bytes. Raises SpecError where links or submodules
        lie in it, TerminalError where the commit has no such folder or it is larger than 256 MiB."""
        ...


class Sink(Protocol):
    """What bytes are written to."""

    def write(self, data: bytes, /) -> object:
        """Take the next bytes. Raises OSError where they find no room."""
        ...


class DataSource(Protocol):
    """Data files of commits: there may be many, and each as large as it likes. Raises as :class:`SpecSource` does."""

    def listing(self, commit: str) -> Sequence[Held]:
        """All that the project holds at ``commit``, sorted by path. Takes a moment where there is much."""
        ...

    def sizes(self, shas: Iterable[str]) -> Mapping[str, int]:
        """Bytes by blob SHA."""
        ...

    def read(self, blobs: Iterable[Blob]) -> Mapping[str, bytes]:
        """The first MiB of each, by blob SHA."""
        ...

    def copy(self, sha: str, into: Sink) -> None:
        """Write the bytes of a blob, a piece at a time."""
        ...

    def large_file(self, oid: str) -> str | None:
        """Where git-lfs keeps the file of that SHA-256 on this machine, whose bytes nobody has looked at; None where it
        has none."""
        ...


class Repository(SpecSource, DataSource, Protocol):
    """What else the controller asks of the repository it follows."""

    def refresh(self) -> None:
        """Bring in what is new at the remote; nothing to do for a local repository. Raises TransientError."""
        ...

    def info(self, commit: str) -> CommitInfo:
        """Who made it, when, and its first line."""
        ...

    def descends(self, commit: str, ancestor: str) -> bool:
        """Whether ``ancestor`` is ``commit`` or one of its ancestors. An ancestor that is unknown here: False."""
        ...

    def signature(self, commit: str) -> Signature:
        """Whether one of the operator's allowed signers has signed it; where there is no signature, that is the
        ``problem``."""
        ...


@dataclass(frozen=True)
class CodeRef:
    """User code that a workload imports: one folder at a commit. ``digest`` (40 hex characters) names what of it
    counts: ``files``, where they are known."""

    commit: str
    folder: str
    digest: str
    files: tuple[str, ...] = field(default=(), compare=False)


class CodeStore(Protocol):
    """Where workloads fetch user code from."""

    @changes
    def ensure(self, code: CodeRef) -> str:
        """Publish the archive, unless it is there; returns the URI that runs and replicas use, named by the digest of
        the code. Raises what :meth:`SpecSource.archive` raises, and OSError while the storage does not answer."""
        ...


@dataclass(frozen=True)
class Proposal:
    """A commit to make on top of ``base``: ``files`` are set (None removes one), ``folders`` become what they are at
    the commit that is named for each. Paths are relative to the project's root."""

    base: str
    branch: str
    message: str
    files: Mapping[str, bytes | None] = field(default_factory=dict)
    folders: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Proposed:
    """``pushed`` tells whether the branch is at the remote already; ``commit`` is ``base`` where nothing differs."""

    commit: str
    branch: str
    pushed: bool


@dataclass(frozen=True)
class Followed:
    """What the controller follows, as a branch to put a commit on. ``problem`` says why none can be, as far as that
    shows without trying."""

    branch: str
    problem: str = ""


class SpecWriter(Protocol):
    """Writes commits, mostly for people to merge. Never touches a work tree or an index of theirs."""

    def followed(self) -> Followed:
        """Whether a commit can be put on what is followed. Asks no remote."""
        ...

    @changes
    def propose(self, proposal: Proposal) -> Proposed:
        """Make the commit on its branch, a new one or one that still stands at ``base``, and push it where the source
        is a remote.

        Raises:
            ConflictError: the branch moved meanwhile, or the branch is checked out in the work tree.
            ConfigurationError: an unsafe name, no right to push.
        """
        ...
