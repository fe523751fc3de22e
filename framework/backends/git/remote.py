"""A repository elsewhere: which addresses are followed, how we show who we are, and what its refusals mean.

Credentials live in the environment of the one process that needs them: never in the address, on a command line, on
disk, in a log or in an error.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from framework.api.errors import ConfigurationError
from framework.backends.git.process import Access
from framework.specs.language import words

DEFAULT_USERNAME = "x-access-token"
"""What GitHub calls the owner of a token; GitLab, Gitea and Forgejo accept any name beside one."""

_SCHEMES = ("https", "ssh", "file")
_WHY_NOT = {
    "http": "http is not encrypted: whoever is on the way can read the token and change the specs; use https",
    "git": "git:// is neither encrypted nor signed, so anybody on the way can change the specs; use https or ssh",
}
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_USER = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_AUTHORITY = re.compile(rf"(?:(?P<user>{_USER})@)?{_HOST}(?::\d{{1,5}})?")
_SCP = re.compile(rf"(?:{_USER}@)?{_HOST}:(?!-)[^:@][^@]*")
_TRANSPORT = re.compile(r"[A-Za-z0-9+.-]*::")
_LONGEST = 2000
_LAST_WORDS = 3

_UNREACHABLE: tuple[tuple[str, str], ...] = (
    ("host key verification failed", "its host key is not in known_hosts; add it, after comparing it"),
    ("permission denied (publickey", "it accepts none of our keys; set MLOPS_GIT_SSH_KEY"),
    ("could not read username", "it wants credentials; set MLOPS_GIT_TOKEN"),
    ("could not read password", "it wants credentials; set MLOPS_GIT_TOKEN"),
    ("authentication failed", "it does not accept MLOPS_GIT_USERNAME with MLOPS_GIT_TOKEN"),
    ("error: 403", "it does not let us in; what may MLOPS_GIT_TOKEN do?"),
    ("error: 301", "it points elsewhere, and redirects are not followed; set MLOPS_SOURCE to where it is now"),
    ("error: 302", "it points elsewhere, and redirects are not followed; set MLOPS_SOURCE to where it is now"),
    ("error: 307", "it points elsewhere, and redirects are not followed; set MLOPS_SOURCE to where it is now"),
    ("error: 308", "it points elsewhere, and redirects are not followed; set MLOPS_SOURCE to where it is now"),
    ("dubious ownership", "its folder belongs to another user; let this one own it, or use ssh"),
)


@dataclass(frozen=True)
class Credentials:
    """What the operator gave us to show: for https a user and a token, for ssh the file of a private key."""

    username: str | None = None
    token: str | None = field(default=None, repr=False)
    ssh_key: Path | None = None


@dataclass(frozen=True)
class Remote:
    """An address that was checked. ``url`` has no secret in it."""

    url: str
    scheme: str
    access: Access

    def refusal(self, complaint: str) -> str:
        """What a person can do about what git complained about, in one line."""
        lowered = complaint.lower()
        if self.access.secrets and "could not read username" in lowered:
            lowered = "authentication failed"  # git would ask for another one
        for sign, meaning in _UNREACHABLE:
            if sign in lowered:
                return f"{self.url}: {meaning}"
        return f"{self.url}: {words_of(complaint)}"


def words_of(complaint: str) -> str:
    """The last things that git said went wrong, on one line."""
    lines = [line for line in complaint.splitlines() if not line.startswith("hint:")]
    telling = [line for line in lines if re.match(r"(fatal|error|remote): ", line)] or lines
    last = dict.fromkeys(re.sub(r"^(fatal|error): ", "", line) for line in telling[-_LAST_WORDS:])
    return "; ".join(last) or "no reason given"


def is_remote(address: str) -> bool:
    """Whether it is meant as an address and not as a folder of this machine."""
    return "::" in address or "://" in address or ":" in address.split("/", 1)[0]


def parse_remote(address: str, credentials: Credentials | None = None) -> Remote:
    """Check an address and prepare how to reach it.

    Raises:
        ConfigurationError: a scheme that is not allowed, credentials in the address, or no address at all. What the
            address holds is not repeated where a secret may be in it.
    """
    shown = credentials or Credentials()
    if not address or len(address) > _LONGEST or not address.isprintable() or re.search(r"\s", address):
        raise ConfigurationError("MLOPS_SOURCE is not the address of a repository: it is empty, or has blanks in it")
    if address.startswith("-"):
        raise ConfigurationError(f"MLOPS_SOURCE: {_named(address)} is not an address: it starts with a dash")
    if _TRANSPORT.match(address):
        name = address.partition("::")[0]
        raise ConfigurationError(f"MLOPS_SOURCE: {name!r}:: runs a program of its own; allowed are {_allowed()}")
    if "://" not in address:
        return _scp(address, shown)
    url = _split(address)
    if url.scheme not in _SCHEMES:
        why = _WHY_NOT.get(url.scheme, f"{url.scheme!r} is not followed; allowed are {_allowed()}")
        raise ConfigurationError(f"MLOPS_SOURCE: {why}")
    _check_parts(url)
    if url.scheme == "file":
        return Remote(address, "file", _access("file", {}))
    if url.scheme == "ssh":
        return Remote(address, "ssh", _ssh(shown))
    return Remote(address, "https", _https(address, shown))


def _allowed() -> str:
    return "https, ssh, file and user@host:path"


def _split(address: str) -> SplitResult:
    try:
        url = urlsplit(address)
        _ = url.port
    except ValueError as error:
        raise ConfigurationError("MLOPS_SOURCE is not a URL: its host or port cannot be read") from error
    return url


def _check_parts(url: SplitResult) -> None:
    if "@" in url.netloc and (url.scheme == "https" or ":" in url.netloc.rpartition("@")[0]):
        raise ConfigurationError(
            "MLOPS_SOURCE has credentials in it, where logs and errors would show them; "
            "take them out and set MLOPS_GIT_USERNAME and MLOPS_GIT_TOKEN"
        )
    if url.query or url.fragment:
        raise ConfigurationError("MLOPS_SOURCE: the address of a repository has no ? and no # in it")
    if url.scheme == "file":
        if url.netloc not in {"", "localhost"}:
            raise ConfigurationError("MLOPS_SOURCE: a file:// address names no host; write file:///path")
    elif _AUTHORITY.fullmatch(url.netloc) is None:
        raise ConfigurationError(f"MLOPS_SOURCE: {words.shorten(url.netloc)!r} is not the name of a host")
    if len(url.path) <= 1 or "\0" in unquote(url.path) or "\n" in unquote(url.path):
        raise ConfigurationError("MLOPS_SOURCE: the address names a host, but no repository on it")


def _scp(address: str, credentials: Credentials) -> Remote:
    """``user@host:path``, which git reads as ssh."""
    if _SCP.fullmatch(address) is None:
        raise ConfigurationError(f"MLOPS_SOURCE: {_named(address)} is not an address; allowed are {_allowed()}")
    return Remote(address, "ssh", _ssh(credentials))


def _named(address: str) -> str:
    """The address for an error: without what could be a password in it."""
    return repr(words.shorten(re.sub(r".*@", "…@", address)))


def _access(
    scheme: str,
    environment: Mapping[str, str],
    settings: Mapping[str, str] | None = None,
    secrets: tuple[str, ...] = (),
) -> Access:
    common = {
        "protocol.version": "2",
        "transfer.fsckObjects": "true",
        "fetch.fsckObjects": "true",
        "fetch.recurseSubmodules": "false",
        "push.recurseSubmodules": "no",
        "push.gpgSign": "false",
        "http.followRedirects": "false",
        "http.lowSpeedLimit": "500",
        "http.lowSpeedTime": "30",
    }
    return Access({"GIT_ALLOW_PROTOCOL": scheme, **environment}, {**common, **(settings or {})}, secrets)


def _https(address: str, credentials: Credentials) -> Access:
    if credentials.token is None:
        return _access("https", {})
    pair = f"{credentials.username or DEFAULT_USERNAME}:{credentials.token}"
    encoded = base64.b64encode(pair.encode()).decode("ascii")
    # For this address only: git would send a header without an address to every host that it talks to.
    header = {f"http.{address}.extraHeader": f"Authorization: Basic {encoded}"}
    return _access("https", {}, header, (credentials.token, encoded))


def _ssh(credentials: Credentials) -> Access:
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=15", "ServerAliveInterval=15"]
    options += ["ServerAliveCountMax=3", "ForwardAgent=no", "ClearAllForwardings=yes", "PermitLocalCommand=no"]
    command = ["ssh", *(part for option in options for part in ("-o", option))]
    if credentials.ssh_key is not None:
        command += ["-o", "IdentitiesOnly=yes", "-i", str(credentials.ssh_key)]
    return _access("ssh", {"GIT_SSH_COMMAND": shlex.join(command), "GIT_SSH_VARIANT": "ssh"})
