from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from framework.api.errors import MlopsError, TerminalError, TransientError
from framework.api.places import Premises
from framework.backends.notify import Notifications
from framework.ports import Alert

ALERT = Alert("delay-monitor", "e1", "firing", "distance drifts", {"psi": 0.31}, "/r", datetime(2026, 3, 1, tzinfo=UTC))
SECRET = "T0P-SECRET"
URL = f"https://hooks.invalid/{SECRET}"
HOOK = {"webhook": {"url": URL}}

Answer = Callable[[httpx.Request], httpx.Response]


def answering(status: int | Exception, requests: list[httpx.Request] | None = None) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        if requests is not None:
            requests.append(request)
        if isinstance(status, Exception):
            raise status
        return httpx.Response(status, text=f"said at {request.url}")

    return answer


def notifier(root: Path, answer: Answer = answering(200)) -> Notifications:
    return Notifications(Premises(str(root)), str(root / "markers"), transport=httpx.MockTransport(answer))


def lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines()]


# ---------------------------------------------------------------------- files


def test_a_line_that_a_crash_cut_off_swallows_nothing(tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    notifier(tmp_path).send(ALERT, {"file": "alerts.jsonl"})
    with file.open("a") as stream:
        stream.write('{"monitor": "delay-mon')
    notifier(tmp_path).send(replace(ALERT, state="resolved"), {"file": "alerts.jsonl"})
    first, cut, last = file.read_text().splitlines()
    assert [json.loads(line)["state"] for line in (first, last)] == ["firing", "resolved"]
    assert cut == '{"monitor": "delay-mon'


def test_a_cut_off_line_does_not_count_as_delivered(tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    notifier(tmp_path).send(ALERT, {"file": "alerts.jsonl"})
    file.write_bytes(file.read_bytes()[:-20])
    notifier(tmp_path).send(ALERT, {"file": "alerts.jsonl"})
    assert json.loads(file.read_text().splitlines()[-1])["episode"] == "e1"


def test_what_others_write_into_the_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    notifier(tmp_path).send(replace(ALERT, episode="e0"), {"file": "alerts.jsonl"})
    with file.open("ab") as others:
        others.write(b'\xff\xfe\n[1, 2]\n"text"\n{"episode": "e1"}\n')
    before = file.read_bytes()
    notifier(tmp_path).send(ALERT, {"file": "alerts.jsonl"})
    assert file.read_bytes().startswith(before)
    assert file.read_bytes().count(b"\n") == 6


@pytest.mark.parametrize("text", ["[core]\n", "import os\n", "SQLite format 3\0", '{"a": 1}\n', "[]\n", "\n"])
def test_a_file_that_is_not_of_alerts_is_not_appended_to(tmp_path: Path, text: str) -> None:
    file = tmp_path / "alerts.jsonl"
    file.write_text(text)
    with pytest.raises(TerminalError, match="holds something else than alerts"):
        notifier(tmp_path).send(ALERT, {"file": "alerts.jsonl"})
    assert file.read_text() == text


@pytest.mark.parametrize(
    "path", ["../outside.jsonl", "/tmp/outside.jsonl", "link/outside.jsonl", "out.jsonl", ".git/hooks/a.jsonl", "a.py"]
)
def test_alert_files_stay_where_they_may(tmp_path: Path, path: str) -> None:
    """A link that leads out is followed before anything is written."""
    project = tmp_path / "project"
    (project / ".git" / "hooks").mkdir(parents=True)
    (project / "link").symlink_to(tmp_path)
    (project / "out.jsonl").symlink_to(tmp_path / "outside.jsonl")
    with pytest.raises(TerminalError, match="the alert file") as raised:
        notifier(project).send(ALERT, {"file": path})
    assert raised.value.reason == "AlertTarget"
    assert not (tmp_path / "outside.jsonl").exists()
    assert list((project / ".git" / "hooks").iterdir()) == []


def test_the_operator_may_allow_other_folders(tmp_path: Path) -> None:
    project, data = tmp_path / "project", tmp_path / "data"
    project.mkdir()
    hook = Notifications(Premises(str(project), (str(data),)), str(tmp_path / "markers"))
    hook.send(ALERT, {"file": f"{data}/alerts.jsonl"})
    assert json.loads((data / "alerts.jsonl").read_text())["episode"] == "e1"


def test_a_file_that_cannot_be_written_is_transient(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.jsonl").mkdir()
    for path in ("file/alerts.jsonl", "folder.jsonl"):
        with pytest.raises(TransientError, match="cannot be written"):
            notifier(tmp_path).send(ALERT, {"file": path})


# ---------------------------------------------------------------------- webhooks


def test_a_webhook_gets_text_for_people_and_a_key_against_repetition(tmp_path: Path) -> None:
    requests: list[httpx.Request] = []
    hook = notifier(tmp_path, answering(200, requests))
    hook.send(ALERT, HOOK)
    hook.send(replace(ALERT, state="resolved"), HOOK)
    first, second = requests
    assert (first.method, str(first.url)) == ("POST", URL)
    assert first.headers["content-type"] == "application/json"
    assert json.loads(first.content)["text"] == "distance drifts (firing)"
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


def test_a_crash_before_the_marker_repeats_the_request_under_the_same_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[httpx.Request] = []

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("framework.storage.write_json", full)
        with pytest.raises(TransientError, match="No space left"):
            notifier(tmp_path, answering(200, requests)).send(ALERT, HOOK)
    for _ in range(2):
        notifier(tmp_path, answering(200, requests)).send(ALERT, HOOK)
    assert len(requests) == 2
    assert requests[0].headers["idempotency-key"] == requests[1].headers["idempotency-key"]


UNREACHABLE = [httpx.ConnectError("no route to " + URL), httpx.ReadTimeout("too slow: " + URL)]


@pytest.mark.parametrize("status", [408, 429, 500, 503, *UNREACHABLE])
def test_a_webhook_out_of_reach_is_tried_again(tmp_path: Path, status: int | Exception) -> None:
    with pytest.raises(TransientError):
        notifier(tmp_path, answering(status)).send(ALERT, HOOK)
    requests: list[httpx.Request] = []
    notifier(tmp_path, answering(200, requests)).send(ALERT, HOOK)
    assert len(requests) == 1


@pytest.mark.parametrize("status", [302, 400, 401, 404, 410])
def test_a_webhook_that_refuses_is_final(tmp_path: Path, status: int) -> None:
    with pytest.raises(TerminalError, match=f"the webhook answered {status}") as raised:
        notifier(tmp_path, answering(status)).send(ALERT, HOOK)
    assert raised.value.reason == "AlertRefused"


@pytest.mark.parametrize("status", [200, 404, 500, UNREACHABLE[0]])
def test_the_address_is_in_no_error_log_or_marker(
    tmp_path: Path, status: int | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    told = ""
    with caplog.at_level(logging.DEBUG):
        try:
            notifier(tmp_path, answering(status)).send(ALERT, HOOK)
        except MlopsError as error:
            current: BaseException | None = error
            while current is not None:
                told += repr(current)
                current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    assert (status == 200) == (told == "")
    markers = [path.read_text() + path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert SECRET not in told + caplog.text + "".join(markers)
    assert len(markers) == (1 if status == 200 else 0)


def test_others_keep_their_httpx_log_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="httpx"):
        notifier(tmp_path).send(ALERT, HOOK)
        with httpx.Client(transport=httpx.MockTransport(answering(200))) as client:
            client.get("https://example.invalid/theirs")
    assert [record.name for record in caplog.records] == ["httpx"]
    assert "theirs" in caplog.text


def test_the_address_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".mlops").mkdir()
    (tmp_path / ".mlops" / "hook.txt").write_text(f"{URL}\n")
    monkeypatch.setenv("ALERT_HOOK", f" {URL}/environment ")
    requests: list[httpx.Request] = []
    hook = notifier(tmp_path, answering(200, requests))
    hook.send(ALERT, {"webhook": {"urlFrom": {"file": ".mlops/hook.txt"}}})
    hook.send(ALERT, {"webhook": {"urlFrom": {"env": "ALERT_HOOK", "file": None}, "url": None}, "file": None})
    assert [str(request.url) for request in requests] == [URL, f"{URL}/environment"]


def test_a_rotated_secret_does_not_repeat_old_alerts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[httpx.Request] = []
    for value in (URL, f"{URL}-new"):
        monkeypatch.setenv("ALERT_HOOK", value)
        notifier(tmp_path, answering(200, requests)).send(ALERT, {"webhook": {"urlFrom": {"env": "ALERT_HOOK"}}})
    assert len(requests) == 1


@pytest.mark.parametrize(
    "secret",
    [
        {"env": "ALERT_HOOK"},
        {"file": ".mlops/nowhere.txt"},
        {"file": ".mlops/binary"},
        {"file": ".mlops/empty"},
        {"file": ".mlops/link"},
        {"file": "/etc/hostname"},
        {"file": "committed.txt"},
    ],
)
def test_a_missing_secret_is_named(tmp_path: Path, secret: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALERT_HOOK", raising=False)
    (tmp_path / ".mlops").mkdir()
    (tmp_path / ".mlops" / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / ".mlops" / "empty").write_bytes(b"\n")
    (tmp_path / ".mlops" / "link").symlink_to("/etc/hostname")
    (tmp_path / "committed.txt").write_text(URL)
    with pytest.raises(TerminalError, match=next(iter(secret.values()))) as raised:
        notifier(tmp_path).send(ALERT, {"webhook": {"urlFrom": secret}})
    assert raised.value.reason == "SecretMissing"


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"file": None, "webhook": None},
        {"file": "a.jsonl", "webhook": {"url": URL}},
        {"mail": "ada@example.org"},
        {"webhook": {}},
        {"webhook": {"url": URL, "urlFrom": {"env": "X"}}},
        {"webhook": {"urlFrom": {}}},
        {"webhook": {"urlFrom": {"env": "X", "file": "y"}}},
        {"webhook": URL},
    ],
)
def test_a_target_that_is_neither_file_nor_webhook_is_refused(tmp_path: Path, target: dict[str, Any]) -> None:
    requests: list[httpx.Request] = []
    with pytest.raises(TerminalError) as raised:
        notifier(tmp_path, answering(200, requests)).send(ALERT, target)
    assert raised.value.reason == "AlertTarget"
    assert requests == []
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "url",
    [
        SECRET,
        f"ftp://hooks.invalid/{SECRET}",
        f"file:///{SECRET}",
        f"https:///{SECRET}",
        f"http://[{SECRET}",
        f"https://hooks.invalid:{SECRET}/",
        f"https://hooks.invalid/{SECRET}\n",
    ],
)
def test_what_is_no_web_address_is_refused(tmp_path: Path, url: str) -> None:
    requests: list[httpx.Request] = []
    with pytest.raises(TerminalError, match="the webhook is no") as raised:
        notifier(tmp_path, answering(200, requests)).send(ALERT, {"webhook": {"url": url}})
    assert raised.value.reason == "AlertTarget"
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None
    assert requests == []


# ---------------------------------------------------------------------- over the wire


@pytest.fixture
def server() -> Iterator[tuple[str, list[bytes]]]:
    """A web server on loopback: its URL and the bodies it got."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}/hook", bodies
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,hooks.invalid,example.invalid")


def test_over_a_real_connection(tmp_path: Path, server: tuple[str, list[bytes]]) -> None:
    url, bodies = server
    hook = Notifications(Premises(str(tmp_path)), str(tmp_path / "markers"))
    for _ in range(2):
        hook.send(ALERT, {"webhook": {"url": url}})
    (body,) = bodies
    assert json.loads(body)["evidence"] == {"psi": 0.31}


def test_nobody_listening_is_transient(tmp_path: Path) -> None:
    hook = Notifications(Premises(str(tmp_path)), str(tmp_path / "markers"), timeout_seconds=2.0)
    with pytest.raises(TransientError, match="out of reach: ConnectError"):
        hook.send(ALERT, {"webhook": {"url": "http://127.0.0.1:1/hook"}})
