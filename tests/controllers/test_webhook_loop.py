"""A signed call makes a controller that would wait for long look at once."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from controllers.host.passes import serve
from controllers.runtime.door import RETRY_SECONDS, Door
from controllers.runtime.webhook import WebhookReceiver
from controllers.settings import WebhookAddress
from tests.controllers.test_passes import project
from tests.world import World

SECRET = "0123456789abcdef-s3cr3t"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def knock(port: int, secret: str) -> int:
    shown = hmac.new(secret.encode(), b"{}", hashlib.sha256).hexdigest()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/hooks/git", b"{}", {"X-Gitea-Signature": shown})
    return connection.getresponse().status


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def test_a_push_is_taken_up_when_the_forge_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    world, port, stop = World(), free_port(), threading.Event()
    world.resign()
    hurried: list[bool] = []
    made = project(world)
    settings = replace(made.settings, poll=timedelta(hours=1), webhook=WebhookAddress("127.0.0.1", port, SECRET))
    made = replace(made, settings=settings, hurry=lambda: hurried.append(True))
    controller = threading.Thread(target=serve, args=(made, stop, lambda result: None))
    controller.start()
    try:
        assert eventually(lambda: bool(world.ports.state.revisions()))
        commit = world.ports.source.change({"README.md": "new"})
        assert knock(port, "the wrong secret of a caller") == 401
        assert hurried == []
        assert knock(port, SECRET) == 202
        assert eventually(lambda: world.ports.state.revisions(1)[0].commit == commit)
        assert hurried == [True]
    finally:
        stop.set()
        knock(port, SECRET)
        controller.join(30)
    with pytest.raises(ConnectionRefusedError):
        knock(port, SECRET)


def test_an_address_that_is_taken_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    seconds = [0.0]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        made = Door(lambda: WebhookReceiver("127.0.0.1", port, SECRET, lambda: None), lambda: seconds[0])
        with made:
            for _ in range(3):
                seconds[0] += RETRY_SECONDS
                made.keep_open()
            assert caplog.text.count("cannot listen on") == 1
            taken.close()
            made.keep_open()
            with pytest.raises(ConnectionRefusedError):
                knock(port, SECRET)
            seconds[0] += RETRY_SECONDS
            made.keep_open()
            assert knock(port, SECRET) == 202
    with pytest.raises(ConnectionRefusedError):
        knock(port, SECRET)
