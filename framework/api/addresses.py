"""Whether an address can be one at all: what no client could take apart is a mistake of its author, told where it
stands, and not a fault of whoever goes there."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import entry_points
from urllib.parse import SplitResult, urlsplit

from framework.api.credentials import unquoted
from framework.api.nearest import nearest
from framework.api.places import parts_of

_OF_HOSTS = frozenset({"http", "https", "ftp", "sftp", "ssh", "smb", "hdfs", "webhdfs", "redis", "rediss", "webdav"})
"""Schemes before the name of a machine. Elsewhere a bucket, a container or nothing at all stands there."""
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?|[^\x00-\x7f][^\s/]*")
LOCAL = frozenset({"file", "local", "asynclocal"})
FILESYSTEMS = LOCAL | {
    "abfs", "abfss", "adl", "arrow_hdfs", "async_wrapper", "asyncwrapper", "az", "blockcache", "box", "cached", "dask",
    "data", "dbfs", "dir", "dropbox", "dvc", "filecache", "ftp", "gcs", "gdrive", "generic", "gist", "git", "github",
    "gs", "hdfs", "hf", "http", "https", "jlab", "jupyter", "lakefs", "libarchive", "memory", "oci", "ocilake", "oss",
    "pyscript", "reference", "root", "s3", "s3a", "sftp", "simplecache", "smb", "ssh", "tar", "tos", "tosfs", "wandb",
    "webdav", "webhdfs", "zip",
}  # fmt: skip
"""Those that fsspec knows without being asked."""
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


def unknown_scheme(address: str) -> tuple[str, str | None] | None:
    """Why an fsspec URL leads to no file system that anybody knows, and what was likely meant; None where it does, or
    is a path. What is installed besides counts as known; no driver is loaded for it."""
    for link in address.split("::"):
        scheme, separator, rest = link.partition("://")
        if not separator:
            scheme, colon, rest = link.partition(":")
            if colon and scheme in FILESYSTEMS - LOCAL:
                return f"{scheme}: is followed by // in a URL", f"{scheme}://{rest.lstrip('/')}"
        elif scheme not in FILESYSTEMS and scheme not in _installed():
            word = scheme.casefold().removesuffix("filesystem")
            near = nearest(word, sorted(FILESYSTEMS))
            known = "no file system is known by that name; allowed are a folder of the project, s3://, gs://, abfs://"
            return f"{scheme}://: {known} and whatever else fsspec knows", f"{near}://{rest}" if near else None
    return None


@cache
def _installed() -> frozenset[str]:
    return frozenset(point.name for point in entry_points(group="fsspec.specs"))


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
