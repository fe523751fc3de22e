"""The files of a source: found, called what a user calls them, and recognised where they are something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from framework import storage
from framework.ports import SourceFile
from framework.workloads.context import WorkloadError

HEAD = 512
"""Bytes by which a file is recognised."""

_NATIVE = frozenset({"s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "adl", "hf"})
"""Schemes that Polars reads itself. A plain web server is not among them: Polars asks for ranges."""

_LFS = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class File:
    """``label`` is the path below the project's root, or the URL."""

    label: str
    uri: str

    @property
    def native(self) -> bool:
        """Whether Polars can open it by its name."""
        return storage.is_local(self.uri) or self.uri.partition("://")[0] in _NATIVE

    @property
    def path(self) -> str:
        """On this machine; empty where it lies elsewhere."""
        return self.uri.removeprefix("file://") if storage.is_local(self.uri) else ""

    def head(self) -> bytes:
        return storage.read_bytes(self.uri, HEAD) or b""

    def read(self, source: str) -> bytes:
        """All of it.

        Raises:
            WorkloadError: "SourceMissing" where it is gone; what ``recognise`` raises.
        """
        data = storage.read_bytes(self.uri)
        if data is None:
            raise WorkloadError("SourceMissing", f"source {source}: {self.label} vanished while it was read")
        self.recognise(source, data)
        return data

    def recognise(self, source: str, data: bytes) -> None:
        """Raise "SourceUnreadable" where the data are not here, but only git's note of where they are."""
        if data.startswith(_LFS):
            told = (
                f"{self.label} is a git-lfs pointer and not the data: run git lfs pull where the project is checked out"
            )
            raise WorkloadError("SourceUnreadable", f"source {source}: {told}")


Files = Mapping[str, Sequence[SourceFile]]
"""By source those that are to be read, and no others."""
NO_FILES: Files = {}


def find(source: str, path: str, root: str) -> tuple[str, list[File]]:
    """The URI that a spec's ``path`` stands for, and the files there.

    Raises:
        WorkloadError: "PathOutsideRoot".
    """
    try:
        uri = storage.resolve_path(path, root)
    except ValueError as error:
        raise WorkloadError("PathOutsideRoot", f"source {source}: {error}") from error
    base = f"{Path(root)}/"
    return uri, [File(item.uri.removeprefix(base), item.uri) for item in storage.match_files(uri)]
