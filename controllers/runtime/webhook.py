"""A door for a forge to knock on: something was pushed, look now.

A call says nothing that is believed. It only ends the wait for the next poll, so a repeated or lost one does no harm;
still it must be signed with the secret that the forge was given (HMAC-SHA256 over the body). There is no TLS here: put
a proxy that has it in front, or listen on loopback only.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import io
import logging
import socket
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from http.client import LineTooLong
from http.server import BaseHTTPRequestHandler
from typing import Any

from framework.api.errors import ConfigurationError

log = logging.getLogger(__name__)

MAX_HEAD = 1 << 14
MAX_BODY = 1 << 20
MAX_CONNECTIONS = 64
SECONDS = 10.0
"""For a call as a whole, however slowly it comes."""
TOLD_SECONDS = 60.0
"""Between two lines in the log about calls that were turned away."""

HOOK, HEALTH = "/hooks/git", "/healthz"
_HEX_SIGNATURES = ("X-Gitea-Signature", "X-Forgejo-Signature")


class WebhookReceiver:
    """Calls ``wake`` for every call that is signed with ``secret``. ``port`` 0 takes a free one.

    Args:
        secret: what the forge signs with; never shown.
        wake: must return at once; several calls may come at the same time.
        seconds: how long one call may take as a whole.
    """

    def __init__(
        self, host: str, port: int, secret: str, wake: Callable[[], None], *, seconds: float = SECONDS
    ) -> None:
        self._where = (host, port)
        self._secret = secret.encode()
        self._wake = wake
        self._seconds = seconds
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> tuple[str, int]:
        """Listen from now on; returns where.

        Raises:
            ConfigurationError: the address is taken, or not this machine's.
        """
        host, port = self._where
        try:
            self._server = _Server((host, port), self._secret, self._wake, self._seconds)
        except OSError as error:
            raise ConfigurationError(f"MLOPS_WEBHOOK: cannot listen on {host}:{port}: {error.strerror}") from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="webhook", daemon=True
        )
        self._thread.start()
        found = self._server.server_address
        log.info("listening for webhooks on http://%s:%d%s", host, found[1], HOOK)
        return host, int(found[1])

    def stop(self) -> None:
        """Stop listening; calls that are under way are cut off. May be called twice."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.cut_off()
        self._server = self._thread = None


class Tally:
    """Counts what was turned away, and tells it once in TOLD_SECONDS at most: no caller says how long the log is."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._next = monotonic()

    def note(self, why: str) -> None:
        with self._lock:
            self._counts[why] += 1
            if self._monotonic() < self._next:
                return
            self._next = self._monotonic() + TOLD_SECONDS
            told = ", ".join(f"{count} {reason}" for reason, count in sorted(self._counts.items()))
            self._counts.clear()
        log.warning("webhook calls turned away: %s", told)


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A thread a connection, for some connections and a short time each.

    Where there are too many, whoever has most of them loses the oldest. A call that is signed comes all at once and is
    answered in milliseconds, so callers who take their time make room for it, and not it for them.
    """

    allow_reuse_address = True
    request_queue_size = 2 * MAX_CONNECTIONS
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], secret: bytes, wake: Callable[[], None], seconds: float) -> None:
        self.secret, self.wake, self.seconds = secret, wake, seconds
        self.tally = Tally()
        self._open: dict[socket.socket, str] = {}
        self._lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            excess = self._oldest() if len(self._open) >= MAX_CONNECTIONS else None
            if excess is not None:
                del self._open[excess]
            self._open[request] = client_address[0]
        if excess is not None:
            self.tally.note("to make room for others")
            _cut(excess)
        super().process_request(request, client_address)

    def _oldest(self) -> socket.socket:
        """Of those of the caller who has most."""
        most, _ = Counter(self._open.values()).most_common(1)[0]
        return next(request for request, caller in self._open.items() if caller == most)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def cut_off(self) -> None:
        with self._lock:
            open_now = list(self._open)
        for request in open_now:
            _cut(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers who go away in the middle are no news."""
        log.debug("a webhook call from %s ended early", client_address[0], exc_info=True)


def _cut(request: socket.socket) -> None:
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class _Arriving(io.RawIOBase):
    """What a caller sends: no more of it than was allowed, and nothing after ``seconds``."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._deadline = time.monotonic() + seconds
        self._left = MAX_HEAD
        self.late = False

    def allow(self, more: int) -> None:
        """The head is there, and a body of so many bytes may follow it."""
        self._left += more

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._left == 0:
            raise LineTooLong("header")
        seconds = self._deadline - time.monotonic()
        try:
            if seconds <= 0:
                raise TimeoutError
            self._connection.settimeout(seconds)
            count = self._connection.recv_into(memoryview(buffer)[: self._left])
        except TimeoutError:
            self.late = True
            raise
        self._left -= count
        return count


class _Handler(BaseHTTPRequestHandler):
    """One call, one answer without a body that would tell anything, and the connection is closed."""

    server: _Server

    def setup(self) -> None:
        super().setup()
        self._arriving = _Arriving(self.connection, self.server.seconds)
        self.rfile = io.BufferedReader(self._arriving)

    def finish(self) -> None:
        if self._arriving.late:
            self.server.tally.note("that took too long")
        super().finish()

    def do_GET(self) -> None:
        if self.path == HEALTH:
            self._answer(HTTPStatus.OK)
        else:
            self._misplaced()

    def do_POST(self) -> None:
        if self.path != HOOK:
            self._misplaced()
            return
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            self._answer(HTTPStatus.LENGTH_REQUIRED)
        elif int(length) > MAX_BODY:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._called(int(length))

    do_HEAD = do_GET

    def _called(self, length: int) -> None:
        self._arriving.allow(length)
        body = self.rfile.read(length)
        if len(body) < length:
            return  # cut off, or gone
        if not self._signed(body):
            self.server.tally.note("without the right signature")
            self._answer(HTTPStatus.UNAUTHORIZED)
            return
        self.server.wake()
        self._answer(HTTPStatus.ACCEPTED)

    def _signed(self, body: bytes) -> bool:
        """The first of the headers that is there decides."""
        expected = hmac.new(self.server.secret, body, hashlib.sha256).hexdigest().encode()
        shown = self.headers.get("X-Hub-Signature-256")
        if shown is not None:
            expected = b"sha256=" + expected
        else:
            shown = next((value for name in _HEX_SIGNATURES if (value := self.headers.get(name)) is not None), "")
        return hmac.compare_digest(expected, shown.encode("utf-8", "replace"))

    def _misplaced(self) -> None:
        allowed = {HOOK: "POST", HEALTH: "GET, HEAD"}.get(self.path)
        if allowed is None:
            self._answer(HTTPStatus.NOT_FOUND)
        else:
            self._answer(HTTPStatus.METHOD_NOT_ALLOWED, ("Allow", allowed))

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _misplaced

    def _answer(self, status: int, *headers: tuple[str, str]) -> None:
        log.debug("a webhook call from %s: %d", self.client_address[0], status)
        self.send_response_only(status)
        for name, value in (*headers, ("Content-Length", "0"), ("Connection", "close")):
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What cannot be read as HTTP."""
        self._answer(code)

    def log_message(self, format: str, *args: Any) -> None:
        """Told by ``_answer``: a caller's own words do not go into the log."""
