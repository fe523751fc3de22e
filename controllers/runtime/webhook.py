"""A door for a forge to knock on: something was pushed, look now.

A call says nothing that is believed. It only ends the wait for the next poll, so a repeated or lost one does no harm;
still it must be signed with the secret that the forge was given (HMAC-SHA256 over the body). There is no TLS here: put
a proxy that has it in front, or listen on loopback only.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import socket
import socketserver
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from framework.api.errors import ConfigurationError

log = logging.getLogger(__name__)

MAX_BODY = 1 << 20
MAX_CONNECTIONS = 16
SECONDS = 10.0
"""For a call as a whole, however slowly it comes."""

HOOK, HEALTH = "/hooks/git", "/healthz"
_HEX_SIGNATURES = ("X-Gitea-Signature", "X-Forgejo-Signature")


class Webhook:
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


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A thread a connection, for a few connections and a short time each."""

    allow_reuse_address = True
    request_queue_size = MAX_CONNECTIONS
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], secret: bytes, wake: Callable[[], None], seconds: float) -> None:
        self.secret, self.wake, self.seconds = secret, wake, seconds
        self._open: dict[socket.socket, threading.Timer] = {}
        self._lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        timer = threading.Timer(self.seconds, _cut, [request])
        timer.daemon = True
        with self._lock:
            if len(self._open) >= MAX_CONNECTIONS:
                log.warning("a webhook was turned away: %d calls are under way", MAX_CONNECTIONS)
                super().shutdown_request(request)
                return
            self._open[request] = timer
        timer.start()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            timer = self._open.pop(request, None)
        if timer is not None:
            timer.cancel()
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


class _Handler(BaseHTTPRequestHandler):
    """One call, one answer without a body that would tell anything, and the connection is closed."""

    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.seconds)

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
        body = self.rfile.read(length)
        if len(body) < length:
            return  # cut off, or gone
        if not self._signed(body):
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
