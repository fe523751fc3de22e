"""Whether files still hold what they were asked for with, once they have been read."""

from __future__ import annotations

from framework import storage
from framework.api.errors import TerminalError, TransientError
from framework.ports import FailureKind, MaterializeRequest, SourceFile
from framework.sources import databases
from framework.sources.contents import Contents
from framework.workloads.context import WorkloadError


def ensure_unchanged(asked: MaterializeRequest) -> None:
    """A version is found again by what it was made of, so that has to be what was read.

    Raises:
        WorkloadError: "SourceChanged" with the files (Infrastructure: the next attempt may find them at rest).
    """
    named = ((source, file) for source, files in asked.files.items() for file in files)
    changed = [file.label for source, file in named if not _is_as_named(source, file, asked)]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        told = f"{changed[0]}{more} changed or vanished since it was decided to read it"
        raise WorkloadError("SourceChanged", told, kind=FailureKind.INFRASTRUCTURE)


def _is_as_named(source: str, file: SourceFile, asked: MaterializeRequest) -> bool:
    algorithm = file.digest.partition(":")[0]
    try:
        if algorithm == "delta":
            return True  # a version is read by its number, and stays what it is
        if algorithm == "query":
            return databases.named(asked.spec["sources"][source], asked.root) == file
        found = storage.match_files(file.uri)
        return Contents().of(file.uri, found, "git" if algorithm == "store" else algorithm) == [file.digest]
    except (OSError, TerminalError, TransientError):
        return False
