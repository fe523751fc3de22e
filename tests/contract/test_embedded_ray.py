"""The promises of the embedded Ray, read off its processes and sockets."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import httpx
import psutil
import pytest

from framework.api.errors import ConfigurationError
from framework.backends.ray import daemon
from framework.backends.ray.daemon import EmbeddedRay
from framework.backends.ray.rest import RayRest
from framework.backends.ray.serve import PATH
from tests.contract.suites.polling import Patience

pytest_plugins = ["tests.ray_cluster"]
pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[2]
FOREIGN = {
    "name": "sockets",
    "route_prefix": "/sockets",
    "import_path": "tests.contract.foreign_app:build",
    "args": {"answer": "x"},
    "deployments": [{"name": "Foreign", "ray_actor_options": {"num_cpus": 0.1}}],
}
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_COMMAND = daemon.command


@pytest.fixture(scope="module")
def busy_ray(embedded_ray: EmbeddedRay, ray_rest: RayRest) -> EmbeddedRay:
    """With Serve, a proxy and a replica, so that every kind of process is there."""
    address = ray_rest.address()
    listed = ray_rest.get(PATH)["applications"].values()
    kept = [item["deployed_app_config"] for item in listed if item.get("deployed_app_config")]
    options = {"host": address.serve_host, "port": address.serve_port}
    ray_rest.put(PATH, {"http_options": options, "applications": [*kept, FOREIGN]}, timeout=60)
    Patience(seconds=60, interval=0.1).until(
        lambda: ray_rest.get(PATH)["applications"]["sockets"]["status"], lambda status: status == "RUNNING"
    )
    return embedded_ray


def _listening(ray: EmbeddedRay) -> Iterator[tuple[str, str, int]]:
    """(process, address, port) of every listening socket of the daemon."""
    for process in ray.processes():
        with contextlib.suppress(psutil.Error):
            for connection in process.net_connections(kind="inet"):
                if connection.status == psutil.CONN_LISTEN:
                    yield process.name(), connection.laddr.ip, connection.laddr.port


def _is_loopback(text: str) -> bool:
    address = ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _tls_answer(ray: EmbeddedRay, port: int, *, with_certificate: bool) -> bytes:
    """What a gRPC port says to a client; b"" where it ends the connection. With TLS 1.3 a client learns only when it
    reads that its missing certificate was refused."""
    folder = ray.folder / "tls"
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.set_alpn_protocols(["h2"])
    if with_certificate:
        context.load_cert_chain(folder / "node.crt", folder / "node.key")
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            secure.sendall(HTTP2)
            return secure.recv(100)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_everything_listens_on_loopback_or_demands_a_certificate(busy_ray: EmbeddedRay) -> None:
    sockets = list(_listening(busy_ray))
    assert len({port for _, _, port in sockets}) > 8, f"a Ray with Serve has more sockets than {sockets}"
    outside = [item for item in sockets if not _is_loopback(item[1])]
    assert outside, "a Serve replica opened [::]:0 in Ray 2.60; if none does any more, nothing is left to except"
    for process, _, port in outside:
        assert process.startswith("ray::ServeRepli"), process
        assert _tls_answer(busy_ray, port, with_certificate=True) != b"", "the port is alive"
        assert _tls_answer(busy_ray, port, with_certificate=False) == b""
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
            plain.sendall(HTTP2)
            assert plain.recv(100) in (b"", b"\x15\x03\x01\x00\x02\x02F"), "plain text gets an alert at most"


def test_the_token_is_demanded(busy_ray: EmbeddedRay) -> None:
    address = busy_ray.running()
    assert address is not None
    attempts = [
        ("GET", "/api/jobs/", None),
        ("POST", "/api/jobs/", {"entrypoint": "id"}),
        ("PUT", PATH, {"applications": []}),
        ("GET", "/nodes?view=summary", None),
    ]
    with httpx.Client(base_url=address.dashboard_url, trust_env=False, timeout=10) as client:
        for method, path, body in attempts:
            assert client.request(method, path, json=body).status_code == httpx.codes.UNAUTHORIZED
            wrong = {"Authorization": f"Bearer {'0' * 64}"}
            refused = client.request(method, path, json=body, headers=wrong).status_code
            assert refused in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
    # The agents' own HTTP ports run code too.
    agents = [port for name, _, port in _listening(busy_ray) if name.startswith(("ray::DashboardA", "ray::RuntimeEnv"))]
    assert agents
    for port in agents:
        for path in ("/api/job_agent/jobs/", "/get_or_create_runtime_env"):
            with contextlib.suppress(httpx.HTTPError):  # gRPC ports do not speak HTTP/1
                answer = httpx.post(f"http://127.0.0.1:{port}{path}", json={"entrypoint": "id"}, trust_env=False)
                assert not answer.is_success, (port, path)


def test_secrets_are_the_users_alone(busy_ray: EmbeddedRay) -> None:
    for path in (busy_ray.folder / "token", *(busy_ray.folder / "tls").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(busy_ray.folder.stat().st_mode) & 0o077 == 0
    token = (busy_ray.folder / "token").read_text()
    for process in busy_ray.processes():
        with contextlib.suppress(psutil.Error):
            assert token not in " ".join(process.cmdline())
    assert token not in busy_ray.log.read_text()


def test_a_second_daemon_lives_beside_the_first_and_leaves_nothing(
    busy_ray: EmbeddedRay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    second = EmbeddedRay(tmp_path / "ray", cpus=1, gpus=0, dashboard_port=0, serve_port=0)
    try:
        address = second.start(keeper=os.getpid())
        assert address == second.start() == second.running()
        assert busy_ray.running() not in (None, address)
        rest = RayRest(second.running)
        assert rest.get("/api/jobs/") == []
        rest.ping(10)
        with pytest.raises(ConfigurationError, match="refuses the token"):
            RayRest(lambda: daemon.RayAddress(address.dashboard_url, "0" * 64)).get("/api/jobs/")
        held = second.processes()
        assert len(held) > 5
        place = Path(json.loads((tmp_path / "ray" / "daemon.json").read_text())["temp"]).parent
        assert place.is_dir()
    finally:
        second.stop()
    assert not place.exists(), "its sockets and logs"
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in held)
    assert second.running() is None
    assert busy_ray.running() is not None
    assert not (tmp_path / "home" / ".ray").exists()
    second.stop()


def test_a_daemon_whose_supervisor_was_killed_is_cleared_away_and_started_again(tmp_path: Path) -> None:
    ray = EmbeddedRay(tmp_path / "ray", cpus=1, gpus=0, dashboard_port=0, serve_port=0)
    try:
        first = ray.start(keeper=os.getpid())
        old = ray.processes()
        supervisor = min(old, key=lambda process: process.create_time())
        supervisor.kill()
        _until(lambda: ray.running() is None)
        second = ray.start(keeper=os.getpid())
        assert second != first
        survivors = [process for process in old if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
        assert survivors == []
    finally:
        ray.stop()
    assert ray.processes() == []


def test_a_daemon_does_not_outlive_a_test_session_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, sys, time; from framework.backends.ray.daemon import EmbeddedRay;"
        "EmbeddedRay(sys.argv[1], 1, 0, 0, 0).start(keeper=os.getpid()); print('ready', flush=True); time.sleep(1000)"
    )
    session = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
    ray = EmbeddedRay(tmp_path)
    try:
        assert session.stdout is not None
        assert session.stdout.readline() == b"ready\n"
        held = ray.processes()
        assert len(held) > 5
        session.send_signal(signal.SIGKILL)
        session.wait()
        _until(lambda: not any(process.is_running() for process in held))
    finally:
        session.kill()
        ray.stop()


def test_a_ray_that_does_not_start_says_why_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "command", lambda *given: [*_COMMAND(*given), "--no-such-option"])
    ray = EmbeddedRay(tmp_path, cpus=1, gpus=0, dashboard_port=0, serve_port=0)
    with pytest.raises(ConfigurationError) as caught:
        ray.start()
    assert "--no-such-option" in str(caught.value)
    assert str(ray.log) in str(caught.value)
    assert ray.running() is None
    assert ray.processes() == []


def _until(good: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not good():
        assert time.monotonic() < deadline
        time.sleep(0.05)
