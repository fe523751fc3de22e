"""A git repository as the source of specs and code: read from the object database, never checked out.

Only plumbing that reads objects is run. Settings of the machine and of the user are kept out, nothing is asked of a
person, nothing is fetched, and every name is checked before git sees it.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO, Any, NamedTuple

from framework import storage
from framework.api import layout
from framework.api.errors import ConfigurationError, SpecError, TerminalError, TransientError
from framework.ports import Blob, CodeRef, SpecSource
from framework.specs import words
from framework.specs.code import parent_inits
from framework.specs.positions import MAX_BYTES
from framework.specs.tree import archive, inside
from framework.specs.worktree import refused_link, refused_submodule

TIMEOUT_SECONDS = 60.0
MAX_ARCHIVE_BYTES = 256 << 20

_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+#=@~^-]{0,254}")
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SYMLINK, _SUBMODULE, _EXECUTABLE = "120000", "160000", "100755"
_CHUNK = 1 << 16


class _Entry(NamedTuple):
    mode: str
    type: str
    sha: str
    size: int
    path: str


class GitSource:
    """A SpecSource over the repository that ``root`` lies in. Paths are relative to ``root``, which may be a folder of
    a larger repository. ``read`` gives at most 1 MiB + 1 byte of a file: enough to see that it is too large."""

    def __init__(self, root: str | Path, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._root = Path(root).resolve()
        self._timeout = timeout_seconds
        self._children = lru_cache(maxsize=2048)(self._read_children)

    # -- SpecSource --------------------------------------------------------------------------------------------------

    def resolve(self, revision: str) -> str:
        """The full commit SHA of a branch, tag or SHA.

        Raises:
            ConfigurationError: no repository, no commit yet, or an unknown or unsafe name.
        """
        if _REVISION.fullmatch(revision) is None or ".." in revision or "@{" in revision:
            raise ConfigurationError(f"{words.shorten(revision)!r} is not the name of a branch, a tag or a commit")
        status, output, _ = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        commit = output.decode("ascii", "replace").strip()
        if status == 0 and _SHA.fullmatch(commit):
            return commit
        names = self._names()
        if not names:
            raise ConfigurationError(f"the git repository at {self._root} has no commit yet")
        near = words.nearest(revision, names)
        guess = f"; did you mean {near!r}?" if near else ""
        raise ConfigurationError(f"the repository at {self._root} has no commit, branch or tag {revision!r}{guess}")

    def blobs(self, commit: str, folder: str) -> Sequence[Blob]:
        """Regular files below ``folder`` (or the one file it names), sorted by path.

        Raises:
            SpecError: symlinks or submodules lie below it.
        """
        return [Blob(entry.path, entry.sha) for entry in self._files(commit, inside(folder))]

    def read(self, blobs: Iterable[Blob]) -> Mapping[str, bytes]:
        """Bytes by blob SHA, in one pass over the object database."""
        return self._contents({blob.sha for blob in blobs}, MAX_BYTES + 1)

    def tree_digest(self, commit: str, folder: str) -> str | None:
        path = inside(folder)
        if not path:
            status, output, _ = self._run("rev-parse", "--verify", "--quiet", f"{self._at(commit)}:{self._prefix}")
            return output.decode("ascii").strip() if status == 0 else None
        parent, _, name = path.rpartition("/")
        entry = self._children(commit, parent).get(name)
        return entry.sha if entry is not None and entry.mode not in {_SYMLINK, _SUBMODULE} else None

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

    def subject(self, commit: str) -> str:
        """The first line of a commit's message."""
        _, output, _ = self._run(
            "log", "-1", "--format=%s", "--no-show-signature", "--end-of-options", self._at(commit)
        )
        return output.decode("utf-8", "replace").strip()

    # -- trees -------------------------------------------------------------------------------------------------------

    def _files(self, commit: str, path: str) -> list[_Entry]:
        entries = self._list(commit, path, "-r", "-l")
        problems = [refused_link(entry.path) for entry in entries if entry.mode == _SYMLINK]
        problems += [refused_submodule(entry.path) for entry in entries if entry.mode == _SUBMODULE]
        if problems:
            raise SpecError(problems)
        return sorted(entries, key=lambda entry: entry.path)

    def _read_children(self, commit: str, folder: str) -> Mapping[str, _Entry]:
        entries = self._list(commit, f"{folder}/" if folder else "")
        return {entry.path.rpartition("/")[2]: entry for entry in entries}

    def _list(self, commit: str, path: str, *options: str) -> list[_Entry]:
        full = f"{self._prefix}{path}"
        arguments = [*options, "-z", "--full-tree", "--end-of-options", self._at(commit), *([full] if full else [])]
        status, output, complaint = self._run("ls-tree", *arguments)
        if status != 0:
            raise ConfigurationError(f"commit {commit[:10]} is not in the repository at {self._root}: {complaint}")
        return [self._entry(line) for line in output.split(b"\0") if line]

    def _entry(self, line: bytes) -> _Entry:
        details, _, name = line.partition(b"\t")
        mode, kind, sha, *size = details.decode("ascii").split()
        path = os.fsdecode(name).removeprefix(self._prefix)
        return _Entry(mode, kind, sha, int(size[0]) if size and size[0] != "-" else 0, path)

    def _at(self, commit: str) -> str:
        if _SHA.fullmatch(commit) is None:
            raise ConfigurationError(f"{words.shorten(commit)!r} is not a full commit SHA")
        return commit

    def _names(self) -> list[str]:
        _, output, _ = self._run("for-each-ref", "--count=1000", "--format=%(refname:short)")
        return os.fsdecode(output).split()

    # -- processes ---------------------------------------------------------------------------------------------------

    @cached_property
    def _repository(self) -> Any:
        try:
            import git
        except ImportError as error:
            raise ConfigurationError("the program git is not installed or not on the PATH") from error
        try:
            return git.Repo(self._root, search_parent_directories=True)
        except (git.exc.InvalidGitRepositoryError, git.exc.NoSuchPathError) as error:
            message = f"{self._root} is not inside a git repository; run git init there first"
            raise ConfigurationError(message) from error

    @cached_property
    def _prefix(self) -> str:
        """Of this project inside the repository, with a closing slash; "" at its root."""
        top = self._repository.working_tree_dir
        below = "" if top is None else os.path.relpath(self._root, os.path.realpath(top))
        return "" if below in {"", "."} else f"{below}/"

    @cached_property
    def _environment(self) -> Mapping[str, str]:
        return {
            "GIT_DIR": str(self._repository.git_dir),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "SSH_ASKPASS": "",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_COUNT": "0",
            "GIT_CONFIG_PARAMETERS": "",
            "GIT_NO_REPLACE_OBJECTS": "1",  # a SHA means its own bytes
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALLOW_PROTOCOL": "none",  # older gits know no GIT_NO_LAZY_FETCH
        }

    def _run(self, *arguments: str) -> tuple[int, bytes, str]:
        """(exit status, output, complaint). Raises TransientError when git takes too long."""
        status, output, complaint = self._repository.git.execute(
            ["git", *arguments],
            with_extended_output=True,
            with_exceptions=False,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
            kill_after_timeout=self._timeout,
            env=self._environment,
            shell=False,
        )
        words_of_git = complaint if isinstance(complaint, str) else complaint.decode("utf-8", "replace")
        if status != 0 and words_of_git.startswith("Timeout: "):
            raise TransientError(f"git {arguments[0]} gave no answer within {self._timeout:g} s")
        return int(status), output, words_of_git.strip().removeprefix("fatal: ")

    def _contents(self, shas: set[str], limit: int) -> dict[str, bytes]:
        """The first ``limit`` bytes of each blob."""
        if not shas:
            return {}
        with tempfile.TemporaryFile() as wanted:
            wanted.write("".join(f"{self._at(sha)}\n" for sha in sorted(shas)).encode("ascii"))
            wanted.seek(0)
            process = self._repository.git.execute(
                ["git", "cat-file", "--batch", "--buffer"],
                istream=wanted, as_process=True, env=self._environment, shell=False,
            )  # fmt: skip
            late = threading.Event()

            def give_up() -> None:
                late.set()
                process.proc.kill()

            watchdog = threading.Timer(self._timeout, give_up)
            watchdog.start()
            try:
                found = {sha: _next_blob(process.stdout, sha, limit) for sha in sorted(shas)}
            except EOFError as error:
                if late.is_set():
                    raise TransientError(f"git cat-file gave no answer within {self._timeout:g} s") from error
                raise TransientError(f"an object of {self._root} cannot be read: {error}") from error
            finally:
                watchdog.cancel()
                process.proc.kill()
                process.proc.wait()
                process.stdout.close()
                process.stderr.close()
        return found


def _next_blob(stream: IO[bytes], sha: str, limit: int) -> bytes:
    header = stream.readline().split()
    if len(header) != 3 or header[0].decode("ascii") != sha:
        raise EOFError(f"{sha} is missing" if header[1:] == [b"missing"] else f"no answer for {sha}")
    size = int(header[2])
    data = stream.read(min(size, limit))
    rest = size - len(data) + 1  # the newline after it
    while rest > 0:
        skipped = stream.read(min(rest, _CHUNK))
        if not skipped:
            raise EOFError(f"{sha} ends early")
        rest -= len(skipped)
    return data


class CodeArchive:
    """A CodeStore that publishes archives below an environment's storage, named by content."""

    def __init__(self, source: SpecSource, storage_uri: str) -> None:
        self._source = source
        self._storage = storage_uri
        self._published: set[str] = set()

    def ensure(self, code: CodeRef) -> str:
        """The URI of the archive; written once, whoever asks first.

        Raises:
            TerminalError: the commit has no such folder, or it is too large.
        """
        if _SHA.fullmatch(code.digest) is None:
            raise ConfigurationError(f"{words.shorten(code.digest)!r} does not name code")
        uri = layout.code_archive(self._storage, code.digest)
        if uri not in self._published:
            if storage.read_bytes(uri) is None:
                storage.write_bytes(uri, self._source.archive(code.commit, code.folder))
            self._published.add(uri)
        return uri
