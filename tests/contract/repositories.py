"""Real git repositories for tests, written without a checkout and without the machine's settings."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from framework.backends.memory import SymbolicLink

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z",
}


def stand_in(program: str, script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on ``script`` of a shell is what runs as ``program``; it lies in ``folder``."""
    file = folder / "bin" / program
    file.parent.mkdir()
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{file.parent}:{os.environ['PATH']}")


class Repository:
    """A repository in a new folder. Its files exist in the object database only."""

    def __init__(self, folder: Path, *, bare: bool = False) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main", *(["--bare"] if bare else []))

    def git(self, *arguments: str, data: bytes = b"") -> str:
        """The output of a git command, stripped."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            input=data,
            env={**inherited, **ENVIRONMENT},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def commit(
        self, files: Mapping[str, str | bytes | SymbolicLink], message: str = "a commit", *, branch: str = "main"
    ) -> str:
        """A commit on top of ``branch`` whose whole content is ``files``; its SHA."""
        known = self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        stream = [_line(f"commit refs/heads/{branch}"), _line("committer Ada <ada@example.org> 1700000000 +0000")]
        stream += [_data(message.encode())]
        stream += [_line(f"from {known}")] if known else []
        stream += [_line("deleteall")]
        for path, content in files.items():
            mode, data = ("120000", content.target) if isinstance(content, SymbolicLink) else ("100644", content)
            stream += [_line(f"M {mode} inline {path}"), _data(data if isinstance(data, bytes) else data.encode())]
        self.git("fast-import", "--quiet", "--force", data=b"".join(stream))
        return self.git("rev-parse", f"refs/heads/{branch}")

    def force(self, commit: str, *, branch: str = "main") -> None:
        """Move a branch as a forced push would."""
        self.git("update-ref", f"refs/heads/{branch}", commit)

    def head(self, branch: str) -> str | None:
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}") or None

    def parent(self, commit: str) -> str | None:
        return self.git("log", "-1", "--format=%P", commit) or None

    def files(self, commit: str) -> dict[str, str]:
        """Path -> text of a commit's regular files."""
        names = self.git("ls-tree", "-r", "--name-only", "-z", commit).split("\0")
        return {name: self.git("cat-file", "blob", f"{commit}:{name}") + "\n" for name in names if name}


def _line(text: str) -> bytes:
    return f"{text}\n".encode()


def _data(content: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(content), content)
