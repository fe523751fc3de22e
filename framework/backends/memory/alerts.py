"""Notifier and ReportStore in memory."""

from __future__ import annotations

from collections.abc import Mapping

from framework.backends.memory.calls import Calls
from framework.backends.state.stored import dump_json
from framework.ports import Alert, Json


class MemoryNotifier:
    """``sent`` holds what was delivered: each alert once per target, episode and state."""

    def __init__(self, calls: Calls | None = None) -> None:
        self._calls = Calls() if calls is None else calls
        self._delivered: set[tuple[str, str, str, str]] = set()
        self.sent: list[tuple[Alert, Mapping[str, Json]]] = []

    def send(self, alert: Alert, target: Mapping[str, Json]) -> None:
        self._calls.record("notifier.send", f"{alert.monitor}/{alert.episode}/{alert.state}")
        key = (dump_json(dict(target)), alert.monitor, alert.episode, alert.state)
        if key not in self._delivered:
            self._delivered.add(key)
            self.sent.append((alert, dict(target)))


class MemoryReports:
    """``pages`` holds the newest HTML by URI."""

    def __init__(self, calls: Calls | None = None) -> None:
        self._calls = Calls() if calls is None else calls
        self.pages: dict[str, str] = {}

    def write(self, uri: str, html: str) -> None:
        self._calls.record("reports.write", uri)
        self.pages[uri] = html
