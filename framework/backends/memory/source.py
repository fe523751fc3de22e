"""SpecSource and CodeStore in memory: commits given as dicts of path to text, named as git would name their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from framework.api.errors import ConfigurationError, ConflictError, SpecError, TerminalError
from framework.backends.git.process import checked_branch
from framework.backends.memory.calls import Calls
from framework.ports import SYMLINK, Blob, CodeRef, CommitInfo, Followed, Held, Proposal, Proposed, Signature, Sink
from framework.specs.rules.reach import parent_inits
from framework.specs.tree import archive, blob_sha, inside, tree_sha
from framework.specs.worktree import refused_link


@dataclass(frozen=True)
class SymbolicLink:
    """A symbolic link in a commit: what a spec tree must not hold."""

    target: str


@dataclass(frozen=True)
class _Commit:
    parent: str | None
    files: Mapping[str, str | SymbolicLink]
    message: str = ""


class MemorySource:
    """A Repository and a SpecWriter without a disk. Blobs and trees have git's own SHA-1s for names, so equal content
    has equal names."""

    def __init__(self) -> None:
        self._commits: dict[str, _Commit] = {}
        self._refs: dict[str, str] = {}

    def commit(
        self,
        files: Mapping[str, str | SymbolicLink],
        *,
        branch: str = "main",
        parent: str | None = None,
        message: str = "",
    ) -> str:
        """Record ``files`` as the whole content of a new commit and move ``branch`` to it; returns its SHA.

        ``parent`` defaults to where the branch is. Equal content, parent and message give an equal SHA.
        """
        above = self._refs.get(branch) if parent is None else parent
        text = f"tree {_tree(files)}\nparent {above}\n\n{message}"
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._commits[sha] = _Commit(above, dict(files), message)
        self._refs[branch] = sha
        return sha

    def change(self, files: Mapping[str, str | SymbolicLink | None], *, branch: str = "main", message: str = "") -> str:
        """A commit on top of ``branch`` that sets the given files; None removes one."""
        merged = {**self.files(self.resolve(branch)), **files}
        kept = {path: content for path, content in merged.items() if content is not None}
        return self.commit(kept, branch=branch, message=message)

    def point(self, name: str, commit: str) -> None:
        """Move a branch or tag, as a push (forced or not) would."""
        self._refs[name] = self.resolve(commit)

    def has(self, name: str) -> bool:
        """Whether there is such a branch or tag."""
        return name in self._refs

    def knows(self, commit: str) -> bool:
        return commit in self._commits

    def files(self, commit: str) -> Mapping[str, str | SymbolicLink]:
        return self._at(commit).files

    def parent(self, commit: str) -> str | None:
        return self._at(commit).parent

    def refresh(self) -> None:
        """There is no remote."""

    def info(self, commit: str) -> CommitInfo:
        subject = self._at(commit).message.partition("\n")[0]
        return CommitInfo(commit, "nobody", datetime.fromtimestamp(0, UTC), subject)

    def descends(self, commit: str, ancestor: str) -> bool:
        self._at(commit)
        current: str | None = commit
        while current is not None and current != ancestor:
            current = self._at(current).parent
        return current is not None

    def signature(self, commit: str) -> Signature:
        """Nothing is signed here."""
        self._at(commit)
        return Signature(trusted=False, problem="is not signed")

    def resolve(self, revision: str) -> str:
        sha = self._refs.get(revision, revision)
        self._at(sha)
        return sha

    def blobs(self, commit: str, folder: str) -> Sequence[Blob]:
        found = _below(self._at(commit).files, inside(folder))
        links = [path for path, content in found.items() if isinstance(content, SymbolicLink)]
        if links:
            raise SpecError(refused_link(path) for path in links)
        return tuple(Blob(path, _blob(content)) for path, content in sorted(found.items()))

    def read(self, blobs: Iterable[Blob]) -> Mapping[str, bytes]:
        wanted = {blob.sha for blob in blobs}
        contents = {_blob(text): text for commit in self._commits.values() for text in commit.files.values()}
        return {sha: _bytes(contents[sha]) for sha in wanted}

    def listing(self, commit: str) -> Sequence[Held]:
        files = self._at(commit).files.items()
        return sorted(
            Held(path, _blob(content), SYMLINK) if isinstance(content, SymbolicLink) else Held(path, _blob(content))
            for path, content in files
        )

    def sizes(self, shas: Iterable[str]) -> Mapping[str, int]:
        return {sha: len(data) for sha, data in self.read(Blob("", sha) for sha in shas).items()}

    def copy(self, sha: str, into: Sink) -> None:
        into.write(self.read([Blob("", sha)])[sha])

    def large_file(self, oid: str) -> str | None:
        """There is no disk."""
        return None

    def tree_digest(self, commit: str, folder: str) -> str | None:
        files = self._at(commit).files
        path = inside(folder)
        if path in files:
            return None if isinstance(files[path], SymbolicLink) else _blob(files[path])
        below = _below(files, path)
        start = len(path) + 1 if path else 0
        return _tree({name[start:]: content for name, content in below.items()}) if below else None

    def archive(self, commit: str, folder: str) -> bytes:
        """The folder and the ``__init__.py`` files above it, under their names from the root, so that packages import.

        Raises:
            TerminalError: "CodeMissing" where the commit has no such folder.
        """
        files, start = self._at(commit).files, inside(folder)
        if start in files or not _below(files, start):
            raise TerminalError("CodeMissing", f"commit {commit[:10]} has no folder {folder}")
        paths = [blob.path for blob in self.blobs(commit, start)]
        paths += [path for path in parent_inits(start) if path in files]
        return archive({path: (_bytes(files[path]), False) for path in paths})

    def followed(self) -> Followed:
        return Followed("main")

    def propose(self, proposal: Proposal) -> Proposed:
        """A SpecWriter, too. Nothing is ever checked out here.

        Raises:
            ConflictError: the branch exists, and neither at ``base`` nor at what this proposal made before.
            ConfigurationError: an unsafe name or path, an unknown commit.
        """
        branch, before = checked_branch(proposal.branch), dict(self._at(proposal.base).files)
        after = dict(before)
        for folder, commit in proposal.folders.items():
            start = inside(folder)
            for path in _below(before, start):
                after.pop(path, None)
            after |= _below(self._at(commit).files, start)
        for name, data in proposal.files.items():
            path = inside(name)
            if not path or isinstance(before.get(path), SymbolicLink):
                raise ConfigurationError(f"{name!r} is not a regular file, and is not written to")
            after.pop(path, None)
            if data is not None:
                after[path] = data.decode()
        if after == before:
            return Proposed(proposal.base, branch, pushed=False)
        old = self._refs.get(branch)
        if old is None or old == proposal.base:
            made = self.commit(after, branch=branch, parent=proposal.base, message=proposal.message)
            return Proposed(made, branch, pushed=False)
        if self._commits[old] != _Commit(proposal.base, after, proposal.message):
            raise ConflictError(f"branch {branch!r} is at {old[:10]} and not at {proposal.base[:10]}")
        return Proposed(old, branch, pushed=False)

    def _at(self, sha: str) -> _Commit:
        found = self._commits.get(sha)
        if found is None:
            raise ConfigurationError(f"the repository has no branch, tag or commit {sha!r}")
        return found


class NoWriter:
    """Takes every proposal and writes none: for what is only tried."""

    def followed(self) -> Followed:
        return Followed("main")

    def propose(self, proposal: Proposal) -> Proposed:
        return Proposed(proposal.base, proposal.branch, pushed=False)


class MemoryCode:
    """Archives by digest. Publishing counts as a change, finding one already there does not."""

    def __init__(self, source: MemorySource, calls: Calls | None = None) -> None:
        self._source = source
        self._calls = Calls() if calls is None else calls
        self.published: dict[str, bytes] = {}
        """Archive by URI."""

    def ensure(self, code: CodeRef) -> str:
        uri = f"memory://code/{code.digest}.zip"
        if uri not in self.published:
            self._calls.record("code.ensure", code.digest)
            self.published[uri] = self._source.archive(code.commit, code.folder)
        return uri


def _below(files: Mapping[str, str | SymbolicLink], path: str) -> dict[str, str | SymbolicLink]:
    """The files below a folder, or the one file that ``path`` names."""
    return {name: content for name, content in files.items() if not path or name == path or name.startswith(f"{path}/")}


def _bytes(content: str | SymbolicLink) -> bytes:
    return (content.target if isinstance(content, SymbolicLink) else content).encode()


def _blob(content: str | SymbolicLink) -> str:
    return blob_sha(_bytes(content))


def _tree(files: Mapping[str, str | SymbolicLink]) -> str:
    return tree_sha((path, False, _blob(content)) for path, content in files.items())
