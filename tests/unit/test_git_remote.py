"""Which addresses are followed, and what never shows."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from framework.api.errors import ConfigurationError
from framework.backends.git.process import checked_branch
from framework.backends.git.remote import Credentials, is_remote, parse_remote


@pytest.mark.parametrize(
    ("address", "scheme"),
    [
        ("https://github.com/acme/specs", "https"),
        ("https://git.example.org:8443/acme/specs.git", "https"),
        ("https://[2001:db8::1]/specs", "https"),
        ("ssh://git@example.org:2222/acme/specs", "ssh"),
        ("ssh://example.org/~/specs", "ssh"),
        ("git@github.com:acme/specs.git", "ssh"),
        ("example.org:specs", "ssh"),
        ("file:///srv/git/specs.git", "file"),
        ("file://localhost/srv/git/specs.git", "file"),
    ],
)
def test_allowed_addresses(address: str, scheme: str) -> None:
    remote = parse_remote(address)
    assert (remote.url, remote.scheme) == (address, scheme)
    assert remote.access.environment["GIT_ALLOW_PROTOCOL"] == scheme
    assert is_remote(address)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://example.org/specs", "http is not encrypted"),
        ("git://example.org/specs", "neither encrypted nor signed"),
        ("ftp://example.org/specs", "'ftp' is not followed; allowed are https, ssh, file"),
        ("ext::sh -c whoami", "has blanks in it"),
        ("ext::whoami", "'ext':: runs a program"),
        ("fd::17", "runs a program"),
        ("https::http://example.org/x", "runs a program"),
        ("--upload-pack=touch${IFS}x", "starts with a dash"),
        ("-oProxyCommand=x:y", "starts with a dash"),
        ("ssh://-oProxyCommand=whoami/x", "is not the name of a host"),
        ("ssh://git@-oProxyCommand=whoami/x", "is not the name of a host"),
        ("-oProxyCommand=whoami@example.org:x", "starts with a dash"),
        ("git@-oProxyCommand=whoami:x", "is not an address"),
        ("git@example.org:-x", "is not an address"),
        ("https://example.org", "no repository on it"),
        ("https://example.org/", "no repository on it"),
        ("https:///specs", "is not the name of a host"),
        ("https://exa mple.org/specs", "has blanks in it"),
        ("https://example.org/a\nb", "has blanks in it"),
        ("https://example.org/a%0ab", "no repository on it"),
        ("https://example.org:port/a", "host or port cannot be read"),
        ("https://example.org/a?token=x", "no ? and no #"),
        ("file://elsewhere/srv/specs", "names no host"),
        ("", "it is empty"),
        ("x" * 3000, "it is empty"),
    ],
)
def test_refused_addresses_say_why(address: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_remote(address)
    assert says in str(error.value)


@pytest.mark.parametrize(
    "address",
    [
        "https://ada:s3cr3t@example.org/specs",
        "https://s3cr3t@example.org/specs",
        "ssh://git:s3cr3t@example.org/specs",
        "http://ada:s3cr3t@example.org/specs",
        "ada:s3cr3t@example.org:-x",
        "https://example.org/specs?private_token=s3cr3t",
        "https://ada:s3cr3t@example.org:port/specs",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_remote(address)
    assert "s3cr3t" not in str(error.value)


@pytest.mark.parametrize("folder", ["/srv/git/specs", "../specs", "./a:b", "specs"])
def test_folders_are_no_addresses(folder: str) -> None:
    assert not is_remote(folder)


def test_a_token_is_shown_to_its_address_only_and_to_nobody_else() -> None:
    remote = parse_remote("https://example.org/specs", Credentials(token="s3cr3t"))
    encoded = base64.b64encode(b"x-access-token:s3cr3t").decode()

    header = {key: value for key, value in remote.access.settings.items() if encoded in value}
    assert list(header) == ["http.https://example.org/specs.extraHeader"]
    assert remote.access.settings["http.followRedirects"] == "false"
    for shown in (repr(remote), repr(remote.access), repr(Credentials(token="s3cr3t")), remote.url):
        assert "s3cr3t" not in shown
        assert encoded not in shown
    assert set(remote.access.secrets) == {"s3cr3t", encoded}


def test_an_ssh_key_is_the_only_one_offered_and_nobody_is_asked(tmp_path: Path) -> None:
    key = tmp_path / "a key; touch x"
    remote = parse_remote("git@example.org:specs", Credentials(token="s3cr3t", ssh_key=key))
    command = remote.access.environment["GIT_SSH_COMMAND"]

    assert "BatchMode=yes" in command
    assert "StrictHostKeyChecking=yes" in command
    assert command.endswith(f"-o IdentitiesOnly=yes -i '{key}'")
    assert "s3cr3t" not in str(remote.access.environment) + str(remote.access.settings)


@pytest.mark.parametrize("name", ["main", "release/1.0", "mlopsctl/promote-delay-0a1b2c3d", "v1", "a.b", "feature#1"])
def test_names_for_branches(name: str) -> None:
    assert checked_branch(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "-x", "--all", "a b", "a..b", "a/", "/a", "a//b", "a/.b", "a.lock", "a/b.lock/c", "a.", "HEAD", "@", "a@{1}",
     "refs/heads/x:y", "a\n", "a~1", "a^", "a?", "*", "a\\b", "+main", "0" * 40, "é", "x" * 201],
)  # fmt: skip
def test_no_names_for_branches(name: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a name for a branch"):
        checked_branch(name)
