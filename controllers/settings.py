"""What the operator sets, apart from git: flags and environment variables."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from framework.api.errors import ConfigurationError


@dataclass(frozen=True)
class Settings:
    """``root`` is the project's folder (a git work tree); ``revision`` what is reconciled, by default the checked-out
    commit. Times are how long the controller waits, not how long work may take."""

    root: Path
    environment: str = "local"
    specs: str = "mlops_specs"
    revision: str = "HEAD"
    workers: int = 4
    poll: timedelta = timedelta(seconds=1)
    resync: timedelta = timedelta(seconds=10)
    lease: timedelta = timedelta(seconds=15)
    allow_prune: bool = False
    keeper: int | None = None
    """A process that the embedded Ray and the background controller must not outlive (``MLOPS_KEEPER``, for tests)."""
    holder: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}")

    @property
    def folder(self) -> Path:
        """What mlopsctl itself keeps for this project; git-ignored."""
        return self.root / ".mlops"


def find_root(start: Path) -> Path:
    """The nearest folder upwards that is a git work tree.

    Raises:
        ConfigurationError: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / ".git").exists():
            return folder
    raise ConfigurationError(f"{start} is not inside a git repository; run git init and commit your specs first")
