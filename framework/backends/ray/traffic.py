"""Reading the counters that routers leave in an environment's storage, one file a replica."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from framework.storage import list_files, read_json

log = logging.getLogger(__name__)

Replicas = Sequence[Mapping[str, Any]]
"""Router replicas as one answer of Serve lists them."""

_REPLICA = re.compile(r"\d+-\d+")


class CounterFiles:
    """What a replica that is gone has left never changes. So each such file is read until a second answer of Serve has
    not listed its replica either, because the first may have been older than the replica, and is then remembered:
    routers come and go, and all that ever were count.
    """

    def __init__(self) -> None:
        self._folders: dict[str, _Folder] = {}

    def read(self, folder: str, running: Replicas) -> list[Mapping[str, Any]]:
        """Every replica's file directly below ``folder``; what cannot be read is left out, and counts for nothing."""
        known = self._folders.setdefault(folder, _Folder())
        files = {PurePosixPath(file).stem: file for file in list_files(folder) if file.endswith(".json")}
        replicas = [name for name in files if _REPLICA.fullmatch(name)]
        listed = set(listed_of(replicas, running))
        found = [(name, known.left.get(name) or _content(files[name])) for name in replicas]
        for name, content in found:
            if name in listed:
                known.missed.pop(name, None)
            elif content is not None and known.missed.setdefault(name, running) is not running:
                known.left[name] = content
        return [content for _, content in found if content is not None]

    def forget(self, folder: str) -> None:
        """Nothing is there any more."""
        self._folders.pop(folder, None)


@dataclass
class _Folder:
    """By replica: the answer of Serve that did not list it first, and what it has left for good."""

    missed: dict[str, Replicas] = field(default_factory=dict)
    left: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def listed_of(replicas: Iterable[str], running: Replicas) -> list[str | None]:
    """Of ``replicas``, named ``<pid>-<start>``, the one that each of ``running`` is; None where none is. Of several
    with that pid, it is the one that was started last."""
    waiting = sorted(replicas, key=started, reverse=True)
    found: list[str | None] = []
    for item in running:
        own = next((replica for replica in waiting if _pid(replica) == item.get("pid")), None)
        if own is not None:
            waiting.remove(own)
        found.append(own)
    return found


def started(replica: str) -> int:
    return int(replica.partition("-")[2])


def _pid(replica: str) -> int:
    return int(replica.partition("-")[0])


def _content(file: str) -> Mapping[str, Any] | None:
    try:
        content = read_json(file)
    except ValueError as error:
        log.warning("the counters in %s cannot be read, and are left out: %s", file, error)
        return None
    return (
        content
        if isinstance(content, dict) and {"replica", "generation", "written", "versions"} <= set(content)
        else None
    )
