"""The one way git is run: settings of the machine and of the user kept out, nothing asked of a person, nothing reached
that the caller did not allow, and never for longer than a given time.

GitPython starts the processes. Its own timeout looks for the children of git by their parent; here the whole session
ends, so that no transport can hold the pipes open. Names that come from outside are checked before git sees them.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from framework.api.errors import ConfigurationError, TransientError
from framework.specs.language import words

TIMEOUT_SECONDS = 60.0
NO_FILE = os.devnull

_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+#=@~^-]{0,254}")
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+#=@-]{0,199}")
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

_KEPT = frozenset({"GIT_EXEC_PATH", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"})
"""Of the variables git reads: where this machine has git and the certificates it trusts."""

_ENVIRONMENT = {
    "LC_ALL": "C",  # what it complains about is read here
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": NO_FILE,
    "GIT_CONFIG_GLOBAL": NO_FILE,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",  # a SHA means its own bytes
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # older gits know no GIT_NO_LAZY_FETCH
}

_SETTINGS = {
    "core.hooksPath": NO_FILE,
    "core.fsmonitor": "false",
    "credential.helper": "",
    "submodule.recurse": "false",
    "log.showSignature": "false",
}
"""Stronger than what the repository's own config says: of what git may run by itself, nothing is run."""


@dataclass(frozen=True)
class Access:
    """What one remote needs beyond the rest. ``secrets`` never show in what git complains about."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def and_settings(self, more: Mapping[str, str]) -> Access:
        return replace(self, settings={**self.settings, **more})


OFFLINE = Access()


@dataclass(frozen=True)
class Completed:
    status: int
    output: bytes
    complaint: str
    """What git said on standard error: secrets and control characters taken out."""

    @property
    def text(self) -> str:
        return self.output.decode("utf-8", "replace").strip()


_NO_GIT = "the program git is not installed or not on the PATH"


class Git:
    """git on the repository whose git directory is ``folder``."""

    def __init__(self, folder: Path, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.folder = folder
        self._timeout = timeout_seconds

    @cached_property
    def _driver(self) -> Any:
        return git_python().Git(self.folder)

    def run(
        self,
        *arguments: str,
        data: bytes | None = None,
        access: Access = OFFLINE,
        environment: Mapping[str, str | None] | None = None,
        timeout_seconds: float | None = None,
    ) -> Completed:
        """Run a command to its end, with ``data`` on standard input. ``environment`` comes on top of what every git
        gets; None leaves a variable as the user has it.

        Raises:
            TransientError: it took too long.
            ConfigurationError: there is no git.
        """
        limit = self._timeout if timeout_seconds is None else timeout_seconds
        with _input(data) as stream:
            process = self._start(arguments, stream, access, environment or {})
            try:
                output, complaint = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired as error:
                raise TransientError(f"git {arguments[0]} gave no answer within {limit:g} s") from error
            finally:
                _close(process)
        if process.returncode == 127:  # env found no program
            raise ConfigurationError(_NO_GIT)
        return Completed(process.returncode, output, _readable(complaint, access.secrets))

    @contextlib.contextmanager
    def reading(self, *arguments: str, data: bytes, timeout_seconds: float | None = None) -> Iterator[IO[bytes]]:
        """The output of a command while it runs. Ends it when the block ends.

        Raises:
            TransientError: it took too long, seen by the block as an early end of the stream (EOFError).
        """
        late, limit = threading.Event(), self._timeout if timeout_seconds is None else timeout_seconds
        with _input(data) as stream:
            process = self._start(arguments, stream, OFFLINE, {})

            def give_up() -> None:
                late.set()
                _end(process)

            watchdog = threading.Timer(limit, give_up)
            watchdog.start()
            try:
                yield process.stdout
            except EOFError as error:
                if late.is_set():
                    raise TransientError(f"git {arguments[0]} gave no answer within {limit:g} s") from error
                raise
            finally:
                watchdog.cancel()
                _close(process)

    def _start(
        self, arguments: tuple[str, ...], stream: Any, access: Access, environment: Mapping[str, str | None]
    ) -> Any:
        given = {**_ENVIRONMENT, **_as_variables({**_SETTINGS, **access.settings}), **access.environment, **environment}
        given["GIT_DIR"] = str(self.folder)
        values = {name: value for name, value in given.items() if value is not None}
        foreign = [name for name in os.environ if _foreign(name) and name not in given]
        # GitPython adds to the environment and takes nothing away; env(1) does, and then becomes git.
        command = ["env", *(part for name in sorted(foreign) for part in ("-u", name)), "git", *arguments]
        try:
            started = self._driver.execute(
                command, istream=stream, as_process=True, env=values, shell=False, start_new_session=True
            )
        except git_python().GitCommandNotFound as error:  # not even env
            raise ConfigurationError(_NO_GIT) from error
        process = started.proc
        started.proc = None  # ended here, and not whenever the wrapper is collected
        return process


def git_python() -> Any:
    """The package, loaded when it is needed, whatever its own variables say."""
    os.environ["GIT_PYTHON_REFRESH"] = "quiet"  # it need not find a git: it is told which program to run
    import git

    return git


def checked_revision(name: str) -> str:
    """A branch, tag, SHA or path from one (``main~2``) that git can only read as such. Raises ConfigurationError."""
    if _REVISION.fullmatch(name) is None or ".." in name or "@{" in name:
        raise ConfigurationError(f"{words.shorten(name)!r} is not the name of a branch, a tag or a commit")
    return name


def checked_branch(name: str) -> str:
    """The name of a branch, by git's own rules and a few of ours. Raises ConfigurationError."""
    parts = name.split("/")
    wrong = (
        _BRANCH.fullmatch(name) is None
        or ".." in name
        or "@{" in name
        or name in {"HEAD", "@"}
        or _SHA.fullmatch(name) is not None
        or any(not part or part.startswith((".", "-")) or part.endswith((".", ".lock")) for part in parts)
    )
    if wrong:
        raise ConfigurationError(f"{words.shorten(name)!r} is not a name for a branch")
    return name


def checked_sha(commit: str) -> str:
    """A full SHA. Raises ConfigurationError."""
    if not is_sha(commit):
        raise ConfigurationError(f"{words.shorten(commit)!r} is not a full commit SHA")
    return commit


def is_sha(text: str) -> bool:
    return _SHA.fullmatch(text) is not None


def variables() -> dict[str, str]:
    """The environment of a git that is started without GitPython, which takes as long to load as a short command takes
    altogether. It finds the repository that it is started in."""
    kept = {name: value for name, value in os.environ.items() if not _foreign(name)}
    return {**kept, **_ENVIRONMENT, **_as_variables(_SETTINGS)}


def _foreign(name: str) -> bool:
    """What git must not inherit: its own switches (a hook sets some), and secrets of ours."""
    return (name.startswith("GIT_") and name not in _KEPT) or name.startswith("MLOPS_")


def _as_variables(settings: Mapping[str, str]) -> dict[str, str]:
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for index, (key, value) in enumerate(settings.items()):
        found[f"GIT_CONFIG_KEY_{index}"], found[f"GIT_CONFIG_VALUE_{index}"] = key, value
    return found


@contextlib.contextmanager
def _input(data: bytes | None) -> Iterator[IO[bytes] | None]:
    """A file and no pipe: git may read it whenever it likes."""
    if data is None:
        yield None
        return
    with tempfile.TemporaryFile() as stream:
        stream.write(data)
        stream.seek(0)
        yield stream


def _end(process: Any) -> None:
    """End git and whatever it started; a process that has ended is left alone."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _close(process: Any) -> None:
    _end(process)
    process.stdout.close()
    process.stderr.close()


def _readable(complaint: bytes, secrets: tuple[str, ...]) -> str:
    text = complaint.decode("utf-8", "replace")
    for secret in secrets:
        text = text.replace(secret, "***")
    lines = ("".join(sign for sign in line if sign.isprintable()).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line).removeprefix("fatal: ")
