"""Reading the counters that routers leave in an environment's storage, one file a replica."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from framework.ports import Failure, Recent, ReplicaCounters, VersionCounters
from framework.storage import DamagedFileError, list_files, read_json

log = logging.getLogger(__name__)

Replicas = Sequence[Mapping[str, Any]]
"""Router replicas as one answer of Serve lists them."""

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
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


def router_replicas(
    written: Iterable[Mapping[str, Any]], running: Replicas, generation: int
) -> tuple[ReplicaCounters, ...]:
    """Every router replica that counts: those that Serve lists, and the counts that replicas now gone left behind.

    ``written`` are the replicas' files, ``running`` Serve's list, ``generation`` that of the table in force.
    A listed replica without a file has acknowledged nothing: it may be sending by an older table. One that is being
    stopped counts too, as it may still wait for answers. A file without a listed replica is that of a dead one, which
    sends nothing any more and so has acknowledged every table; its counts stay. Where none is listed, nobody has taken
    the table yet, so the dead speak for what they took alone. Files are matched to replicas by the pid that a replica's
    name begins with; of several files with that pid, the one that was started last.
    """
    files = {item["replica"]: item for item in written}
    listed = listed_of(files, running)
    silent = [
        ReplicaCounters(f"starting-{replica['replica_id']}", 0, _NEVER, {})
        for replica, own in zip(running, listed, strict=True)
        if own is None
    ]
    spoken = [
        _router_replica(item, item["generation"] if name in listed or not running else generation)
        for name, item in sorted(files.items())
    ]
    return (*spoken, *silent)


def _router_replica(item: Mapping[str, Any], generation: int) -> ReplicaCounters:
    versions = {app: _version_counters(counts) for app, counts in item["versions"].items()}
    return ReplicaCounters(item["replica"], generation, datetime.fromisoformat(item["written"]), versions)


def _version_counters(counts: Mapping[str, Any]) -> VersionCounters:
    """Routers of an earlier version know nothing of the last three."""
    return VersionCounters(
        requests=counts["requests"],
        errors=counts["errors"],
        shielded=counts["shielded"],
        latency_buckets=tuple(counts["latency_buckets"]),
        refused=counts.get("refused", 0),
        recent=Recent(**counts.get("recent", {})),
        failures=tuple(
            Failure(**{**failure, "last": datetime.fromisoformat(failure["last"])})
            for failure in counts.get("failures", ())
        ),
    )


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
    """Its router writes the whole of it again within a second."""
    try:
        content: Mapping[str, Any] | None = read_json(file)
        if content is not None:
            _router_replica(content, content["generation"])
            _pid(content["replica"]), started(content["replica"])
    except (DamagedFileError, LookupError, ValueError, TypeError, AttributeError) as error:
        log.warning("the counters in %s cannot be read, and are left out: %s", file, error)
        return None
    return content
