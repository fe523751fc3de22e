"""What an embedded Ray decides before anything starts."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from framework.api.errors import ConfigurationError
from framework.backends.ray import daemon, head
from framework.backends.ray.daemon import EmbeddedRay
from framework.backends.ray.head import MARKER, command, environment
from framework.backends.ray.tls import RENEW_BEFORE, VALID, ensure_certificates

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("setting", ["dashboardPort", "servePort"])
def test_a_busy_port_is_named_with_its_setting(tmp_path: Path, setting: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        wanted = {"dashboardPort": 0, "servePort": 0} | {setting: port}
        ray = EmbeddedRay(tmp_path, dashboard_port=wanted["dashboardPort"], serve_port=wanted["servePort"])
        with pytest.raises(ConfigurationError, match=rf"port {port} .*ray\.{setting}"):
            ray.start()
    assert ray.running() is None
    assert ray.processes() == []


def test_one_port_cannot_be_two(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ConfigurationError, match="servePort"):
        EmbeddedRay(tmp_path, dashboard_port=port, serve_port=port).start()


def test_zero_picks_different_free_ports() -> None:
    ports = daemon._choose({"dashboardPort": 0, "servePort": 0})
    assert len(set(ports.values())) == 2
    assert all(port > 1023 for port in ports.values())


def test_what_is_not_running_is_not_running(tmp_path: Path) -> None:
    ray = EmbeddedRay(tmp_path / "none")
    assert ray.running() is None
    assert ray.processes() == []
    ray.stop()
    assert not (tmp_path / "none").exists()


def test_another_process_with_the_same_pid_is_not_the_daemon_and_stays(tmp_path: Path) -> None:
    """After a reboot the pid, or a session with that number, may be anybody's."""
    ray = EmbeddedRay(tmp_path)
    somebody = subprocess.Popen(["sleep", "1234"], start_new_session=True)
    try:
        state = {
            "pid": somebody.pid,
            "birth": "1",
            "marker": "x",
            "temp": "/nowhere",
            "dashboardPort": 1,
            "servePort": 2,
        }
        (tmp_path / "daemon.json").write_text(json.dumps(state))
        assert ray.running() is None
        assert ray.processes() == []
        ray.stop()
        assert somebody.poll() is None
        assert not (tmp_path / "daemon.json").exists()
    finally:
        somebody.kill()
        somebody.wait()


@pytest.mark.parametrize("named", ["", ".", "victim", "victim/r", "mlops-0123456789/r"])
def test_no_folder_is_deleted_because_a_state_file_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    place = tmp_path / "place"
    for name in ("victim", "mlops-0123456789"):
        (place / name / "r").mkdir(parents=True)
        (place / name / "r" / "work.txt").write_text("mine")
    monkeypatch.chdir(place)
    folder = tmp_path / "ray"
    folder.mkdir()
    state = {"pid": 2**22 + 1, "birth": "1", "marker": "x", "temp": named, "dashboardPort": 1, "servePort": 2}
    (folder / "daemon.json").write_text(json.dumps(state))
    EmbeddedRay(folder).stop()
    for name in ("victim", "mlops-0123456789"):
        assert (place / name / "r" / "work.txt").read_text() == "mine"


def test_stopping_removes_sockets_and_logs_of_a_daemon_that_died_or_was_moved(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    before = daemon._private_folder(old).parent
    before_move = {
        "pid": 2**22 + 1,
        "birth": "1",
        "marker": "x",
        "temp": str(before / "r"),
        "dashboardPort": 1,
        "servePort": 1,
    }
    old.rename(new)
    here = daemon._private_folder(new).parent
    for place in (before, here):
        (place / "r" / "logs").mkdir(parents=True)
        (place / "r" / "logs" / "old.log").write_text("x")
    (new / "daemon.json").write_text(json.dumps(before_move))
    EmbeddedRay(new).stop()
    assert not before.exists()
    assert not here.exists()
    EmbeddedRay(new).stop()


def test_who_writes_the_list_of_applications_holds_off_others_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray, order = EmbeddedRay(tmp_path / "ray"), []

    def write() -> None:
        with EmbeddedRay(tmp_path / "ray").alone():
            order.append("second")

    second = threading.Thread(target=write)
    with ray.alone():
        second.start()
        second.join(0.1)
        order.append("first")
    second.join(10)
    assert order == ["first", "second"]
    monkeypatch.setattr(daemon, "ALONE_SECONDS", 0.05)
    with ray.alone():
        write()
    assert order == ["first", "second", "second"], "whoever holds it may have been stopped for good"


@pytest.mark.parametrize("text", ['{"pid": 1', "", "{}", "[]", '{"pid": "1"}', "\x00\xff", '{"pid": 1, "birth": "1"}'])
def test_a_torn_state_file_means_no_daemon(tmp_path: Path, text: str) -> None:
    (tmp_path / "daemon.json").write_bytes(text.encode("latin-1"))
    assert EmbeddedRay(tmp_path).running() is None
    EmbeddedRay(tmp_path).stop()


def test_one_that_was_never_started_or_was_stopped_is_not_lost_and_one_that_died_is(tmp_path: Path) -> None:
    ray = EmbeddedRay(tmp_path / "ray")
    assert ray.lost() == ""
    ray.folder.mkdir()
    (ray.folder / "token").write_text("secret")
    (ray.folder / "ray.log").write_text("started\n2026 gcs_server died\n\n")
    state = {"pid": 2**22 + 1, "birth": "1", "marker": "x", "temp": "/nowhere", "dashboardPort": 1, "servePort": 2}
    (ray.folder / "daemon.json").write_text(json.dumps(state))
    assert ray.lost() == "its processes have ended: 2026 gcs_server died"
    (ray.folder / "ray.log").write_text(
        "12:00 ERR scripts.py:1306 -- Some Ray subprocesses exited unexpectedly:\n"
        "12:00 ERR scripts.py:87 --   gcs_server [exit code=-9]\n12:00 ERR -- Remaining processes will be killed.\n"
    )
    assert ray.lost() == "gcs_server ended with exit code -9"
    (ray.folder / "daemon.json").unlink()
    assert ray.lost(), "a start that failed leaves it lost"
    ray.stop()
    assert ray.lost() == ""
    (ray.folder / "stopped").unlink()
    (ray.folder / "ray.log").unlink()
    assert ray.lost() == "its processes have ended: it left no log"


def test_the_temporary_folder_is_private_and_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon.tempfile, "gettempdir", lambda: str(tmp_path)[:3] + "/a/very/long/temporary/folder")
    place = daemon._private_folder(tmp_path / "project").parent
    try:
        assert len(str(place)) < 30
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        (place / "r").mkdir()
        (place / "r" / "old.log").write_text("of an earlier head")
        assert daemon._private_folder(tmp_path / "project").parent == place
        assert list(place.iterdir()) == []
        assert daemon._private_folder(tmp_path / "other").parent != place
        place.chmod(0o755)
        with pytest.raises(ConfigurationError, match="not a private folder"):
            daemon._private_folder(tmp_path / "project")
    finally:
        place.rmdir()
        daemon._private_folder(tmp_path / "other").parent.rmdir()


def test_a_link_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    place = daemon._private_folder(tmp_path).parent
    place.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    place.symlink_to(tmp_path / "elsewhere")
    try:
        with pytest.raises(ConfigurationError, match="not a private folder"):
            daemon._private_folder(tmp_path)
    finally:
        place.unlink()


def test_the_environment_is_hermetic() -> None:
    inherited = {
        "PATH": "/usr/bin",
        "HOME": "/home/me",
        "AWS_REGION": "eu",
        "RAY_ADDRESS": "http://elsewhere:8265",
        "RAY_AUTH_TOKEN": "of another cluster",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MLOPS_GIT_TOKEN": "secret",
        "MLOPS_WEBHOOK_SECRET": "secret",
    }
    found = environment(inherited, Path("/t/token"), {"RAY_USE_TLS": "1"}, "mark")
    assert found["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "/usr/bin"]
    assert (found["HOME"], found["AWS_REGION"], found[MARKER]) == ("/home/me", "eu", "mark")
    assert (found["RAY_AUTH_MODE"], found["RAY_AUTH_TOKEN_PATH"], found["RAY_USE_TLS"]) == ("token", "/t/token", "1")
    assert not {"RAY_ADDRESS", "RAY_AUTH_TOKEN", "PYTHONDONTWRITEBYTECODE"} & set(found)
    assert "secret" not in found.values()


def test_every_port_of_the_head_is_given() -> None:
    """A default of Ray's would collide with a second daemon."""
    line = command(Path("/t"), cpus=None, gpus=0, dashboard_port=1234)
    given = dict(item[2:].split("=") for item in line if item.startswith("--") and "=" in item)
    ports = {name: value for name, value in given.items() if name.endswith("port")}
    assert ports.pop("dashboard-port") == "1234"
    assert set(ports.values()) == {"0"}
    assert len(ports) == 9
    assert (given["num-gpus"], "num-cpus" in given, given["dashboard-host"]) == ("0", False, "127.0.0.1")


def test_the_client_server_is_left_out() -> None:
    class Parameters:
        ray_client_server_port = 10001

    parameters = Parameters()
    head.trim(parameters, True)
    assert parameters.ray_client_server_port is None


def test_certificates_are_made_once_and_renewed_in_time(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    files = ensure_certificates(folder, NOW)
    first = files.certificate.read_bytes()
    for path in (files.certificate, files.key, files.authority):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ensure_certificates(folder, NOW + timedelta(days=365)).certificate.read_bytes() == first
    late = NOW + VALID - RENEW_BEFORE + timedelta(days=1)
    second = ensure_certificates(folder, late).certificate.read_bytes()
    assert second != first
    assert x509.load_pem_x509_certificate(second).not_valid_after_utc > late + VALID - timedelta(days=1)


def test_the_certificate_is_for_this_machine_and_signed_by_a_key_that_is_gone(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path / "tls", NOW)
    node = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    node.verify_directly_issued_by(authority)
    names = node.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert {str(item) for item in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "::1"}
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == ["ca.crt", "node.crt", "node.key"]
