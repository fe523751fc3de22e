"""What a workload is given by the runner, and how it fails on purpose."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from framework import storage
from framework.api.hashes import text_hash
from framework.ports import FailureKind


class WorkloadError(Exception):
    """A failure with a cause that can be named. ``reason`` is a CamelCase constant, ``data`` the numbers behind it."""

    def __init__(
        self, reason: str, message: str, *, kind: FailureKind = FailureKind.USER, data: Mapping[str, Any] | None = None
    ):
        super().__init__(message)
        self.reason = reason
        self.kind = kind
        self.data = dict(data or {})

    def __reduce__(self) -> tuple[Callable[..., WorkloadError], tuple[str, str]]:
        """Errors travel between processes, and by default an exception is rebuilt from its message alone."""
        return partial(type(self), kind=self.kind, data=self.data), (self.reason, str(self))


@dataclass(frozen=True)
class RunContext:
    """One attempt of one run. ``folder`` outlives attempts: checkpoints written there are found by the next one."""

    name: str
    attempt: int
    payload: Mapping[str, Any]
    storage: str
    folder: str
    metadata: Mapping[str, str]
    progress: Callable[[float | None, str], None]
    """(fraction done in 0..1 or None, what is happening now)"""

    @property
    def scratch(self) -> Path:
        """A place on this machine for files of this run alone; an attempt finds there what the one before left."""
        if storage.is_local(self.folder):
            return Path(self.folder.removeprefix("file://")) / "scratch"
        return Path(tempfile.gettempdir()) / f"mlopsctl-{text_hash(self.folder, 16)}"
