"""Commits for people to merge, made in the object database: no work tree and no index of theirs is read or written.

The tree is put together in an index of our own, in a temporary folder. A branch moves from what it was to what it is
to be in one step, here or at the remote, and never by force.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from framework.api.errors import ConfigurationError, ConflictError, MlopsError, TransientError
from framework.backends.git.mirror import GitMirror
from framework.backends.git.process import Completed, Git, checked_branch, checked_sha
from framework.backends.git.remote import words_of
from framework.backends.git.source import GitSource
from framework.ports import Followed, Proposal, Proposed
from framework.specs.tree import inside

TRAILER = "Proposed-By: mlopsctl"

_AUTHOR = re.compile(r"(?P<name>[^<>\n\0]*[^<>\s\0]) <(?P<email>[^<>\s\0]+)>")
_TRAILERS = re.compile(r"[A-Za-z0-9-]+: .+")
_NONE, _REGULAR, _LINK, _SUBMODULE = "0", "100644", "120000", "160000"
_USERS_CONFIG: Mapping[str, str | None] = dict.fromkeys(
    ("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_GLOBAL")
)
_LONGEST_MESSAGE = 64 << 10


@dataclass(frozen=True)
class Author:
    name: str
    email: str

    @classmethod
    def parse(cls, text: str) -> Author:
        """``Name <email>``. Raises ConfigurationError."""
        match = _AUTHOR.fullmatch(text.strip())
        if match is None:
            raise ConfigurationError(f"MLOPS_GIT_AUTHOR: {text!r} is not of the form 'Name <email@example.org>'")
        return cls(match["name"], match["email"])


NOBODY = Author("mlopsctl", "mlopsctl@localhost")


class Branches(Protocol):
    """Where proposals go."""

    remote: bool

    def head(self, branch: str) -> str | None: ...

    def doubt(self, revision: str) -> str:
        """Why ``revision`` is nothing that a commit can be put on; empty where nothing is known against it."""
        ...

    def move(self, branch: str, new: str, old: str | None) -> None:
        """From ``old`` (None: it must not exist) to ``new``.

        Raises:
            ConflictError: it is not at ``old``, or somebody works on it.
            ConfigurationError: it may not be moved.
            TransientError: the remote cannot be reached.
        """
        ...


class LocalBranches:
    """Branches of a repository on this machine; none that is checked out in a work tree."""

    remote = False

    def __init__(self, source: GitSource) -> None:
        self._source = source

    def head(self, branch: str) -> str | None:
        return self._source.find(f"refs/heads/{branch}")

    def move(self, branch: str, new: str, old: str | None) -> None:
        git, ref = self._source.git, f"refs/heads/{branch}"
        if self._checked_out(ref):
            raise ConflictError(f"branch {branch!r} is checked out in a work tree; propose to another one")
        expected = old or "0" * len(new)
        answer = git.run("update-ref", "-m", "mlopsctl: propose", ref, new, expected)
        if answer.status != 0:
            if self.head(branch) != old:
                raise ConflictError(f"branch {branch!r} moved meanwhile")
            raise ConfigurationError(f"branch {branch!r} cannot be written: {words_of(answer.complaint)}")

    def doubt(self, revision: str) -> str:
        if revision == "HEAD":
            return "what is followed is the commit that is checked out, and nobody's work tree is written to"
        if self.head(revision) is None:
            return f"{revision!r}, which is followed, is no branch"
        if self._checked_out(f"refs/heads/{revision}"):
            return f"branch {revision!r}, which is followed, is checked out in a work tree"
        return ""

    def _checked_out(self, ref: str) -> bool:
        return f"branch {ref}" in self._source.git.run("worktree", "list", "--porcelain").text.splitlines()


class RemoteBranches:
    """Branches at the remote that a mirror follows."""

    remote = True

    def __init__(self, mirror: GitMirror) -> None:
        self._mirror = mirror

    def head(self, branch: str) -> str | None:
        return self._mirror.head(branch)

    def doubt(self, revision: str) -> str:
        """A mirror follows a branch and nothing else; whether we may push shows when we do."""
        return ""

    def move(self, branch: str, new: str, old: str | None) -> None:
        answer = self._mirror.push(new, branch, old)
        if answer.status != 0:
            raise self._refused(branch, answer)

    def _refused(self, branch: str, answer: Completed) -> MlopsError:
        url = self._mirror.remote.url
        # --porcelain: "!\t<from>:<to>\t[rejected] (stale info)"
        rejected = [line for line in answer.text.splitlines() if line.startswith("!")]
        if not rejected:
            refusal = self._mirror.remote.refusal(answer.complaint)
            denied = ("does not accept", "does not let us in", "wants credentials", "none of our keys")
            if any(sign in refusal for sign in denied):
                return ConfigurationError(f"no right to push: {refusal}")
            return TransientError(refusal)
        reason = rejected[0].rpartition("\t")[2]
        if reason.startswith("[rejected]") or "cannot lock ref" in reason or "failed to update ref" in reason:
            return ConflictError(f"branch {branch!r} of {url} moved meanwhile")
        told = "; ".join(line for line in answer.complaint.splitlines() if line.startswith("remote: "))
        return ConfigurationError(f"{url} does not take branch {branch!r}: {reason}{f'; {told}' if told else ''}")


class GitWriter:
    """A SpecWriter over the repository that ``source`` reads. Runs no hook; signs nothing."""

    def __init__(
        self,
        source: GitSource,
        branches: Branches,
        author: Callable[[], Author],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        revision: str = "HEAD",
        doubt: str = "",
    ) -> None:
        """``revision`` is what is followed, ``doubt`` what else speaks against commits on it."""
        self._source = source
        self._branches = branches
        self._author = author
        self._clock = clock
        self._revision, self._doubt = revision, doubt

    def followed(self) -> Followed:
        return Followed(self._revision, self._doubt or self._branches.doubt(self._revision))

    def propose(self, proposal: Proposal) -> Proposed:
        """See the port. The same proposal again finds the commit that it made.

        Raises:
            ConflictError: the branch is neither new nor at ``base`` nor at what this proposal made before, or it is
                checked out in a work tree.
            ConfigurationError: an unsafe name or path, an unknown commit, no right to push.
            TransientError: the remote cannot be reached.
        """
        branch, base = checked_branch(proposal.branch), checked_sha(proposal.base)
        tree = self._tree(proposal, base)
        if tree == self._tree_of(base):
            return Proposed(base, branch, pushed=False)
        message = _message(proposal.message)
        old = self._branches.head(branch)
        if old is not None and old != base:
            if not self._made(old, tree, base, message):
                raise ConflictError(
                    f"branch {branch!r} is at {old[:10]} and not at {base[:10]}, where this starts from"
                )
            return Proposed(old, branch, pushed=self._branches.remote)
        commit = self._commit(tree, base, message)
        self._branches.move(branch, commit, old)
        return Proposed(commit, branch, pushed=self._branches.remote)

    # -- the tree ----------------------------------------------------------------------------------------------------

    def _tree(self, proposal: Proposal, base: str) -> str:
        prefix, before = self._source.prefix, {entry.path: entry for entry in self._source.entries(base, "")}
        lines: list[bytes] = []
        nothing = "0" * len(base)
        for folder, commit in sorted(proposal.folders.items()):
            start = inside(folder)
            lines += [_entry(_NONE, nothing, prefix + path) for path in before if _below(path, start)]
            entries = self._source.entries(checked_sha(commit), start)
            lines += [_entry(entry.mode, entry.sha, prefix + entry.path) for entry in entries]
        for path, data in sorted(proposal.files.items()):
            full, known = inside(path), before.get(inside(path))
            if not full or (known is not None and known.mode in {_LINK, _SUBMODULE}):
                raise ConfigurationError(f"{path!r} is not a regular file, and is not written to")
            lines.append(_entry(_NONE, nothing, prefix + full))
            if data is not None:
                sha = self._source.git.run("hash-object", "-w", "--stdin", "--no-filters", data=data).text
                lines.append(_entry(known.mode if known else _REGULAR, checked_sha(sha), prefix + full))
        with tempfile.TemporaryDirectory(prefix="mlopsctl-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self._do("read-tree", f"{base}^{{tree}}", environment=index)
            self._do("update-index", "-z", "--index-info", environment=index, data=b"".join(lines))
            return checked_sha(self._do("write-tree", environment=index))

    def _commit(self, tree: str, parent: str, message: bytes) -> str:
        author, when = self._author(), f"{int(self._clock().timestamp())} +0000"
        identity = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", author.name), ("EMAIL", author.email), ("DATE", when))
        }
        return checked_sha(self._do("commit-tree", "-p", parent, "-F", "-", tree, environment=identity, data=message))

    def _made(self, commit: str, tree: str, base: str, message: bytes) -> bool:
        """Whether a commit is what this proposal would make."""
        if self._source.git.run("cat-file", "-e", f"{commit}^{{commit}}").status != 0:
            return False
        header, _, text = self._source.git.run("cat-file", "commit", commit).output.partition(b"\n\n")
        parents = [line for line in header.split(b"\n") if line.startswith((b"tree ", b"parent "))]
        return parents == [f"tree {tree}".encode(), f"parent {base}".encode()] and text == message

    def _tree_of(self, commit: str) -> str:
        return checked_sha(self._do("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{tree}}"))

    def _do(self, *arguments: str, environment: Mapping[str, str] | None = None, data: bytes | None = None) -> str:
        answer = self._source.git.run(*arguments, environment=environment, data=data)
        if answer.status != 0 or answer.complaint:  # a path that git keeps for itself is left out with a word only
            raise ConfigurationError(f"the proposal cannot be written: {words_of(answer.complaint)}")
        return answer.text


def configured_author(git: Git) -> Author:
    """Whom the user's own git would name, from their config; else a name that says that nobody did."""
    found = [git.run("config", "--get", key, environment=_USERS_CONFIG).text for key in ("user.name", "user.email")]
    try:
        return Author.parse("{} <{}>".format(*found))
    except ConfigurationError:
        return NOBODY


def _message(text: str) -> bytes:
    """As git keeps it, with a last line that says where it is from."""
    lines = [line.rstrip() for line in text.strip().replace("\0", "").splitlines()]
    if not lines or len(text) > _LONGEST_MESSAGE:
        raise ConfigurationError("a proposal needs a message, of at most 64 KiB")
    last = lines[len(lines) - next((n for n, line in enumerate(reversed(lines)) if not line), len(lines)) :]
    trailers = len(last) < len(lines) and all(_TRAILERS.fullmatch(line) for line in last)
    if TRAILER not in last:
        lines += [TRAILER] if trailers else ["", TRAILER]
    return ("\n".join(lines) + "\n").encode()


def _below(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")


def _entry(mode: str, sha: str, path: str) -> bytes:
    return f"{mode} {sha}\t".encode() + os.fsencode(path) + b"\0"
