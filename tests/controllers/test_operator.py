"""What an operator may set, and what is told when it cannot work."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from controllers.host.operator import operator_settings
from controllers.settings import Settings, project_folder
from framework.api.errors import ConfigurationError

SECRET = "0123456789abcdef-s3cr3t"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def settings(root: Path, **variables: str) -> Settings:
    return Settings(root=root, **operator_settings(variables, root))


def test_nothing_set_follows_the_projects_own_repository(root: Path) -> None:
    found = settings(root, HOME="/somewhere", MLOPS_ENV="production")
    assert found == Settings(root=root, holder=found.holder, allow_force_push=True)
    assert (found.source, found.revision, found.webhook, found.allowed_signers) == (None, "HEAD", None, None)


def test_history_is_rewritten_at_home_and_not_at_a_remote(root: Path) -> None:
    assert settings(root).allow_force_push
    assert not settings(root, MLOPS_ALLOW_FORCE_PUSH="0").allow_force_push
    assert not settings(root, MLOPS_SOURCE="https://example.org/specs").allow_force_push


def test_everything_set(root: Path, tmp_path: Path) -> None:
    signers, key = tmp_path / "allowed_signers", tmp_path / "id_ed25519"
    signers.write_text("")
    key.write_text("")
    (tmp_path / "link").symlink_to("/mnt")
    found = settings(
        root,
        MLOPS_SOURCE="https://example.org/specs",
        MLOPS_SOURCE_FOLDER="/teams/flights/",
        MLOPS_BRANCH="release/1",
        MLOPS_POLL="5m",
        MLOPS_ALLOWED_SIGNERS=str(signers),
        MLOPS_ALLOW_FORCE_PUSH="1",
        MLOPS_GIT_USERNAME="ada",
        MLOPS_GIT_TOKEN=SECRET,
        MLOPS_GIT_SSH_KEY=str(key),
        MLOPS_GIT_AUTHOR="Ada <ada@example.org>",
        MLOPS_WEBHOOK="0.0.0.0:9000",
        MLOPS_WEBHOOK_SECRET=SECRET,
        MLOPS_KEEPER="17",
        MLOPS_ALLOWED_PATHS=f"/srv/mlops/:{tmp_path}/link",
    )
    assert (found.source, found.source_folder, found.revision) == (
        "https://example.org/specs", "teams/flights", "release/1"
    )  # fmt: skip
    assert (found.remote_poll, found.allowed_signers, found.allow_force_push) == (timedelta(minutes=5), signers, True)
    assert (found.git.username, found.git.token, found.git.ssh_key) == ("ada", SECRET, key)
    assert found.webhook is not None
    assert (found.webhook.host, found.webhook.port, found.webhook.secret) == ("0.0.0.0", 9000, SECRET)
    assert found.keeper == 17
    assert found.premises.allowed == ("/srv/mlops/", "/srv/mlops", f"{tmp_path}/link", "/mnt")
    assert SECRET not in repr(found)


def test_a_remote_is_followed_on_main(root: Path) -> None:
    assert settings(root, MLOPS_SOURCE="git@example.org:specs").revision == "main"


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("9000", "127.0.0.1", 9000),
        (":9000", "127.0.0.1", 9000),
        ("localhost:0", "localhost", 0),
        ("[::1]:80", "::1", 80),
    ],
)
def test_a_webhook_listens_on_loopback_unless_told_otherwise(root: Path, address: str, host: str, port: int) -> None:
    found = settings(root, MLOPS_WEBHOOK=address, MLOPS_WEBHOOK_SECRET=SECRET).webhook
    assert found is not None
    assert (found.host, found.port) == (host, port)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"MLOPS_ALLOW_FORCE_PUSH": "maybe"}, "MLOPS_ALLOW_FORCE_PUSH is 'maybe'; write 1 or 0"),
        ({"MLOPS_POLL": "soon"}, "MLOPS_POLL: "),
        ({"MLOPS_POLL": "100ms"}, "MLOPS_POLL"),
        ({"MLOPS_POLL": "30d"}, "between 1s and 1d"),
        ({"MLOPS_ALLOWED_SIGNERS": ""}, "MLOPS_ALLOWED_SIGNERS is empty"),
        ({"MLOPS_ALLOWED_SIGNERS": "signers"}, "depends on where the controller was started"),
        ({"MLOPS_ALLOWED_SIGNERS": "/nowhere/signers"}, "there is no file /nowhere/signers"),
        ({"MLOPS_GIT_SSH_KEY": "/nowhere/key"}, "there is no file /nowhere/key"),
        ({"MLOPS_GIT_USERNAME": "ada"}, "goes with MLOPS_GIT_TOKEN"),
        ({"MLOPS_GIT_USERNAME": "a:b", "MLOPS_GIT_TOKEN": SECRET}, "has no colon"),
        ({"MLOPS_GIT_TOKEN": f"{SECRET}\n"}, "MLOPS_GIT_TOKEN has blanks"),
        ({"MLOPS_GIT_TOKEN": f"{SECRET} x"}, "MLOPS_GIT_TOKEN has blanks"),
        ({"MLOPS_ALLOWED_PATHS": "store"}, "MLOPS_ALLOWED_PATHS: 'store' is no folder from the root"),
        ({"MLOPS_ALLOWED_PATHS": "/srv:/data/../etc"}, "'/data/../etc' is no folder from the root"),
        ({"MLOPS_WEBHOOK": "9000"}, "needs MLOPS_WEBHOOK_SECRET, of at least 16 characters"),
        ({"MLOPS_WEBHOOK": "9000", "MLOPS_WEBHOOK_SECRET": SECRET[:15]}, "of at least 16 characters"),
        ({"MLOPS_WEBHOOK": "example.org", "MLOPS_WEBHOOK_SECRET": SECRET}, "write host:port"),
        ({"MLOPS_WEBHOOK": "localhost:70000", "MLOPS_WEBHOOK_SECRET": SECRET}, "write host:port"),
    ],
)
def test_what_cannot_work_is_told_without_any_secret(root: Path, variables: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        settings(root, **variables)
    assert says in str(error.value)
    assert SECRET[:15] not in str(error.value)


def test_who_may_sign_is_not_a_file_of_the_project(root: Path) -> None:
    (root / "allowed_signers").write_text("")
    (root / ".mlops").mkdir()
    (root / ".mlops" / "allowed_signers").write_text("")
    with pytest.raises(ConfigurationError, match="lies in the project"):
        settings(root, MLOPS_ALLOWED_SIGNERS=str(root / "allowed_signers"))
    (root / ".mlops" / "link").symlink_to(root / "allowed_signers")
    with pytest.raises(ConfigurationError, match="lies in the project"):
        settings(root, MLOPS_ALLOWED_SIGNERS=str(root / ".mlops" / "link"))
    assert settings(root, MLOPS_ALLOWED_SIGNERS=str(root / ".mlops" / "allowed_signers")).allowed_signers


def test_the_folder_of_a_project_without_a_repository(root: Path) -> None:
    below = root / "a" / "b"
    below.mkdir(parents=True)
    assert project_folder(below) == below
    (root / ".mlops").mkdir()
    assert project_folder(below) == root
