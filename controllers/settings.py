"""What the operator sets, apart from git: flags and environment variables."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from framework.api.errors import ConfigurationError
from framework.api.places import OWN_FOLDER, SPECS_FOLDER, Premises


@dataclass(frozen=True)
class GitAccess:
    """What is shown to the repository that is followed, and ``author`` in whose name proposals are made."""

    username: str | None = None
    token: str | None = field(default=None, repr=False)
    ssh_key: Path | None = None
    author: str | None = None


@dataclass(frozen=True)
class WebhookAddress:
    """Where to listen for a forge that says that something was pushed; ``secret`` is what it signs with."""

    host: str
    port: int
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """``root`` is the project's folder (a git work tree, unless ``source`` names another repository); ``revision`` what
    is reconciled, by default the checked-out commit. Times are how long the controller waits, not how long work may
    take."""

    root: Path
    environment: str = "local"
    specs: str = SPECS_FOLDER
    revision: str = "HEAD"
    workers: int = 4
    poll: timedelta = timedelta(seconds=1)
    resync: timedelta = timedelta(seconds=10)
    lease: timedelta = timedelta(seconds=15)
    allow_prune: bool = False
    source: str | None = None
    """The address or folder of the repository to follow; None: the one that ``root`` lies in."""
    source_folder: str = ""
    """The project's folder in ``source``."""
    remote_poll: timedelta = timedelta(seconds=15)
    """How often a remote is asked at most."""
    fresh: bool = False
    """Ask the remote before anything is read, where it can be reached. Else what was fetched last will do."""
    starts: bool = False
    """This command may go to work on the environment, wherever the newest commit says that its state and cluster are;
    else it goes by what is in force."""
    allowed_signers: Path | None = None
    """Set: only commits that one of these signed take effect."""
    allow_force_push: bool = False
    git: GitAccess = field(default_factory=GitAccess)
    webhook: WebhookAddress | None = None
    allowed_paths: tuple[str, ...] = ()
    """Folders outside of the project that specs may name for what mlopsctl keeps, and for secrets."""
    creates: bool = True
    """Make the state database where there is none. What only reads makes nothing: it reads that there is nothing."""
    keeper: int | None = None
    """A process that the embedded Ray and the background controller must not outlive (``MLOPS_KEEPER``, for tests)."""
    holder: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}")

    @property
    def follows_here(self) -> bool:
        """Whether what is followed is what is checked out at ``root``."""
        return self.source is None and self.revision == Settings.revision

    @property
    def folder(self) -> Path:
        """What mlopsctl itself keeps for this project; git-ignored."""
        return self.root / OWN_FOLDER

    @property
    def premises(self) -> Premises:
        """What specs may name of this machine."""
        return Premises(str(self.root.resolve()), self.allowed_paths)


def project_folder(start: Path) -> Path:
    """Of a project whose specs come from another repository: the nearest folder upwards where mlopsctl keeps something
    or that holds specs; without one, ``start`` itself."""
    for folder in (start, *start.parents):
        if any((folder / name).is_dir() for name in (OWN_FOLDER, Settings.specs)):
            return folder
    return start


def find_root(start: Path) -> Path:
    """The nearest folder upwards that holds specs, or else the work tree: a project may be a folder of a repository. Of
    one whose repository is gone, the folder where mlopsctl keeps its state.

    Raises:
        ConfigurationError: this is no git work tree, and none that mlopsctl ever worked in.
    """
    specs: Path | None = None
    for folder in (start, *start.parents):
        specs = specs or (folder if (folder / Settings.specs).is_dir() else None)
        if (folder / ".git").exists():
            return specs or folder
    for folder in (start, *start.parents):
        if (folder / ".mlops").is_dir():
            return folder
    raise ConfigurationError(f"{start} is not inside a git repository; run git init and commit your specs first")
