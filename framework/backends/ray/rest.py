"""Ray's dashboard as a REST service: where it is, how to ask it, and what its answers mean as our errors."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from framework.api.addresses import mistake
from framework.api.errors import ConfigurationError, TerminalError, TransientError
from framework.backends.ray.exceptions import in_one_line
from framework.backends.ray.head import LOOPBACK

_ALIVE = "/api/gcs_healthz"


@dataclass(frozen=True)
class RayAddress:
    """How to reach a Ray cluster. ``token`` is None for a cluster without token authentication."""

    dashboard_url: str
    token: str | None = None
    serve_host: str = LOOPBACK
    serve_port: int = 8000

    def job_link(self, submission_id: str) -> str:
        return f"{self.dashboard_url}/#/jobs/{quote(submission_id)}"


Locate = Callable[[], RayAddress | None]


class RayRest:
    """Requests to the dashboard. ``locate`` is asked each time, so a head that came back elsewhere is found again."""

    def __init__(self, locate: Locate, timeout: float = 30.0, transport: httpx.BaseTransport | None = None):
        self._locate = locate
        self._timeout = timeout
        self._transport = transport
        self._lock = threading.Lock()
        self._client: tuple[RayAddress, httpx.Client] | None = None

    def address(self) -> RayAddress:
        """Where the cluster is now. Raises TransientError while there is none."""
        address = self._locate()
        if address is None:
            raise TransientError("Ray is not running")
        return address

    def job_link(self, submission_id: str) -> str:
        """The job's page in the dashboard, "" while there is no cluster."""
        address = self._locate()
        return address.job_link(submission_id) if address else ""

    def get(self, path: str) -> Any:
        """The JSON at ``path``, None where nothing is (404)."""
        return self._send("GET", path)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON answer, None for 404."""
        return self._send("POST", path, body)

    def put(self, path: str, body: Mapping[str, Any], timeout: float | None = None) -> Any:
        return self._send("PUT", path, body, timeout)

    def ping(self, timeout: float) -> None:
        """Whether the head is alive, and not the dashboard alone, which goes on answering for a while without it.

        Raises:
            TransientError: it is not, or nothing answers within ``timeout`` seconds.
            ConfigurationError: it refuses the token.
        """
        answer, address = self._ask("GET", _ALIVE, timeout=timeout)
        if answer.status_code != HTTPStatus.NOT_FOUND:
            _ensure(answer, f"GET {_ALIVE}", address)

    def text(self, path: str, most: int) -> str | None:
        """The end of the text at ``path``, of at most ``most`` bytes; None where nothing is (404)."""
        address, held = self.address(), 0
        parts: deque[bytes] = deque()
        with _reached(address), self._client_for(address).stream("GET", path, timeout=self._timeout) as answer:
            if not answer.is_success:
                answer.read()
                _content(answer, f"GET {path}", address)
                return None
            for part in answer.iter_bytes():
                parts.append(part)
                held += len(part)
                while held - len(parts[0]) >= most:
                    held -= len(parts.popleft())
        return b"".join(parts)[-most:].decode("utf-8", "replace")

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client[1].close()
                self._client = None

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None, timeout: float | None = None) -> Any:
        answer, address = self._ask(method, path, body, timeout)
        return _content(answer, f"{method} {path}", address)

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> tuple[httpx.Response, RayAddress]:
        address = self.address()
        with _reached(address):
            answer = self._client_for(address).request(method, path, json=body, timeout=timeout or self._timeout)
        return answer, address

    def _client_for(self, address: RayAddress) -> httpx.Client:
        with self._lock:
            if self._client is None or self._client[0] != address:
                headers = {"Authorization": f"Bearer {address.token}"} if address.token else {}
                # A proxy set for the outside world must not see what goes to a head on this machine.
                outside = f"://{LOOPBACK}" not in address.dashboard_url
                if (why := mistake(address.dashboard_url)) is not None:
                    raise _no_address(address, why)
                client = httpx.Client(
                    base_url=address.dashboard_url, headers=headers, trust_env=outside, transport=self._transport
                )
                self._client = (address, client)
            return self._client[1]


@contextmanager
def _reached(address: RayAddress) -> Iterator[None]:
    try:
        yield
    except httpx.InvalidURL as error:
        raise _no_address(address, str(error)) from error
    except httpx.HTTPError as error:
        raise TransientError(
            f"Ray at {address.dashboard_url} does not answer: {error or type(error).__name__}"
        ) from error


def _no_address(address: RayAddress, why: str) -> ConfigurationError:
    return ConfigurationError(f"Ray at {address.dashboard_url}: that is no address: {why}")


def _content(answer: httpx.Response, what: str, address: RayAddress) -> Any:
    if answer.is_success:
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise TransientError(
                f"Ray at {address.dashboard_url} answered {what} with something else than JSON"
            ) from error
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    return _ensure(answer, what, address)


def _ensure(answer: httpx.Response, what: str, address: RayAddress) -> None:
    """Raises what the status of an answer means."""
    if answer.is_success:
        return
    if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise ConfigurationError(f"Ray at {address.dashboard_url} refuses the token ({answer.status_code})")
    message = f"{what}: {answer.status_code}: {in_one_line(answer.text)}"
    if answer.is_client_error:
        raise TerminalError("RayRefused", message)
    raise TransientError(message)
