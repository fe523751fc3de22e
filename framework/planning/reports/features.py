"""What is told of feature views: which there are, what is known of one and of each of its versions. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from framework.api.errors import ConfigurationError
from framework.api.meta import Ref
from framework.api.nearest import did_you_mean
from framework.figures import ColumnFigures, TableMoved
from framework.ports import Json, TableState

_NAMED = 5
"""Versions that a message names."""
_BUILD = 10
"""Characters of a build's name; a number that is longer is no version."""


@dataclass(frozen=True)
class ViewVersion:
    """``current``: readers have it. ``same_table``: it can be named by its number, for it is in the table that they
    read; others go by their build. ``before`` are the rows of the version published before it, ``seconds`` what its run
    took; None where that is not on record."""

    state: TableState
    current: bool
    same_table: bool
    before: int | None = None
    seconds: float | None = None

    @property
    def label(self) -> str:
        return str(self.state.version) if self.same_table else self.state.name

    @property
    def cause(self) -> str:
        return str(self.state.kept.get("cause") or "")

    @property
    def profile(self) -> str | None:
        """Where its whylogs profile lies."""
        found = self.state.kept.get("profile")
        return found if isinstance(found, str) else None

    @property
    def findings(self) -> Sequence[Mapping[str, Any]]:
        """What came of each expectation: {check, column, observed, passed, ...}."""
        return [one.model_dump(mode="json") for one in self.state.expectations]

    @property
    def verdicts(self) -> Mapping[str, int]:
        """How many passed, how many only warned, and how many failed."""
        words = [verdict(one) for one in self.findings]
        return {word: words.count(word) for word in ("passed", "warned", "failed")}


def verdict(finding: Mapping[str, Any]) -> str:
    if finding.get("passed"):
        return "passed"
    return "warned" if finding.get("severity") == "warn" else "failed"


@dataclass(frozen=True)
class ViewColumn:
    name: str
    dtype: str
    description: str = ""


@dataclass(frozen=True)
class ViewRow:
    """A view in a line. ``version`` is what readers have, None where nothing is published; ``fresh_for`` how old its
    newest event may be, None where no expectation says; ``readers`` read it, by themselves or by what they read.
    ``asked``: the newest commit asks for it. ``problem`` is why its table cannot be read now."""

    name: str
    columns: tuple[ViewColumn, ...] = ()
    version: ViewVersion | None = None
    readers: tuple[Ref, ...] = ()
    owner: str = ""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    fresh_for: timedelta | None = None
    asked: bool = True
    problem: str = ""

    @property
    def newest(self) -> datetime | None:
        return None if self.version is None else self.version.state.newest

    def freshness(self, now: datetime) -> str:
        """``fresh`` or ``stale``; empty where nobody says how old it may be, or no event time is on record."""
        if self.newest is None or self.fresh_for is None:
            return ""
        return "fresh" if now - self.newest <= self.fresh_for else "stale"


@dataclass(frozen=True)
class ViewReport:
    """``shown`` is the version that was asked for. ``keys`` name a row, ``timestamp`` and ``available`` are its times.
    ``sources`` say by name where rows come from, ``transform`` how; both as git asks for them now. ``upstream`` are the
    versions of views that it was made from. ``figures`` are of its profile, empty where that is not to be had.
    ``below`` are the views among its readers."""

    row: ViewRow
    shown: ViewVersion | None
    versions: tuple[ViewVersion, ...]
    keys: tuple[str, ...] = ()
    timestamp: str | None = None
    available: str | None = None
    sources: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    transform: Mapping[str, Json] = field(default_factory=dict)
    figures: tuple[ColumnFigures, ...] = ()
    below: tuple[str, ...] = ()

    @property
    def above(self) -> tuple[str, ...]:
        """The views that it reads."""
        return tuple(str(source["featureView"]) for source in self.sources.values() if source.get("featureView"))


@dataclass(frozen=True)
class ProfiledVersion:
    """Figures of a version's columns, oldest version first where there are several."""

    version: ViewVersion
    figures: tuple[ColumnFigures, ...]


@dataclass(frozen=True)
class ViewDifference:
    """``expectations`` are those of which something else came: (what was checked, before, after), None where one has it
    not; ``columns`` those that came, went, or have another dtype, as (name, before, after)."""

    view: str
    before: ViewVersion
    after: ViewVersion
    moved: TableMoved
    columns: tuple[tuple[str, str | None, str | None], ...]
    expectations: tuple[tuple[str, str | None, str | None], ...]


def ensure_view(name: str, known: Collection[str]) -> None:
    """
    Raises:
        ConfigurationError: there is no view of that name.
    """
    if name not in known:
        told = f"it has {', '.join(sorted(known))}" if known else "it has none at all"
        raise ConfigurationError(
            f"the environment has no feature view {name!r}{did_you_mean(name, sorted(known))}; {told}"
        )


def found_version(view: str, name: str, versions: Sequence[ViewVersion]) -> ViewVersion:
    """The version of that number, in the table that readers have before others, or of the build that begins so.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    if not versions:
        raise ConfigurationError(f"{view!r} is not published: there are no versions of it")
    if name.isdecimal() and len(name) < _BUILD:
        exact = [one for one in versions if one.state.version == int(name)]
        own = [one for one in exact if one.same_table]
        if len(own or exact) == 1:
            return (own or exact)[0]
    alike = [one for one in versions if name and one.state.name.startswith(name)]
    if len({one.state.name for one in alike}) == 1:
        return alike[0]  # a build that was published again has equal rows
    if alike:
        raise ConfigurationError(
            f"several versions of {view!r} are of builds that begin with {name!r}: {_named(alike)}"
        )
    raise ConfigurationError(f"{view!r} has no version {name!r} on record; it has {_named(versions)}")


def _named(versions: Sequence[ViewVersion]) -> str:
    rest = f" and {len(versions) - _NAMED} more" if len(versions) > _NAMED else ""
    names = [f"{one.state.version} ({one.state.name})" if one.same_table else one.state.name for one in versions]
    return ", ".join(names[:_NAMED]) + rest


def columns_moved(
    before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str]]
) -> tuple[tuple[str, str | None, str | None], ...]:
    """(name, dtype before, dtype after) of those that differ; columns are (name, dtype)."""
    old, new = dict(before), dict(after)
    return tuple((name, old.get(name), new.get(name)) for name in {**old, **new} if old.get(name) != new.get(name))


def expectations_moved(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> tuple[tuple[str, str | None, str | None], ...]:
    """(what was checked, before, after) of those of which something else came."""
    old, new = _checked(before), _checked(after)
    return tuple((name, old.get(name), new.get(name)) for name in {**old, **new} if old.get(name) != new.get(name))


def by_check(findings: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Each by what was checked; several checks of one kind on one column are numbered."""
    found: dict[str, Mapping[str, Any]] = {}
    for one in findings:
        name = check_name(one)
        number = sum(known.partition(" #")[0] == name for known in found)
        found[f"{name} #{number + 1}" if number else name] = one
    return found


def _checked(findings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {name: f"{verdict(one)}: {one.get('observed', '')}" for name, one in by_check(findings).items()}


def check_name(finding: Mapping[str, Any]) -> str:
    """``between of delay``."""
    column = finding.get("column")
    return f"{finding.get('check')}{f' of {column}' if column else ''}"
