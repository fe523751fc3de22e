"""A repository elsewhere as the source: one branch of it, in a bare shallow repository of our own.

The mirror is a cache and may be lost at any time. It starts with one commit; older ones are brought in when they are
asked for, and only as history of the branch that is followed: a forge gives out the commits of every fork to whoever
knows their names.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from framework.api.errors import ConfigurationError, MlopsError, TransientError
from framework.api.nearest import did_you_mean
from framework.backends.git.process import TIMEOUT_SECONDS, Completed, Git, checked_branch, checked_revision, is_sha
from framework.backends.git.remote import Remote
from framework.backends.git.signatures import Signers
from framework.backends.git.source import GitSource
from framework.ports import Blob
from framework.specs.language import words

log = logging.getLogger(__name__)
Found = TypeVar("Found")

FETCH_SECONDS = 300.0
ASK_SECONDS = 40.0
MOST_SET_ASIDE = 3

_HEX = re.compile(r"[0-9a-f]{7,64}")
_FIRST, _NEXT = "--depth=1", "--depth=64"
_DEEPER = ("--deepen=64", "--deepen=1024", "--unshallow")
_KEEPING = {
    # What was in force once may be asked for again after a forced push: nothing is ever thrown away.
    "core.logAllRefUpdates": "always",
    "gc.reflogExpire": "never",
    "gc.reflogExpireUnreachable": "never",
    "gc.pruneExpire": "never",
    "gc.autoDetach": "false",
    "maintenance.autoDetach": "false",
}


class GitMirror(GitSource):
    """A Repository over ``branch`` of ``remote``, kept at ``folder`` (a git directory that is ours alone).

    ``refresh`` asks the remote at most once per ``interval``, unless ``hurry`` was called since. Threads and processes
    may share the folder. ``project`` is the project's folder in the repository.
    """

    def __init__(
        self,
        folder: Path,
        remote: Remote,
        branch: str,
        *,
        project: str = "",
        signers: Signers | None = None,
        interval: timedelta = timedelta(0),
        clock: Callable[[], float] = time.monotonic,
        timeout_seconds: float = TIMEOUT_SECONDS,
        fetch_seconds: float = FETCH_SECONDS,
    ) -> None:
        super().__init__(folder, folder=project, signers=signers, timeout_seconds=timeout_seconds)
        self.remote = remote
        self.branch = checked_branch(branch)
        self._interval = interval.total_seconds()
        self._clock = clock
        self._fetch_seconds = fetch_seconds
        self._looked: float | None = None
        self._present: set[str] = set()
        self._suspect = self._made = False
        self._turn = threading.Lock()

    # -- Repository --------------------------------------------------------------------------------------------------

    def resolve(self, revision: str) -> str:
        """The commit of the branch as of the last ``refresh``, or one of its ancestors by SHA or as ``main~2``.

        Raises:
            ConfigurationError: an unknown or unsafe name, or a commit that the branch does not have.
            TransientError: nothing was fetched yet and the remote cannot be reached.
        """
        name = checked_revision(revision)
        if not self.known():
            self._look()
        start = re.split(r"[~^]", name)[0]
        if start in {"HEAD", self.branch}:
            name = f"refs/heads/{self.branch}{name[len(start) :]}"
        elif _HEX.fullmatch(start) is None:
            raise ConfigurationError(
                f"{words.shorten(revision)!r} is not followed; name a commit of branch {self.branch!r} of {self._url}"
            )
        commit = self._search(lambda: self.find(name))
        if commit is None:
            raise ConfigurationError(f"branch {self.branch!r} of {self._url} has no commit {words.shorten(revision)!r}")
        return commit

    def refresh(self) -> None:
        """Bring in what is new at the remote.

        Raises:
            TransientError: it cannot be reached, it refuses us, or it lost the branch; what is here stays.
            ConfigurationError: it never had the branch.
        """
        now = self._clock()
        if self._looked is None or now - self._looked >= self._interval:
            self._looked = now
            self._look()

    def hurry(self) -> None:
        """Let the next ``refresh`` ask the remote, however soon it comes."""
        self._looked = None

    def known(self) -> bool:
        """Whether there is something to go on with while the remote is away."""
        self._made = self._made or self._ours()
        return self._made and self._here() is not None

    def descends(self, commit: str, ancestor: str) -> bool:
        newest = self._at(commit)
        return self._search(lambda: self._has_ancestor(newest, ancestor) or None) is not None

    def read(self, blobs: Iterable[Blob]) -> dict[str, bytes]:
        try:
            return dict(super().read(blobs))
        except TransientError:
            self._suspect = True  # an object is missing that was here: the next refresh looks closer
            raise

    # -- the remote --------------------------------------------------------------------------------------------------

    def head(self, branch: str) -> str | None:
        """Where a branch is at the remote now, None where it is not. Raises TransientError."""
        return self._heads(f"refs/heads/{branch}").get(branch)

    def push(self, commit: str, branch: str, old: str | None) -> Completed:
        """Move a branch at the remote, which must still stand at ``old`` (None: not exist)."""
        ref = f"refs/heads/{branch}"
        return self.git.run(
            "push", "--porcelain", "--no-verify", "--no-follow-tags", f"--force-with-lease={ref}:{old or ''}",
            "--end-of-options", self._url, f"{commit}:{ref}",
            access=self.remote.access, timeout_seconds=self._fetch_seconds,
        )  # fmt: skip

    def _heads(self, *patterns: str) -> dict[str, str]:
        answer = self.git.run(
            "ls-remote", "--quiet", "--end-of-options", self._url, *(patterns or ("refs/heads/*",)),
            access=self.remote.access, timeout_seconds=min(ASK_SECONDS, self._fetch_seconds),
        )  # fmt: skip
        if answer.status != 0:
            raise TransientError(self.remote.refusal(answer.complaint))
        lines = (line.split("\t", 1) for line in answer.output.decode("utf-8", "replace").splitlines())
        return {name.removeprefix("refs/heads/"): sha for sha, name in lines if is_sha(sha)}

    def _look(self) -> None:
        """Ask where the branch is, and fetch it where that is news."""
        with self._alone():
            self._prepare()
            newest = self.head(self.branch)
            if newest is None:
                raise self._no_branch()
            if self._suspect:
                self._replaced()
                self._suspect = False
            if newest == self._here():
                return
            try:
                self._bring_in()
            except TransientError:
                if not self._replaced():
                    raise
                self._bring_in()

    def _bring_in(self) -> None:
        """The branch as it is at the remote, forced pushes included: what to do about those is for others to decide."""
        depth = (_FIRST,) if self._here() is None else (_NEXT,) if self._shallow() else ()
        self._fetch(*depth, into=f"+refs/heads/{self.branch}:refs/heads/{self.branch}")

    def _no_branch(self) -> MlopsError:
        if self._here() is not None:
            return TransientError(f"{self._url} has no branch {self.branch!r} any more")
        names = self._heads()
        known = f" (it has: {', '.join(sorted(names)[:5])})" if names else ""
        guess = did_you_mean(self.branch, names) or known
        return ConfigurationError(f"{self._url} has no branch {self.branch!r}{guess}")

    def _fetch(self, *depth: str, into: str) -> None:
        log.info("fetching %s of %s %s", self.branch, self._url, " ".join(depth))
        answer = self.git.run(
            "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", *depth,
            "--end-of-options", self._url, into,
            access=self.remote.access.and_settings(_KEEPING), timeout_seconds=self._fetch_seconds,
        )  # fmt: skip
        if answer.status != 0:
            raise TransientError(self.remote.refusal(answer.complaint))

    def _search(self, find: Callable[[], Found | None]) -> Found | None:
        """What ``find`` finds, with as much of the branch's history as that takes."""
        found = find()
        for step in _DEEPER:
            if found is not None or not self._shallow():
                break
            with self._alone():
                if self._shallow():  # nobody else brought it in meanwhile
                    self._fetch(step, into=f"refs/heads/{self.branch}")
            found = find()
        return found

    # -- the folder --------------------------------------------------------------------------------------------------

    @cached_property
    def git(self) -> Git:
        return Git(self._root, timeout_seconds=self._timeout)

    def _at(self, commit: str) -> str:
        sha = super()._at(commit)
        if sha not in self._present:
            if self._search(lambda: self.find(sha)) is None:
                raise self._missing(sha)
            self._present.add(sha)
        return sha

    def _missing(self, commit: str, complaint: str = "") -> MlopsError:
        if complaint:  # it was here: the next refresh looks closer
            self._suspect = True
            return TransientError(f"commit {commit[:10]} cannot be read from the mirror {self._root}: {complaint}")
        return ConfigurationError(f"commit {commit[:10]} is not on branch {self.branch!r} of {self._url}")

    @property
    def _url(self) -> str:
        return self.remote.url

    def _here(self) -> str | None:
        return self.find(f"refs/heads/{self.branch}")

    def _shallow(self) -> bool:
        return (self._root / "shallow").exists()

    def _ours(self) -> bool:
        """Whether the folder is a mirror of this remote."""
        if not (self._root / "HEAD").exists():
            return False
        return self.git.run("config", "--local", "--get", "mlops.source").text == self._url

    def _prepare(self) -> None:
        if self._ours():
            self._unlock()
            return
        if self._root.exists():
            self._set_aside(f"is not one of {self._url}")
        self._root.mkdir(parents=True)
        for arguments in (
            ("init", "--quiet", "--bare", "--template=", "--initial-branch=main"),
            ("config", "--local", "mlops.source", self._url),
        ):
            answer = self.git.run(*arguments)
            if answer.status != 0:
                raise TransientError(f"the mirror {self._root} cannot be made: {answer.complaint}")

    def _unlock(self) -> None:
        """Locks that a git left which was killed: nobody else is at work here now."""
        for name in ("shallow.lock", "config.lock", "packed-refs.lock", f"refs/heads/{self.branch}.lock"):
            (self._root / name).unlink(missing_ok=True)

    def _replaced(self) -> bool:
        """Put a damaged mirror aside and begin a new one; False where it is whole."""
        answer = self.git.run("fsck", "--no-dangling", "--no-progress", timeout_seconds=self._fetch_seconds)
        if answer.status == 0:
            return False
        log.error("the mirror %s is damaged: %s", self._root, answer.complaint)
        self._set_aside("is damaged")
        self._prepare()
        return True

    def _set_aside(self, why: str) -> None:
        """Under another name, for a person to look at or to remove; never removed here.

        Raises:
            TransientError: that happened so often that the disk must be looked at first.
        """
        for number in range(1, MOST_SET_ASIDE + 1):
            kept = self._root.with_name(f"{self._root.name}.aside-{number}")
            if not kept.exists():
                log.warning("the mirror %s %s; it is kept as %s", self._root, why, kept)
                os.rename(self._root, kept)
                self._present.clear()
                self._made = False
                return
        raise TransientError(
            f"the mirror {self._root} {why}, as were {MOST_SET_ASIDE} before it; remove {self._root.name}.aside-* "
            "when you have looked at the disk"
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One thread of one process at a time changes the folder."""
        with self._turn:
            try:
                self._root.parent.mkdir(parents=True, exist_ok=True)
                with open(self._root.with_name(f"{self._root.name}.lock"), "wb") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    yield
            except OSError as error:
                raise TransientError(f"the mirror {self._root} cannot be written: {error.strerror}") from error
