"""TrackingMirror in memory."""

from __future__ import annotations

from collections.abc import Mapping

from framework.ports import TrackedVersion


class MemoryMirror:
    """``versions`` and ``aliases`` hold what is there, in the order in which it came. Raises ``failure`` while it is
    set."""

    def __init__(self) -> None:
        self.versions: dict[str, TrackedVersion] = {}
        self.aliases: dict[str, dict[str, str]] = {}
        self.failure: Exception | None = None

    def put(self, version: TrackedVersion) -> None:
        self._answer()
        self.versions.setdefault(version.label, version)

    def name(self, training: str, aliases: Mapping[str, str | None]) -> None:
        self._answer()
        known = self.aliases.setdefault(training, {})
        for alias, version in aliases.items():
            if version is None:
                known.pop(alias, None)
            elif f"{training}@{version}" in self.versions:
                known[alias] = version

    def _answer(self) -> None:
        if self.failure is not None:
            raise self.failure
