"""The webhook's door over real sockets: who is let in, and that nobody can hold it open."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from controllers.runtime.webhook import MAX_BODY, MAX_CONNECTIONS, Tally, WebhookReceiver
from framework.api.errors import ConfigurationError

SECRET = "0123456789abcdef-s3cr3t"
BODY = b'{"ref": "refs/heads/main", "note": "b0dy"}'


@dataclass
class Door:
    port: int
    woken: list[float] = field(default_factory=list)

    def call(
        self,
        body: bytes = BODY,
        *,
        method: str = "POST",
        path: str = "/hooks/git",
        **headers: str,
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            assert answer.read() == b""
            return answer
        finally:
            connection.close()

    def raw(self, text: bytes) -> socket.socket:
        caller = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        caller.sendall(text)
        return caller


@pytest.fixture
def door() -> Iterator[Door]:
    found = Door(0)
    webhook = WebhookReceiver("127.0.0.1", 0, SECRET, lambda: found.woken.append(time.monotonic()), seconds=1.0)
    host, found.port = webhook.start()
    assert host == "127.0.0.1"
    yield found
    webhook.stop()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", found.port), timeout=1)
    webhook.stop()


def signature(body: bytes = BODY, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_a_signed_call_wakes_and_so_does_its_repetition(door: Door) -> None:
    for count in (1, 2):
        assert door.call(X_Hub_Signature_256=f"sha256={signature()}").status == 202
        assert len(door.woken) == count


@pytest.mark.parametrize("name", ["X_Gitea_Signature", "X_Forgejo_Signature"])
def test_gitea_and_forgejo_sign_in_their_own_way(door: Door, name: str) -> None:
    assert door.call(BODY, **{name: signature()}).status == 202
    assert len(door.woken) == 1


def test_an_empty_body_may_be_signed_too(door: Door) -> None:
    assert door.call(b"", X_Hub_Signature_256=f"sha256={signature(b'')}").status == 202


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X_Hub_Signature_256": ""},
        {"X_Hub_Signature_256": "sha256="},
        {"X_Hub_Signature_256": signature()},
        {"X_Hub_Signature_256": f"sha256={signature(secret='another secret of 16')}"},
        {"X_Hub_Signature_256": f"sha256={signature(BODY + b' ')}"},
        {"X_Hub_Signature_256": f"sha256={signature().upper()}"},
        {"X_Hub_Signature_256": f"sha1={signature()}"},
        {"X_Hub_Signature_256": "sha256=\xe9", "X_Gitea_Signature": signature()},
        {"X_Hub_Signature": f"sha256={signature()}"},
        {"X_Gitea_Signature": f"sha256={signature()}"},
        {"X_Gitlab_Token": SECRET},
        {"Authorization": f"Bearer {SECRET}"},
    ],
)
def test_a_call_without_the_right_signature_is_turned_away(door: Door, headers: dict[str, str]) -> None:
    answer = door.call(BODY, **headers)
    assert (answer.status, answer.reason) == (401, "Unauthorized")
    assert door.woken == []


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/healthz", 200, None),
        ("HEAD", "/healthz", 200, None),
        ("POST", "/healthz", 405, "GET, HEAD"),
        ("GET", "/hooks/git", 405, "POST"),
        ("PUT", "/hooks/git", 405, "POST"),
        ("DELETE", "/hooks/git", 405, "POST"),
        ("GET", "/", 404, None),
        ("POST", "/", 404, None),
        ("POST", "/hooks/git/", 404, None),
        ("POST", "/hooks/git?x=1", 404, None),
        ("GET", "/../etc/passwd", 404, None),
        ("BREW", "/hooks/git", 501, None),
    ],
)
def test_other_ways_in(door: Door, method: str, path: str, status: int, allow: str | None) -> None:
    answer = door.call(BODY if method != "HEAD" else b"", method=method, path=path, X_Gitea_Signature=signature())
    assert (answer.status, answer.headers.get("Allow")) == (status, allow)
    assert answer.headers.get("Server") is None
    assert door.woken == []


def test_a_large_body_is_not_even_read(door: Door) -> None:
    with door.raw(b"POST /hooks/git HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 1)) as caller:
        assert caller.recv(100).startswith(b"HTTP/1.0 413 ")
    body = b"x" * MAX_BODY
    assert door.call(body, X_Gitea_Signature=signature(body)).status == 202


@pytest.mark.parametrize(
    "headers",
    [b"", b"Content-Length: -1\r\n", b"Content-Length: 1e3\r\n", b"Content-Length: \xc2\xb2\r\n",
     b"Transfer-Encoding: chunked\r\n", b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"],
)  # fmt: skip
def test_a_body_of_unknown_length_is_refused(door: Door, headers: bytes) -> None:
    with door.raw(b"POST /hooks/git HTTP/1.1\r\n" + headers + b"\r\n") as caller:
        assert caller.recv(100).startswith(b"HTTP/1.0 411 ")


@pytest.mark.parametrize(
    "text", [b"\r\n\r\n", b"GET\r\n\r\n", b"\xff\xfe\x00\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"x" * 70_000]
)
def test_what_is_no_http_is_answered_shortly_or_not_at_all(door: Door, text: bytes) -> None:
    with door.raw(text) as caller:
        answer = b""
        with contextlib.suppress(OSError):  # who does not answer may have hung up already
            caller.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: caller.recv(4096), b""))
    assert len(answer) < 200
    assert b"<" not in answer
    assert door.call(method="GET", path="/healthz").status == 200


def test_who_is_slow_is_cut_off_however_often_a_byte_comes(door: Door) -> None:
    """Each byte comes in time for a reader that only waits for the next one."""
    start = time.monotonic()
    with door.raw(b"POST /hooks/git HTTP/1.1\r\n") as caller:
        caller.settimeout(0.1)
        while time.monotonic() - start < 8:
            try:
                caller.sendall(b"X")
                if caller.recv(10) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    assert time.monotonic() - start < 4
    assert door.woken == []


def test_a_body_that_does_not_come_is_not_waited_for(door: Door) -> None:
    start = time.monotonic()
    head = b"POST /hooks/git HTTP/1.1\r\nContent-Length: 100\r\nX-Gitea-Signature: %b\r\n\r\n" % signature().encode()
    with door.raw(head + BODY) as caller:
        assert caller.recv(100) == b""
    assert time.monotonic() - start < 4
    assert door.woken == []


def test_callers_who_take_their_time_make_room_for_a_signed_call(door: Door) -> None:
    idle = [door.raw(b"POST /hooks/git HTTP/1.1\r\n") for _ in range(MAX_CONNECTIONS)]
    for count in range(1, 6):
        assert door.call(X_Gitea_Signature=signature()).status == 202
        assert len(door.woken) == count
    for caller in idle:
        caller.close()


def test_slow_callers_who_come_again_and_again_keep_no_signed_call_out(door: Door) -> None:
    ended = threading.Event()

    def come_again() -> None:
        while not ended.is_set():
            with contextlib.suppress(OSError), door.raw(b"POST /hooks/git HTTP/1.1\r\n") as caller:
                caller.recv(1)

    callers = [threading.Thread(target=come_again) for _ in range(MAX_CONNECTIONS + 16)]
    for caller in callers:
        caller.start()
    try:
        for _ in range(10):
            assert door.call(X_Gitea_Signature=signature()).status == 202
            time.sleep(0.05)
    finally:
        ended.set()
        for caller in callers:
            caller.join(10)


def test_where_there_are_too_many_who_has_most_of_them_loses_one(door: Door) -> None:
    """Wherever the system has more than one address to come from."""
    first = door.raw(b"POST /hooks/git HTTP/1.1\r\n")
    try:
        others = [
            socket.create_connection(("127.0.0.1", door.port), timeout=10, source_address=("127.0.0.2", 0))
            for _ in range(2 * MAX_CONNECTIONS)
        ]
    except OSError:
        pytest.skip("this machine has one loopback address")
    head = b"Content-Length: %d\r\nX-Gitea-Signature: %b\r\n\r\n" % (len(BODY), signature().encode())
    first.sendall(head + BODY)
    assert first.recv(100).startswith(b"HTTP/1.0 202 ")
    for caller in (first, *others):
        caller.close()


def test_a_head_without_an_end_is_refused(door: Door) -> None:
    with door.raw(b"POST /hooks/git HTTP/1.1\r\n" + b"X: %b\r\n" % (b"x" * 1000) * 20) as caller:
        assert caller.recv(100).startswith(b"HTTP/1.0 431 ")
    assert door.call(method="GET", path="/healthz").status == 200


def test_a_long_head_before_a_long_body_is_fine(door: Door) -> None:
    body = b"x" * MAX_BODY
    assert door.call(body, X_Padding="x" * 15_000, X_Gitea_Signature=signature(body)).status == 202


def test_what_was_turned_away_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    seconds = [0.0]
    tally = Tally(lambda: seconds[0])
    for number in range(1000):
        seconds[0] = number / 10
        tally.note("without the right signature" if number % 2 else "that took too long")
    assert [record.getMessage() for record in caplog.records] == [
        "webhook calls turned away: 1 that took too long",
        "webhook calls turned away: 300 that took too long, 300 without the right signature",
    ]


def test_many_at_once_are_served(door: Door) -> None:
    def call(number: int) -> int:
        body = BODY + str(number).encode()
        right = number % 2 == 0
        return door.call(body, X_Gitea_Signature=signature(body) if right else signature()).status

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(call, range(40)))
    assert found == [202, 401] * 20
    assert len(door.woken) == 20


def test_nothing_secret_is_logged(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    door.call(X_Gitea_Signature=signature())
    door.call(X_Gitea_Signature="wrong")
    door.call(method="GET", path=f"/{SECRET}")
    with door.raw(f"{SECRET}\r\n\r\n".encode()) as caller:
        caller.recv(100)
    for secret in (SECRET, "b0dy", signature()):
        assert secret not in caplog.text


def test_a_call_that_is_under_way_does_not_keep_it_from_stopping() -> None:
    webhook = WebhookReceiver("127.0.0.1", 0, SECRET, lambda: None, seconds=60)
    _, port = webhook.start()
    before = threading.active_count()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as caller:
        caller.sendall(b"POST /hooks/git HTTP/1.1\r\n")
        deadline = time.monotonic() + 5
        while threading.active_count() < before + 2 and time.monotonic() < deadline:  # its handler, and its time limit
            time.sleep(0.01)
        webhook.stop()
        assert caller.recv(100) == b""


def test_an_address_that_is_taken_is_told(door: Door) -> None:
    with pytest.raises(ConfigurationError, match=rf"MLOPS_WEBHOOK: cannot listen on 127\.0\.0\.1:{door.port}: Address"):
        WebhookReceiver("127.0.0.1", door.port, SECRET, lambda: None).start()
    with pytest.raises(ConfigurationError, match="cannot listen on"):
        WebhookReceiver("192.0.2.1", 0, SECRET, lambda: None).start()


def test_ipv6_loopback() -> None:
    webhook = WebhookReceiver("::1", 0, SECRET, lambda: None)
    try:
        _, port = webhook.start()
    except ConfigurationError:
        pytest.skip("this machine has no IPv6 loopback")
    with socket.create_connection(("::1", port), timeout=5) as caller:
        caller.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert caller.recv(100).startswith(b"HTTP/1.0 200 ")
    webhook.stop()
