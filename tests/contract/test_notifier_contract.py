from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import pytest

from framework.api.places import Premises
from framework.backends.memory import MemoryNotifier
from framework.backends.notify import Notifications
from framework.ports import Json
from tests.contract.suites.notifier import NotifierContract, NotifierWorld


class TestMemoryNotifier(NotifierContract):
    @pytest.fixture
    def world(self) -> NotifierWorld:
        notifier = MemoryNotifier()

        def received(target: Mapping[str, Json]) -> Sequence[Mapping[str, Json]]:
            return [vars(alert) | {"time": alert.time.isoformat()} for alert, where in notifier.sent if where == target]

        return NotifierWorld(lambda: notifier, received, ({"file": "a.jsonl"}, {"file": "b.jsonl"}))


class TestFileNotifier(NotifierContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> NotifierWorld:
        def received(target: Mapping[str, Json]) -> Sequence[Mapping[str, Json]]:
            return [json.loads(line) for line in (tmp_path / target["file"]).read_text().splitlines()]

        return NotifierWorld(
            lambda: Notifications(Premises(str(tmp_path)), str(tmp_path / "markers")),
            received,
            ({"file": "alerts.jsonl", "webhook": None}, {"file": "deep/folder/alerts.jsonl"}),
        )


class TestWebhookNotifier(NotifierContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> NotifierWorld:
        posted: defaultdict[str, list[Mapping[str, Json]]] = defaultdict(list)

        def answer(request: httpx.Request) -> httpx.Response:
            posted[str(request.url)].append(json.loads(request.read()))
            return httpx.Response(204)

        def received(target: Mapping[str, Json]) -> Sequence[Mapping[str, Json]]:
            return posted[target["webhook"]["url"]]

        targets = tuple({"webhook": {"url": f"https://hooks.invalid/{name}"}, "file": None} for name in ("a", "b"))
        transport = httpx.MockTransport(answer)
        return NotifierWorld(
            lambda: Notifications(Premises(str(tmp_path)), str(tmp_path / "markers"), transport=transport),
            received,
            (targets[0], targets[1]),
        )
