"""A git repository as the source of specs and code: read from the object database, never checked out.

Only plumbing that reads objects is run, and every name is checked before git sees it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO, NamedTuple

from framework.api.errors import ConfigurationError, MlopsError, SpecError, TerminalError
from framework.backends.git.missing import damaged, shallow, unreadable, unresolved
from framework.backends.git.place import GitFolders, find_repository
from framework.backends.git.process import TIMEOUT_SECONDS, Git, checked_revision, checked_sha, is_sha
from framework.backends.git.signatures import Signers
from framework.ports import SUBMODULE, SYMLINK, Blob, CommitInfo, Held, Signature, Sink
from framework.specs.rules.reach import parent_inits
from framework.specs.tree import MAX_ARCHIVE_BYTES, archive, inside
from framework.specs.worktree import refused_link, refused_submodule
from framework.specs.yaml.positions import MAX_BYTES

_EXECUTABLE = "100755"
_CHUNK = 1 << 18
_COPY_SECONDS = 3600.0
"""For the bytes of one file, which may be as large as it likes."""
_PATHS_AT_ONCE = 500
"""More would not fit into the arguments of a process everywhere."""


class Entry(NamedTuple):
    """A line of ``git ls-tree``; ``path`` is relative to the project."""

    mode: str
    type: str
    sha: str
    size: int
    path: str


class GitSource:
    """A Repository over the git repository at ``root``, with a work tree or bare.

    Paths are relative to the project's folder in it: ``folder`` from the top, by default where ``root`` lies below the
    top of the work tree. ``read`` gives at most 1 MiB + 1 byte of a file: enough to see that it is too large.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        folder: str | None = None,
        signers: Signers | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._root = Path(root).resolve()
        self._folder = folder
        self._signers = signers or Signers(None)
        self._timeout = timeout_seconds
        self._children = lru_cache(maxsize=2048)(self._read_children)

    # -- SpecSource --------------------------------------------------------------------------------------------------

    def resolve(self, revision: str) -> str:
        """The full commit SHA of a branch, tag or SHA.

        Raises:
            ConfigurationError: no repository, no commit yet, or an unknown or unsafe name.
            TransientError: the commit is known and cannot be read.
        """
        commit = self.find(checked_revision(revision))
        if commit is None:
            raise unresolved(self.git, self._root, revision)
        return commit

    def blobs(self, commit: str, folder: str) -> Sequence[Blob]:
        """Regular files below ``folder`` (or the one file it names), sorted by path.

        Raises:
            SpecError: symlinks or submodules lie below it.
        """
        return [Blob(entry.path, entry.sha) for entry in self._files(commit, inside(folder), sizes=False)]

    def read(self, blobs: Iterable[Blob]) -> Mapping[str, bytes]:
        """Bytes by blob SHA, in one pass over the object database."""
        return self._contents({blob.sha for blob in blobs}, MAX_BYTES + 1)

    def tree_digest(self, commit: str, folder: str) -> str | None:
        path = inside(folder)
        if not path:
            answer = self.git.run("rev-parse", "--verify", "--quiet", f"{self._at(commit)}:{self.prefix}")
            return answer.text if answer.status == 0 else None
        parent, _, name = path.rpartition("/")
        entry = self._children(commit, parent).get(name)
        return entry.sha if entry is not None and entry.mode not in {SYMLINK, SUBMODULE} else None

    def tree_digests(self, commit: str, paths: Sequence[str]) -> Mapping[str, str | None]:
        """``tree_digest`` of many paths, for the price of a few."""
        wanted = [inside(path) for path in paths]
        found: dict[str, str] = {}
        for start in range(0, len(wanted), _PATHS_AT_ONCE):
            part = [path for path in wanted[start : start + _PATHS_AT_ONCE] if path]
            for entry in self._list(commit, part, "-t") if part else []:  # -t: folders of other paths, too
                if entry.mode not in {SYMLINK, SUBMODULE}:
                    found[entry.path] = entry.sha
        if "" in wanted and (whole := self.tree_digest(commit, "")) is not None:
            found[""] = whole
        return {path: found.get(inside(path)) for path in paths}

    def weight(self, commit: str, folder: str) -> int:
        """Bytes of all files below ``folder``."""
        return sum(entry.size for entry in self._list(commit, inside(folder), "-r", "-l"))

    def archive(self, commit: str, folder: str) -> bytes:
        """A zip of ``folder`` and of the ``__init__.py`` files above it, so that its packages import.

        Raises:
            SpecError: the folder holds symlinks or submodules.
            TerminalError: the commit has no such folder, or it is larger than 256 MiB.
        """
        start = inside(folder)
        entries = list(self._files(commit, start))
        for path in parent_inits(start):
            if self.tree_digest(commit, path) is not None:
                entries += self._files(commit, path)
        if not any(entry.path.startswith(f"{start}/") for entry in entries):
            raise TerminalError("CodeMissing", f"commit {commit[:10]} has no folder {folder}")
        size = sum(entry.size for entry in entries)
        if size > MAX_ARCHIVE_BYTES:
            most = MAX_ARCHIVE_BYTES >> 20
            raise TerminalError("CodeTooLarge", f"{folder} holds {size >> 20} MiB; at most {most} MiB of code travel")
        contents = self._contents({entry.sha for entry in entries}, MAX_ARCHIVE_BYTES)
        return archive({entry.path: (contents[entry.sha], entry.mode == _EXECUTABLE) for entry in entries})

    # -- DataSource --------------------------------------------------------------------------------------------------

    def listing(self, commit: str) -> Sequence[Held]:
        found = [Held(entry.path, entry.sha, entry.mode) for entry in self._list(commit, "", "-r")]
        return sorted(found)

    def sizes(self, shas: Iterable[str]) -> Mapping[str, int]:
        wanted = sorted({checked_sha(sha) for sha in shas})
        if not wanted:
            return {}
        data = "".join(f"{sha}\n" for sha in wanted).encode("ascii")
        answer = self.git.run("cat-file", "--batch-check=%(objectname) %(objectsize)", data=data)
        told = (line.split() for line in answer.text.splitlines())
        found = {name: int(size) for name, size in told if size.isdecimal()}
        lost = next((sha for sha in wanted if sha not in found), None)
        if lost is not None:
            raise damaged(self.git, self._root, "an object", answer.complaint or f"{lost} is missing")
        return found

    def copy(self, sha: str, into: Sink) -> None:
        data = f"{checked_sha(sha)}\n".encode("ascii")
        try:
            with self.git.reading("cat-file", "--batch", data=data, timeout_seconds=_COPY_SECONDS) as stream:
                for part in _pieces(stream, sha):
                    into.write(part)
        except EOFError as error:
            raise damaged(self.git, self._root, "an object", str(error)) from error

    def large_file(self, oid: str) -> str | None:
        folder = self._large_files
        file = folder / oid[:2] / oid[2:4] / oid if folder is not None else None
        return str(file) if file is not None and file.is_file() else None

    @cached_property
    def _large_files(self) -> Path | None:
        """Where git-lfs keeps what pointers name."""
        found = self.git.run("rev-parse", "--git-common-dir")
        return self.git.folder / found.text / "lfs" / "objects" if found.status == 0 else None

    # -- Repository --------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """A local repository is what it is."""

    def info(self, commit: str) -> CommitInfo:
        answer = self.git.run("log", "-1", "--format=%an%x00%ct%x00%s", "--end-of-options", self._at(commit))
        if answer.status != 0:
            raise self._missing(commit, answer.complaint)
        author, seconds, subject = answer.output.decode("utf-8", "replace").rstrip("\n").split("\0")
        return CommitInfo(commit, author, _time(int(seconds)), subject)

    def subject(self, commit: str) -> str:
        """The first line of a commit's message."""
        return self.info(commit).subject

    def descends(self, commit: str, ancestor: str) -> bool:
        """Whether ``ancestor`` is ``commit`` or one of its ancestors. An ancestor that is unknown here: False.

        Raises:
            ConfigurationError: ``commit`` is unknown here, or too little of its history is here to tell.
        """
        if self.find(self._at(commit)) is None:
            raise self._missing(commit)
        if self._has_ancestor(commit, ancestor):
            return True
        if shallow(self.git):
            raise ConfigurationError(
                f"whether commit {commit[:10]} descends from {ancestor[:10]} cannot be told, because the clone at "
                f"{self._root} is shallow; fetch all of it (git fetch --unshallow, or fetch-depth: 0 in a workflow)"
            )
        return False

    def _has_ancestor(self, commit: str, ancestor: str) -> bool:
        """As far as the history is here."""
        return self.git.run("merge-base", "--is-ancestor", checked_sha(ancestor), commit).status == 0

    def signature(self, commit: str) -> Signature:
        """Whether the operator's allowed signers signed it. Raises ConfigurationError for an unknown commit."""
        if self.find(self._at(commit)) is None:
            raise self._missing(commit)
        return self._signers.check(self.git, commit)

    # -- trees -------------------------------------------------------------------------------------------------------

    def entries(self, commit: str, path: str) -> list[Entry]:
        """Everything below a folder, or the one entry that is no folder, links and submodules included."""
        return self._list(commit, inside(path), "-r")

    def _files(self, commit: str, path: str, *, sizes: bool = True) -> list[Entry]:
        """Sizes take far longer than all the rest: git looks each file up."""
        entries = self._list(commit, path, "-r", *(["-l"] if sizes else []))
        problems = [refused_link(entry.path) for entry in entries if entry.mode == SYMLINK]
        problems += [refused_submodule(entry.path) for entry in entries if entry.mode == SUBMODULE]
        if problems:
            raise SpecError(problems)
        return sorted(entries, key=lambda entry: entry.path)

    def _read_children(self, commit: str, folder: str) -> Mapping[str, Entry]:
        entries = self._list(commit, f"{folder}/" if folder else "")
        return {entry.path.rpartition("/")[2]: entry for entry in entries}

    def _list(self, commit: str, paths: str | Sequence[str], *options: str) -> list[Entry]:
        full = [f"{self.prefix}{path}" for path in ([paths] if isinstance(paths, str) else paths)]
        arguments = [*options, "-z", "--full-tree", "--end-of-options", self._at(commit), *filter(None, full)]
        answer = self.git.run("ls-tree", *arguments)
        if answer.status != 0:
            raise self._missing(commit, answer.complaint)
        return [self._entry(line) for line in answer.output.split(b"\0") if line]

    def _entry(self, line: bytes) -> Entry:
        details, _, name = line.partition(b"\t")
        mode, kind, sha, *size = details.decode("ascii").split()
        path = os.fsdecode(name).removeprefix(self.prefix)
        return Entry(mode, kind, sha, int(size[0]) if size and size[0] != "-" else 0, path)

    def find(self, revision: str) -> str | None:
        """The commit of a name that was checked, None where nothing has it."""
        answer = self.git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return answer.text if answer.status == 0 and is_sha(answer.text) else None

    def _at(self, commit: str) -> str:
        return checked_sha(commit)

    def _missing(self, commit: str, complaint: str = "") -> MlopsError:
        return unreadable(self.git, self._root, commit, complaint)

    # -- the repository ----------------------------------------------------------------------------------------------

    @cached_property
    def git(self) -> Git:
        return Git(self._repository.folder, timeout_seconds=self._timeout)

    @cached_property
    def _repository(self) -> GitFolders:
        found = find_repository(self._root)
        if found is None:
            raise ConfigurationError(f"{self._root} is not inside a git repository; run git init there first")
        return found

    @cached_property
    def prefix(self) -> str:
        """Of this project inside the repository, with a closing slash; "" at its root."""
        if self._folder is not None:
            below = inside(self._folder)
        else:
            top = self._repository.top
            below = "" if top is None else os.path.relpath(self._root, top)
        return "" if below in {"", "."} else f"{below}/"

    def _contents(self, shas: set[str], limit: int) -> dict[str, bytes]:
        """The first ``limit`` bytes of each blob."""
        if not shas:
            return {}
        wanted = sorted(checked_sha(sha) for sha in shas)
        data = "".join(f"{sha}\n" for sha in wanted).encode("ascii")
        try:
            with self.git.reading("cat-file", "--batch", "--buffer", data=data) as stream:
                return {sha: _next_blob(stream, sha, limit) for sha in wanted}
        except EOFError as error:
            raise damaged(self.git, self._root, "an object", str(error)) from error


def _time(seconds: int) -> datetime:
    """A committer's clock may say anything, and what it says decides nothing."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC) if seconds > 0 else datetime.min.replace(tzinfo=UTC)


def _blob_size(stream: IO[bytes], sha: str) -> int:
    header = stream.readline().split()
    if len(header) != 3 or header[0].decode("ascii") != sha:
        raise EOFError(f"{sha} is missing" if header[1:] == [b"missing"] else f"{sha} is missing or damaged")
    return int(header[2])


def _pieces(stream: IO[bytes], sha: str) -> Iterator[bytes]:
    rest = _blob_size(stream, sha)
    while rest > 0:
        part = stream.read(min(rest, _CHUNK))
        if not part:
            raise EOFError(f"{sha} ends early")
        rest -= len(part)
        yield part


def _next_blob(stream: IO[bytes], sha: str, limit: int) -> bytes:
    size = _blob_size(stream, sha)
    data = stream.read(min(size, limit))
    rest = size - len(data) + 1  # the newline after it
    while rest > 0:
        skipped = stream.read(min(rest, _CHUNK))
        if not skipped:
            raise EOFError(f"{sha} ends early")
        rest -= len(skipped)
    return data
