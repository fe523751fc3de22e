"""Alerts to JSON-lines files and webhooks, each once per target, episode and state.

A webhook's URL is often the secret itself, so it appears in no error, log line or marker.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import urlsplit

import httpx

from framework import storage
from framework.api.errors import ConfigurationError, TerminalError, TransientError
from framework.api.places import Premises, Use
from framework.ports import Alert, Json
from framework.premises import entered, secret

_RETRIED = frozenset({408, 425, 429})
_sending: ContextVar[bool] = ContextVar("sending an alert", default=False)


class Notifications:
    """Notifier over files and webhooks.

    Args:
        premises: of the project; alert files and secret files with relative paths start at its folder.
        markers: folder (any fsspec URL) that remembers what was delivered to webhooks.
        timeout_seconds: for each of connecting, sending and reading.
        transport: what carries the requests, for tests.
    """

    def __init__(
        self,
        premises: Premises,
        markers: str,
        timeout_seconds: float = 5.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._premises = premises
        self._markers = markers
        self._timeout = timeout_seconds
        self._transport = transport
        self._lock = threading.Lock()
        _keep_urls_out_of_logs()

    def send(self, alert: Alert, target: Mapping[str, Json]) -> None:
        """Deliver, unless delivered before.

        A crash between a webhook's answer and the marker repeats the request with the same ``Idempotency-Key``.

        Raises:
            TransientError: the file or the webhook is out of reach now.
            TerminalError: the target is wrong, its secret is missing, or the webhook refuses the alert.
        """
        match _given(target):
            case {"file": str(path), **rest} if not rest:
                with self._lock:
                    self._append(alert, path)
            case {"webhook": Mapping() as webhook, **rest} if not rest:
                self._post(alert, webhook)
            case _:
                raise TerminalError("AlertTarget", "an alert goes to exactly one of file and webhook")

    def _append(self, alert: Alert, path: str) -> None:
        try:
            file = entered(path, Use.ALERTS, self._premises)
        except ConfigurationError as error:
            raise TerminalError("AlertTarget", f"the alert file {error}") from None
        try:
            written = file.read_bytes() if file.exists() else b""
            if not _is_ours(written):
                raise TerminalError("AlertTarget", f"the file {path} holds something else than alerts")
            if _key(alert) in _keys(written):
                return
            file.parent.mkdir(parents=True, exist_ok=True)
            # A line that a crash cut off must not swallow this one.
            start = b"\n" if written and not written.endswith(b"\n") else b""
            with file.open("ab") as stream:
                stream.write(start + _body(alert) + b"\n")
        except OSError as error:
            raise TransientError(f"the alert file {path} cannot be written: {error.strerror}") from error

    def _post(self, alert: Alert, webhook: Mapping[str, Json]) -> None:
        identity = json.dumps([dict(webhook), *_key(alert)], sort_keys=True)
        digest = hashlib.sha256(identity.encode()).hexdigest()
        marker = f"{self._markers}/{digest}.json"
        try:
            if storage.read_bytes(marker) is not None:
                return
            self._request(self._url(webhook), _body(alert), digest)
            storage.write_json(marker, {"monitor": alert.monitor, "episode": alert.episode, "state": alert.state})
        except OSError as error:
            raise TransientError(f"the alert markers cannot be used: {error.strerror or error}") from error

    def _url(self, webhook: Mapping[str, Json]) -> str:
        match webhook:
            case {"url": str(url), **rest} if not rest:
                return url
            case {"urlFrom": {"env": str(name), **other}, **rest} if not rest and not other:
                return self._secret(name, None)
            case {"urlFrom": {"file": str(path), **other}, **rest} if not rest and not other:
                return self._secret(None, path)
            case _:
                raise TerminalError("AlertTarget", "a webhook has exactly one of url and urlFrom with env or file")

    def _secret(self, env: str | None, file: str | None) -> str:
        try:
            return secret(env, file, self._premises)
        except ConfigurationError as error:
            raise TerminalError("SecretMissing", f"the webhook's address: {error}") from None

    def _request(self, url: str, body: bytes, key: str) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        try:
            urlsplit(url)  # refuses an unclosed bracket, which httpx takes for a name
            address = httpx.URL(url)
            if address.scheme not in {"http", "https"} or not address.host:
                raise TerminalError("AlertTarget", "the webhook is no http or https URL")
            with (
                _quiet(),
                httpx.Client(timeout=self._timeout, transport=self._transport) as client,
                client.stream("POST", address, content=body, headers=headers) as response,
            ):
                status = response.status_code
        except (httpx.InvalidURL, ValueError):
            raise TerminalError("AlertTarget", "the webhook is no valid URL") from None
        except httpx.HTTPError as error:
            # Neither the message nor the cause is kept: both may quote the URL.
            raise TransientError(f"the webhook is out of reach: {type(error).__name__}") from None
        if status >= 500 or status in _RETRIED:
            raise TransientError(f"the webhook answered {status}")
        if not 200 <= status < 300:
            raise TerminalError("AlertRefused", f"the webhook answered {status}")


def _given(choice: Mapping[str, Json]) -> Mapping[str, Json]:
    """A choice between keys without those that were not taken: a spec writes them as null, at every level."""
    present = {name: value for name, value in choice.items() if value is not None}
    return {name: _given(value) if isinstance(value, Mapping) else value for name, value in present.items()}


def _body(alert: Alert) -> bytes:
    """``text`` is what chat services show."""
    value = {
        "monitor": alert.monitor,
        "episode": alert.episode,
        "state": alert.state,
        "title": alert.title,
        "text": f"{alert.title} ({alert.state})",
        "evidence": dict(alert.evidence),
        "report": alert.report,
        "time": alert.time.isoformat(),
    }
    return json.dumps(value, sort_keys=True).encode()


def _key(alert: Alert) -> tuple[str, str, str]:
    return alert.monitor, alert.episode, alert.state


def _is_ours(lines: bytes) -> bool:
    """Whether a file holds alerts, or nothing; what a crash cut off at its end may be there."""
    first = lines.split(b"\n", 1)[0]
    try:
        value = json.loads(first) if lines else {}
    except ValueError:
        return b"\n" not in lines and first.startswith(b'{"')
    return not lines or (isinstance(value, dict) and {"monitor", "episode", "state"} <= value.keys())


def _keys(lines: bytes) -> Iterator[tuple[Json, Json, Json]]:
    for line in lines.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue  # cut off by a crash, or written by somebody else
        if isinstance(value, dict):
            yield value.get("monitor"), value.get("episode"), value.get("state")


class _Silence(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not _sending.get()


_SILENCE = _Silence()


def _keep_urls_out_of_logs() -> None:
    """httpx logs the full URL of every request; other users of httpx in this process keep their log lines."""
    for name in ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks"):
        logging.getLogger(name).addFilter(_SILENCE)  # adding the same filter again does nothing


@contextmanager
def _quiet() -> Iterator[None]:
    token = _sending.set(True)
    try:
        yield
    finally:
        _sending.reset(token)
