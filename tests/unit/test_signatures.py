"""Commits signed with real ssh keys, judged by the operator's file."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from framework.api.errors import ConfigurationError
from framework.backends.git.mirror import GitMirror
from framework.backends.git.remote import parse_remote
from framework.backends.git.signatures import Signers
from framework.backends.git.source import GitSource
from tests.contract.repositories import Repository

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen to make keys")

COMMITTED = "2024-06-01T12:00:00Z"


class Signing:
    """A repository whose commits are signed with one of a few keys."""

    def __init__(self, folder: Path) -> None:
        self.repository = Repository(folder / "repository")
        self.folder = folder
        self.allowed = folder / "allowed_signers"

    def key(self, name: str) -> str:
        """The public half of a new key."""
        file = self.folder / name
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(file)], check=True, timeout=30
        )
        return " ".join(file.with_suffix(".pub").read_text().split()[:2])

    def allow(self, *lines: str) -> GitSource:
        self.allowed.write_text("".join(f"{line}\n" for line in lines))
        return GitSource(self.repository.folder, signers=Signers(self.allowed))

    def commit(self, key: str | None, *options: str, when: str = COMMITTED) -> str:
        identity = {"NAME": "Ada", "EMAIL": "ada@example.org", "DATE": when}
        environment = {
            f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in identity.items()
        }
        settings = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={self.folder / key}.pub"] if key else []
        tree = self.repository.git("mktree", data=b"")
        git_folder = str(self.repository.folder / ".git")
        done = subprocess.run(
            ["git", *settings, *options, "commit-tree", *(["-S"] if key else []), "-m", "signed", tree],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "GIT_DIR": git_folder, **environment},
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
        return done.stdout.strip()


@pytest.fixture
def signing(tmp_path: Path) -> Signing:
    return Signing(tmp_path)


def test_a_commit_of_an_allowed_signer_is_trusted_and_names_them(signing: Signing) -> None:
    ada, bob = signing.key("ada"), signing.key("bob")
    source = signing.allow(f'ada@example.org namespaces="git" {ada}', f"bob@example.org {bob}")

    for name in ("ada", "bob"):
        found = source.signature(signing.commit(name))
        assert (found.trusted, found.signer, found.problem) == (True, f"{name}@example.org", "")


def test_an_unsigned_commit(signing: Signing) -> None:
    source = signing.allow(f"ada@example.org {signing.key('ada')}")
    found = source.signature(signing.commit(None))
    assert (found.trusted, found.problem) == (False, "is not signed")


def test_a_key_that_nobody_allowed_or_that_was_taken_off_the_list(signing: Signing) -> None:
    ada = signing.key("ada")
    signing.key("mallory")
    source = signing.allow(f"ada@example.org {ada}")
    found = source.signature(signing.commit("mallory"))
    assert not found.trusted
    assert "which is nobody's among the allowed signers" in found.problem
    assert "SHA256:" in found.problem

    commit = signing.commit("ada")
    assert source.signature(commit).trusted
    assert not signing.allow("").signature(commit).trusted


@pytest.mark.parametrize(
    ("limit", "trusted"),
    [
        ('valid-before="20240601"', False),
        ('valid-before="20240602"', True),
        ('valid-after="20240602"', False),
        ('valid-after="20240531"', True),
        ('namespaces="file"', False),
    ],
)
def test_a_key_counts_for_its_time_and_purpose(signing: Signing, limit: str, trusted: bool) -> None:
    source = signing.allow(f"ada@example.org {limit} {signing.key('ada')}")
    assert source.signature(signing.commit("ada")).trusted is trusted


def test_a_commit_that_was_changed_after_it_was_signed(signing: Signing) -> None:
    source = signing.allow(f"ada@example.org {signing.key('ada')}")
    text = signing.repository.git("cat-file", "commit", signing.commit("ada"))
    changed = signing.repository.git(
        "hash-object", "-t", "commit", "-w", "--stdin", data=text.replace("signed", "changed").encode() + b"\n"
    )
    found = source.signature(changed)
    assert not found.trusted
    assert "does not hold" in found.problem


def test_what_the_repository_says_about_signers_is_ignored(signing: Signing) -> None:
    """Neither its files nor its config can vouch for a key, or name a program that does."""
    ada, mallory = signing.key("ada"), signing.key("mallory")
    theirs = signing.folder / "theirs"
    theirs.write_text(f"ada@example.org {mallory}\n")
    script = signing.folder / "yes"
    script.write_text(
        f"#!/bin/sh\ntouch {signing.folder}/ran\n"
        'echo "Good \\"git\\" signature for ada@example.org with ED25519 key SHA256:x"\nexit 0\n'
    )
    script.chmod(0o755)
    signing.repository.commit({"allowed_signers": theirs.read_text(), ".gitconfig": "x"})
    forged, good = signing.commit("mallory"), signing.commit("ada")
    for setting, value in {
        "gpg.ssh.allowedSignersFile": theirs, "gpg.ssh.program": script, "gpg.program": script,
        "gpg.openpgp.program": script, "gpg.x509.program": script, "gpg.format": "openpgp",
        "gpg.minTrustLevel": "undefined",
    }.items():  # fmt: skip
        signing.repository.git("config", setting, str(value))
    source = signing.allow(f"ada@example.org {ada}")

    assert not source.signature(forged).trusted
    assert source.signature(good).trusted
    assert not (signing.folder / "ran").exists()


@pytest.mark.parametrize(("kind", "says"), [("PGP SIGNATURE", "OpenPGP"), ("SIGNED MESSAGE", "X.509")])
def test_other_kinds_of_signatures_are_not_trusted_and_run_nothing(signing: Signing, kind: str, says: str) -> None:
    source = signing.allow(f"ada@example.org {signing.key('ada')}")
    head, _, rest = signing.repository.git("cat-file", "commit", signing.commit(None)).partition("\n\n")
    forged = f"{head}\ngpgsig -----BEGIN {kind}-----\n \n AAAA\n -----END {kind}-----\n\n{rest}\n"
    commit = signing.repository.git("hash-object", "-t", "commit", "-w", "--stdin", data=forged.encode())
    found = source.signature(commit)
    assert not found.trusted
    assert found.problem == f"is signed with {says}; only signatures with ssh keys are checked"


def test_a_signature_in_the_message_is_none(signing: Signing) -> None:
    source = signing.allow(f"ada@example.org {signing.key('ada')}")
    signed = signing.repository.git("cat-file", "commit", signing.commit("ada"))
    signature = signed[signed.index("gpgsig ") : signed.index("\n\n")]
    plain = signing.repository.git("cat-file", "commit", signing.commit(None))
    forged = signing.repository.git(
        "hash-object", "-t", "commit", "-w", "--stdin", data=f"{plain}\n\n{signature}\n".encode()
    )
    assert source.signature(forged).problem == "is not signed"


def test_without_a_file_nobody_is_trusted_and_a_missing_file_is_told(signing: Signing) -> None:
    signing.key("ada")
    commit = signing.commit("ada")
    found = GitSource(signing.repository.folder).signature(commit)
    assert (found.trusted, "no allowed signers are set" in found.problem) == (False, True)
    with pytest.raises(ConfigurationError, match="there is no file"):
        GitSource(signing.repository.folder, signers=Signers(signing.folder / "missing")).signature(commit)


def test_signatures_come_through_a_mirror(signing: Signing) -> None:
    signing.allow(f"ada@example.org {signing.key('ada')}")
    signing.repository.force(signing.commit("ada"))
    remote = parse_remote(signing.repository.folder.as_uri())
    source = GitMirror(signing.folder / "mirror.git", remote, "main", signers=Signers(signing.allowed))
    assert source.signature(source.resolve("main")).signer == "ada@example.org"
