"""How a mirror shows who it is, and what it takes from servers that should not be trusted."""

from __future__ import annotations

import base64
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.api.errors import ConfigurationError, MlopsError, TransientError
from framework.backends.git.mirror import GitMirror
from framework.backends.git.remote import Credentials, parse_remote
from tests.contract.repositories import Repository, stand_in
from tests.git_server import GitServer, git_server
from tests.unit.test_mirror import TOKEN, folder, history, mirror, upstream

pytestmark = pytest.mark.slow

__all__ = ["folder", "upstream"]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    with git_server(tmp_path) as running:
        monkeypatch.setenv("GIT_SSL_CAINFO", str(running.certificate))
        yield running


def over_https(server: GitServer, folder: Path, token: str | None, name: str = "upstream") -> GitMirror:
    return GitMirror(folder, parse_remote(f"{server.url}/{name}/.git", Credentials(token=token)), "main")


def test_a_token_lets_us_in_and_is_written_nowhere(
    upstream: Repository, folder: Path, server: GitServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = history(upstream, 3)
    server.password = TOKEN
    source = over_https(server, folder, TOKEN)
    assert source.resolve("main") == made[-1]
    assert source.resolve("main~2") == made[0]

    assert server.seen
    assert None not in server.seen  # shown at once: git never has to be asked
    encoded = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    for secret in (TOKEN, encoded):
        assert secret not in caplog.text
        written = [path for path in folder.parent.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
        assert written == []


@pytest.mark.parametrize(("token", "says"), [(None, "set MLOPS_GIT_TOKEN"), ("wr0ng", "does not accept MLOPS_GIT")])
def test_a_refused_token_is_told_without_showing_it(
    upstream: Repository, folder: Path, server: GitServer, token: str | None, says: str
) -> None:
    upstream.commit({"a.yaml": "1"})
    server.password = TOKEN
    with pytest.raises(TransientError) as error:
        over_https(server, folder, token).refresh()
    assert says in str(error.value)
    assert "wr0ng" not in str(error.value)


def test_redirects_are_not_followed_and_take_no_token_along(
    upstream: Repository, folder: Path, server: GitServer, tmp_path: Path
) -> None:
    upstream.commit({"a.yaml": "1"})
    (tmp_path / "elsewhere").mkdir()
    with git_server(tmp_path / "elsewhere") as elsewhere:
        server.moved_to = elsewhere.url
        with pytest.raises(TransientError, match="redirects are not followed"):
            over_https(server, folder, TOKEN).refresh()
        assert elsewhere.seen == []


def test_a_broken_server_is_a_passing_error(upstream: Repository, folder: Path, server: GitServer) -> None:
    upstream.commit({"a.yaml": "1"})
    server.broken = True
    source = over_https(server, folder, TOKEN)
    with pytest.raises(TransientError, match="503"):
        source.refresh()
    server.broken = False
    source.refresh()


def test_a_certificate_that_nobody_vouches_for_is_refused_even_if_the_machine_would_not_look(
    upstream: Repository, folder: Path, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.commit({"a.yaml": "1"})
    monkeypatch.delenv("GIT_SSL_CAINFO")
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")
    with pytest.raises(TransientError, match="certificate"):
        over_https(server, folder, TOKEN).refresh()
    assert server.seen == []


def test_what_git_and_the_server_say_shows_no_token(
    upstream: Repository, folder: Path, server: GitServer, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("GIT_TRACE_CURL", "1")
    monkeypatch.setenv("GIT_TRACE_REDACT", "0")
    monkeypatch.setenv("GIT_TRACE", "2")
    with pytest.raises(MlopsError) as error:
        over_https(server, folder, TOKEN, f"missing-{TOKEN}").refresh()
    assert TOKEN not in str(error.value).replace(f"missing-{TOKEN}", "")
    shown = capfd.readouterr()
    assert TOKEN not in shown.out + shown.err


def test_ssh_goes_over_the_operators_key(
    upstream: Repository, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for ssh that runs the command here: what git asks of it, and that the data comes through it."""
    commit = upstream.commit({"a.yaml": "1"})
    runs = f'echo "$@" >> {tmp_path}/calls\nenv >> {tmp_path}/environment\nfor last; do :; done\nexec sh -c "$last"'
    stand_in("ssh", runs, tmp_path, monkeypatch)
    monkeypatch.setenv("GIT_SSH_COMMAND", "false")
    monkeypatch.setenv("MLOPS_GIT_TOKEN", TOKEN)
    key = tmp_path / "a key"
    remote = parse_remote(f"git@example.org:{upstream.folder}", Credentials(token=TOKEN, ssh_key=key))
    assert GitMirror(folder, remote, "main").resolve("main") == commit

    calls = (tmp_path / "calls").read_text()
    assert f"-i {key} " in calls
    assert "BatchMode=yes" in calls
    assert "git@example.org" in calls
    assert TOKEN not in calls + (tmp_path / "environment").read_text()


def test_an_unknown_host_is_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in("ssh", "echo 'Host key verification failed.' >&2\nexit 255", tmp_path, monkeypatch)
    with pytest.raises(TransientError, match="its host key is not in known_hosts"):
        GitMirror(folder, parse_remote("git@example.org:specs"), "main").refresh()


def test_git_is_there(folder: Path, upstream: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    env = shutil.which("env")
    assert env
    (tmp_path / "bin" / "env").symlink_to(env)
    source = mirror(upstream, folder)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ConfigurationError, match="the program git is not installed"):
        source.refresh()
