"""Which names the versions of a model have now: what serves, what comes next, and people's own. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from framework.api.aliases import CHALLENGER, CHAMPION, RESERVED
from framework.api.errors import ConfigurationError
from framework.api.meta import Ref
from framework.ports import ModelVersion


@dataclass(frozen=True)
class ModelUse:
    """A deployment that a version is in, as ``stable`` or ``candidate``, and its share of the traffic in per cent;
    since when, and at which commit."""

    ref: Ref
    role: str
    weight: int
    since: datetime | None = None
    commit: str = ""


@dataclass(frozen=True)
class ModelAlias:
    """A name that a version has, since when, and which commit moved it there; ``author`` and ``subject`` are what that
    says of itself, empty where it was not asked. ``deployment`` is the one that makes it so."""

    name: str
    version: str
    since: datetime | None = None
    commit: str = ""
    author: str = ""
    subject: str = ""
    deployment: Ref | None = None


def aliases_of(
    models: Sequence[ModelVersion], uses: Mapping[str, Sequence[ModelUse]], own: Sequence[ModelAlias]
) -> tuple[ModelAlias, ...]:
    """The names of all versions of a training job, those that follow from what serves first. ``models`` are newest
    first, ``uses`` go by version, ``own`` are those that git gives."""
    return (*_following(models, uses), *own)


def _following(models: Sequence[ModelVersion], uses: Mapping[str, Sequence[ModelUse]]) -> Iterator[ModelAlias]:
    role_of = {"stable": CHAMPION, "candidate": CHALLENGER}
    found = [
        ModelAlias(role_of[use.role], version, use.since, use.commit, deployment=use.ref)
        for version, several in uses.items()
        for use in several
    ]
    yield from found
    if any(alias.name == CHALLENGER for alias in found):
        return
    serves = {alias.version for alias in found}
    since = max((model.created for model in models if model.version in serves), default=None)
    newest = next((model for model in models if model.deployable), None)
    if newest is not None and newest.version not in serves and (since is None or newest.created > since):
        yield ModelAlias(CHALLENGER, newest.version, newest.created, newest.commit)


def version_called(name: str, training: str, aliases: Sequence[ModelAlias]) -> str | None:
    """The version that has that name; None where it is none that anything could be called by.

    Raises:
        ConfigurationError: nothing is called so now, or several versions are.
    """
    called = [alias for alias in aliases if alias.name == name]
    versions = sorted({alias.version for alias in called})
    if len(versions) > 1:
        several = ", ".join(f"{alias.version} ({alias.deployment})" for alias in called)
        raise ConfigurationError(f"{training!r} has more than one {name}: {several}; name one of the versions")
    if versions:
        return versions[0]
    if name == CHAMPION:
        raise ConfigurationError(f"no deployment serves a version of {training!r}, so it has no champion")
    if name in RESERVED:
        raise ConfigurationError(f"nothing of {training!r} is being rolled out, and nothing newer has passed its gates")
    return None
