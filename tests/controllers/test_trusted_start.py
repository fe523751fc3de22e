"""Where signatures are required, an unsigned commit does not even say where state is kept."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controllers.host.opening import LOOKED_BACK, AcceptedEnvironment
from controllers.host.wiring import open_project
from controllers.settings import Settings
from framework.api.errors import ConfigurationError
from framework.backends.git.source import GitSource
from framework.kinds.environment.spec import EnvironmentSpec
from tests.controllers.test_followed import SPECS

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen to make keys")


class Origin:
    def __init__(self, folder: Path) -> None:
        self.folder, self.key, self.allowed = folder / "repository", folder / "key", folder / "allowed"
        self.folder.mkdir()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True, timeout=30)
        public = " ".join(self.key.with_suffix(".pub").read_text().split()[:2])
        self.allowed.write_text(f"ada@example.org {public}\n")
        self.git("init", "--quiet", "--initial-branch=main")
        for path, text in SPECS.items():
            (self.folder / path).parent.mkdir(exist_ok=True)
            (self.folder / path).write_text(text)

    def git(self, *words: str) -> None:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        signing = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={self.key}"]
        subprocess.run(
            ["git", *identity, *signing, *words], cwd=self.folder, check=True, capture_output=True,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
        )  # fmt: skip

    def commit(self, *options: str, state: str) -> None:
        local = self.folder / "mlops_specs" / "local.yaml"
        local.write_text(SPECS["mlops_specs/local.yaml"].replace("spec: {", f"spec: {{state: '{state}', "))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "change", *options)

    def state(self, signers: Path | None, *, starts: bool = False) -> str:
        settings = Settings(root=self.folder, allowed_signers=signers, starts=starts)
        environment = open_project(settings, lambda: datetime.now(UTC)).environment
        assert environment is not None
        return environment.state


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path)


def test_the_newest_signed_commit_says_where_state_is(origin: Origin) -> None:
    origin.commit("--gpg-sign", state="sqlite:///ours.db")
    origin.commit(state="sqlite:///theirs.db")
    assert origin.state(origin.allowed) == "sqlite:///ours.db"
    assert origin.state(None) == "sqlite:///theirs.db"


def test_without_any_signed_commit_nothing_starts(origin: Origin) -> None:
    origin.commit(state="sqlite:///theirs.db")
    with pytest.raises(ConfigurationError, match="is not signed"):
        origin.state(origin.allowed)
    assert not (origin.folder / "theirs.db").exists()


@pytest.mark.parametrize("repository", ["there", "gone"])
def test_a_copy_of_the_environment_in_force_is_believed_of_a_signed_commit_alone(
    origin: Origin, repository: str
) -> None:
    """A commit may bring a file of that name into a work tree."""
    origin.commit("--gpg-sign", state="sqlite:///ours.db")
    signed = GitSource(origin.folder).resolve("HEAD")
    origin.commit(state="sqlite:///theirs.db")
    unsigned = GitSource(origin.folder).resolve("HEAD")
    for _ in range(LOOKED_BACK):
        origin.commit("--allow-empty", state="sqlite:///more.db")
    kept = AcceptedEnvironment(origin.folder / ".mlops", "local")
    kept.keep(unsigned, EnvironmentSpec(state="sqlite:///theirs.db"))
    with pytest.raises(ConfigurationError, match="is not signed"):
        origin.state(origin.allowed)
    kept.keep("1" * 40, EnvironmentSpec(state="sqlite:///theirs.db"))
    with pytest.raises(ConfigurationError, match="is not signed"):
        origin.state(origin.allowed)
    assert not (origin.folder / "theirs.db").exists()
    kept.keep(signed, EnvironmentSpec(state="sqlite:///ours.db"))
    if repository == "gone":
        (origin.folder / ".git").rename(origin.folder / "away")
    assert origin.state(origin.allowed) == "sqlite:///ours.db"


def test_a_copy_that_an_unsigned_commit_brings_leads_nobody_elsewhere(origin: Origin) -> None:
    """Nor does anybody ask there whether a controller is at work."""
    origin.commit("--gpg-sign", state="sqlite:///ours.db")
    kept = AcceptedEnvironment(origin.folder / ".mlops", "local")
    kept.keep("1" * 40, EnvironmentSpec(state="sqlite:///theirs.db"))
    for starts in (False, True):
        assert origin.state(origin.allowed, starts=starts) == "sqlite:///ours.db"
    assert not (origin.folder / "theirs.db").exists()
