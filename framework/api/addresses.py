"""Whether an address can be one at all: what no client could take apart is a mistake of its author, told where it
stands, and not a fault of whoever goes there."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from framework.api.credentials import unquoted
from framework.api.places import parts_of

_OF_HOSTS = frozenset({"http", "https", "ftp", "sftp", "ssh", "smb", "hdfs", "webhdfs", "redis", "rediss", "webdav"})
"""Schemes before the name of a machine. Elsewhere a bucket, a container or nothing at all stands there."""
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?|[^\x00-\x7f][^\s/]*")
PORTS = "a port is a number from 1 to 65535"


def mistake(address: str, *, host: bool = True) -> str | None:
    """Why ``address`` leads nowhere; None where it may. ``host``: it needs one. What it says repeats nothing of the
    address, which may hold a secret."""
    if re.search(r"[\s\x00-\x1f\x7f]", address):
        return "an address has no blanks in it"
    try:
        split = urlsplit(address)
    except ValueError:
        return "brackets in an address stand around an IPv6 address, as in http://[::1]:8265"
    return _port(split) or _host(split, needed=host)


def mistake_of_link(address: str) -> str | None:
    """The same of a path or an fsspec URL, link by link; of those alone that begin with the name of a machine."""
    for link in address.split("::"):
        scheme, separator, _ = link.partition("://")
        if separator and scheme.casefold() in _OF_HOSTS:
            # A query or a pattern may hold blanks; the host does not.
            why = mistake(re.split(r"(?<!:|/)[/?#]", link, maxsplit=1)[0])
            if why is not None:
                return why
    return None


def mistake_of_base(address: str) -> str | None:
    """The same of an http(s) address that paths are put behind."""
    why = mistake(address)
    if why is not None:
        return why
    split = urlsplit(address)
    if "?" in address or "#" in address:
        return "paths are put behind it, so it has neither a query nor a fragment"
    if ".." in parts_of(unquoted(split.path)):
        return "a path with '..' in it leads elsewhere than it says"
    return None


def _port(split: SplitResult) -> str | None:
    behind = split.netloc.rpartition("@")[2].rpartition("]")[2]
    try:
        port = split.port
    except ValueError:
        return PORTS
    return PORTS if port == 0 or behind.endswith(":") else None


def _host(split: SplitResult, *, needed: bool) -> str | None:
    name = split.hostname or ""
    if "[" in split.netloc:
        return None  # urlsplit has looked at what stands in brackets
    if not name:
        return "it names no host" if needed else None
    if _HOST.fullmatch(name) is None or ".." in name:
        return "the name of a host is letters, digits, '-' and '.'"
    return None
