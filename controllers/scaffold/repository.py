"""The git repository of a new project: found, made, and given its first commit. No other command writes here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from framework.api.errors import ConfigurationError

BRANCH = "main"
STAND_IN = ("-c", "user.name=mlopsctl init", "-c", "user.email=mlopsctl@localhost")
"""Who committed, where git does not know who is asking."""

_SECONDS = 60.0


def top_of(folder: Path) -> Path | None:
    """The work tree that ``folder``, which need not exist yet, lies in."""
    return next((place for place in (folder, *folder.parents) if (place / ".git").exists()), None)


def create(folder: Path) -> None:
    """Raises ConfigurationError when git cannot."""
    _git(folder, "init", "--quiet", f"--initial-branch={BRANCH}")


def has_commits(folder: Path) -> bool:
    return _ask(folder, "rev-parse", "--verify", "--quiet", "HEAD") is not None


def commit(folder: Path, paths: Iterable[str], message: str) -> tuple[str, bool]:
    """Commit exactly these files, whatever the user's own ignore rules say of them.

    Returns:
        The commit's SHA, and whether git knew who is committing.

    Raises:
        ConfigurationError: git refused, e.g. because of a hook; the files stay.
    """
    listed = "\0".join(paths)
    _git(folder, "add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul", text=listed)
    known = _ask(folder, "var", "GIT_AUTHOR_IDENT") is not None
    identity = () if known else STAND_IN
    _git(folder, *identity, "commit", "--quiet", "--message", message, "--pathspec-from-file=-", "--pathspec-file-nul",
         text=listed)  # fmt: skip
    return _git(folder, "rev-parse", "HEAD"), known


def _ask(folder: Path, *arguments: str) -> str | None:
    try:
        return _git(folder, *arguments)
    except ConfigurationError:
        return None


def _git(folder: Path, *arguments: str, text: str = "") -> str:
    """Standard output. A surrounding git command's variables (GIT_DIR, GIT_INDEX_FILE, ...) are kept out: they would
    point at another repository."""
    environment = {name: value for name, value in os.environ.items() if not _redirects(name)}
    command = ["git", "--literal-pathspecs", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, input=text, capture_output=True, text=True, timeout=_SECONDS, check=False,
            env={**environment, "GIT_TERMINAL_PROMPT": "0"},
        )  # fmt: skip
    except FileNotFoundError as error:
        raise ConfigurationError("the program git is not installed or not on the PATH") from error
    except subprocess.TimeoutExpired as error:
        raise ConfigurationError(f"git gave no answer within {_SECONDS:g} s: git {' '.join(arguments)}") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().removeprefix("fatal: ")
        raise ConfigurationError(f"git {arguments[0]} in {folder}: {words}")
    return done.stdout.strip()


def _redirects(name: str) -> bool:
    return name in {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY",
                    "GIT_COMMON_DIR", "GIT_NAMESPACE"}  # fmt: skip
