"""What a spec may name of the machine that the controller runs on. Who writes commits is not who runs that machine.

Whatever mlopsctl itself writes lies in the project, apart from git, specs and code; whatever it reads as a secret lies
where nobody commits. Anything else needs the operator's word, as a folder that is allowed. Data that views read is not
held to this: it is read by runs, which execute the user's own code with the same rights.

Names alone are looked at here. Where links lead is looked at when a place is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from fnmatch import fnmatchcase
from itertools import takewhile
from types import MappingProxyType
from typing import NamedTuple

from framework.api.credentials import redacted, unquoted

_WILD = re.compile(r"[*?\[]")
OWN_FOLDER = ".mlops"
"""What mlopsctl keeps for a project; git ignores it."""
SPECS_FOLDER = "mlops_specs"
SECRETS_FOLDER = "/run/secrets"
"""Where container platforms put files with secrets."""
ALERTS_SUFFIX = ".jsonl"
OWN_DATABASE = "state.db"
"""Below the own folder: where the state lies unless an Environment says otherwise."""
OWN_FILES = ("cache", "sources", "ray", "controller.*", "environment-*.json", "mirror-*.git")
"""What mlopsctl keeps there besides, as patterns: nothing that a spec names may be, hold or lie in one of these."""
_LONGEST_NAME = 255

_LOCAL = re.compile(r"(file|local|asynclocal):(//)?", re.IGNORECASE)
_A_PROTOCOL = re.compile(r"[a-z]+")
"""A link of a chain that is nothing but the name of a protocol, as fsspec reads it."""
_SQLITE = re.compile(r"sqlite(\+\w+)?://", re.IGNORECASE)


class Use(StrEnum):
    """What a place is named for."""

    STORAGE = "storage"
    DATABASE = "database"
    ALERTS = "alerts"
    SECRET = "secret"  # noqa: S105 - a word
    DATA = "data"
    """Read and never written; what is written keeps away from it."""


class Place(NamedTuple):
    """What stands at a dotted path of a spec, and what for."""

    path: str
    address: str
    use: Use


class Data(NamedTuple):
    """Paths and patterns that views read, by what is compared with a path at once: ``at`` by the parts before the first
    wildcard, ``through`` by all folders on the way there."""

    at: Mapping[tuple[str, ...], tuple[str, ...]] = MappingProxyType({})
    through: Mapping[tuple[str, ...], str] = MappingProxyType({})

    def beside(self, parts: tuple[str, ...]) -> str | None:
        """What of it is the same as a path, lies in it, or holds it."""
        for depth in range(len(parts) + 1):
            for data in self.at.get(parts[:depth], ()):
                if _overlap(parts, parts_of(data)):
                    return data
        return self.through.get(parts)


class Premises(NamedTuple):
    """The project's folder and those that the operator allows besides, as absolute paths; ``code`` are top folders of
    the project that hold user code, ``data`` paths and patterns in it that views read."""

    root: str = ""
    allowed: tuple[str, ...] = ()
    code: frozenset[str] = frozenset()
    data: Data = Data()


def local_path(address: str) -> str | None:
    """The path on this machine that a path or an fsspec URL comes to, also behind other protocols
    (``simplecache::file:///x``); None where it lies elsewhere."""
    links = address.split("::")
    for link in links:
        local = _LOCAL.match(link)
        if local is not None:
            return link[local.end() :]
        if "://" not in link and (len(links) == 1 or not _A_PROTOCOL.fullmatch(link)):
            return link
    return None


def data_named(places: Iterable[Place]) -> Data:
    """Paths of the project, or patterns of such, that are read as data; what mlopsctl keeps is not told again."""
    at: dict[tuple[str, ...], tuple[str, ...]] = {}
    through: dict[tuple[str, ...], str] = {}
    found = {place.address for place in places if place.use is Use.DATA and "://" not in place.address}
    for path in sorted(found):
        parts = parts_of(path)
        if parts[:1] != (OWN_FOLDER,):
            fixed = tuple(takewhile(lambda part: not _WILD.search(part), parts))
            at[fixed] = (*at.get(fixed, ()), path)
            for depth in range(1, len(fixed)):
                through.setdefault(fixed[:depth], path)
    return Data(at, through)


def database_path(address: str) -> str | None:
    """The same of a database's URL: ``sqlite:///x`` lies in the project, ``sqlite:////x`` anywhere. SQLAlchemy takes
    ``%2F`` in it for a ``/``."""
    found = _SQLITE.match(address)
    return None if found is None else unquoted(address[found.end() :].removeprefix("/"))


def refusal(place: Place, premises: Premises) -> str | None:
    """Why something may not lie there; None where it may, or lies on no file system of this machine."""
    if place.use is Use.DATA:
        return None
    if "::" in place.address and "://" not in place.address:
        return "'::' stands between the protocols of a URL, and there is none"
    path = (database_path if place.use is Use.DATABASE else local_path)(place.address)
    if path is None:
        return "alerts go to a file of the project or a webhook" if place.use is Use.ALERTS else None
    if any(".." in parts_of(unquoted(link)) for link in place.address.split("::")):
        return _outside(place.address)
    if _LOCAL.match(place.address) and not path.startswith("/"):
        return "a file:// address is an absolute path: file:///folder"
    if _LOCAL.match(place.address) and unquoted(path) != path:
        return "a file:// address is written without '%': not all libraries take it for another character"
    return refused_path(path, place.use, premises)


def refused_path(path: str, use: Use, premises: Premises) -> str | None:
    """The same of a path, relative to the project or absolute."""
    parts = parts_of(path)
    if "\0" in path or ".." in parts or path.startswith("~"):
        return _outside(path)
    longest = max((len(part.encode("utf-8", "replace")) for part in parts), default=0)
    if longest > _LONGEST_NAME:
        return f"a name in it has {longest} bytes; file systems hold {_LONGEST_NAME}"
    inside: tuple[str, ...] | None = parts
    if path.startswith("/"):
        inside = _below(parts, parts_of(premises.root)) if premises.root else None
        if inside is None and _is_allowed(parts, use, premises):
            return _misnamed(parts, use)
        if inside is None:
            return _outside(path)
    assert inside is not None
    return _in_project(inside, use, premises) or _misnamed(parts, use)


def _in_project(parts: tuple[str, ...], use: Use, premises: Premises) -> str | None:
    own = parts[:1] == (OWN_FOLDER,)
    if use is Use.SECRET:
        return (
            None if own else f"a file with a secret lies below {OWN_FOLDER}/ or {SECRETS_FOLDER}/, where git has none"
        )
    if not parts:
        return "that is the project's folder itself; name one below it"
    if any(part.startswith(".") for part in parts[own:]):
        return f"hidden files are others'; the hidden folder for what mlopsctl keeps is {OWN_FOLDER}/"
    if parts[0].casefold() == SPECS_FOLDER or parts[0] in premises.code:
        return f"{parts[0]}/ holds what is committed; name another folder, such as {OWN_FOLDER}/"
    if own:
        return _misnamed(parts, use) or _own(parts[1:], use)
    read = premises.data.beside(parts)
    if read is not None:
        told = read if len(read) <= 100 else f"{read[:100]}…"
        return f"views read {redacted(told)}, which would lie in it or below it; name another place"
    return None


def _own(parts: tuple[str, ...], use: Use) -> str | None:
    """Why it may not be that below the own folder."""
    database = use is Use.DATABASE and parts == (OWN_DATABASE,)
    for own in (*OWN_FILES, *(() if database else (OWN_DATABASE, f"{OWN_DATABASE}-*"))):
        if _overlap(parts, (own,)):
            return f"mlopsctl keeps {OWN_FOLDER}/{own} for itself; name another place, such as {OWN_FOLDER}/store"
    return None


def _overlap(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether what ``pattern`` stands for is the same as ``path``, or lies in it, or holds it."""
    for part, other in zip(path, pattern, strict=False):
        if other == "**":
            return True
        if part != other and not fnmatchcase(part, other):
            return False
    return True


def _misnamed(parts: tuple[str, ...], use: Use) -> str | None:
    if use is Use.ALERTS and not parts[-1].endswith(ALERTS_SUFFIX):
        return f"alerts are appended to a file of their own, whose name ends in {ALERTS_SUFFIX}"
    return None


def _is_allowed(parts: tuple[str, ...], use: Use, premises: Premises) -> bool:
    folders = (*premises.allowed, *([SECRETS_FOLDER] if use is Use.SECRET else []))
    return any(_below(parts, parts_of(folder)) is not None for folder in folders)


def _outside(path: str) -> str:
    told = redacted(path)
    told = told if len(told) <= 100 else f"{told[:100]}…"
    return (
        f"{told!r} lies outside of the project; whoever runs the controller may allow a folder with MLOPS_ALLOWED_PATHS"
    )


def parts_of(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in {"", "."})


def _below(parts: tuple[str, ...], folder: tuple[str, ...]) -> tuple[str, ...] | None:
    """What of a path lies below ``folder``; None where it lies elsewhere."""
    return parts[len(folder) :] if parts[: len(folder)] == folder else None
