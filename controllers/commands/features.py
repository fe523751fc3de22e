"""Feature views as people meet them: listed, shown, compared, profiled, and gone through step by step. Reads only, and
asks no Ray: rows are read and computed in this process."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from controllers.kinds.tables import published
from framework import storage
from framework.api.errors import ConfigurationError, MlopsError, TransientError
from framework.api.meta import Ref
from framework.figures import TransformSteps
from framework.kinds.feature_view.connections import resolved
from framework.kinds.feature_view.observed import Published
from framework.panics import panics_told
from framework.planning.grammar import reasons
from framework.planning.grammar.changes import Desired
from framework.planning.reports.features import (
    ProfiledVersion,
    ViewColumn,
    ViewDifference,
    ViewReport,
    ViewRow,
    ViewVersion,
    columns_moved,
    ensure_view,
    expectations_moved,
    found_version,
)
from framework.ports import Ports, TableState

log = logging.getLogger(__name__)

KIND = "FeatureView"
_REMEMBERED = 10_000
"""Publications that are read for where tables lie and how long runs took."""
_PAGE = b"<!doctype html>"
PROFILED = 20
"""Versions whose profiles a page compares."""

Asked = Mapping[Ref, Desired[Any]]


@dataclass(frozen=True)
class FeatureViews:
    """The views of an environment: those that git asks for, and those of which something is published."""

    ports: Ports
    asked: Asked

    # ------------------------------------------------------------------- which there are

    @property
    def names(self) -> list[str]:
        recorded = {record.ref.name for record in self.ports.state.records() if record.ref.kind == KIND}
        left = {name for name in recorded if published(Ref(KIND, name), self.ports) is not None}
        return sorted({ref.name for ref in self.asked if ref.kind == KIND} | left)

    def listed(self) -> list[ViewRow]:
        """In the order of their names. One whose table cannot be read now says so."""
        return [self._row(name) for name in self.names]

    def _row(self, name: str) -> ViewRow:
        row, now = self._described(name), published(Ref(KIND, name), self.ports)
        if now is None:
            return row
        try:
            found = self._newest(now)
        except MlopsError as error:
            return replace(row, problem=str(error))
        return replace(row, version=found) if found else replace(row, problem=f"its table at {now.uri} is gone")

    def _newest(self, now: Published) -> ViewVersion | None:
        """What readers have, without looking through what was there before."""
        newest = self.ports.tables.describe(now.uri)
        known = [newest] if newest is None or newest.version == now.version else self.ports.tables.versions(now.uri)
        found = next((state for state in known if state is not None and state.version == now.version), None)
        return None if found is None else ViewVersion(found, current=True, same_table=True)

    def _described(self, name: str) -> ViewRow:
        """What git says of it; where it does not ask for it any more, what was published last."""
        ref = Ref(KIND, name)
        asked, readers = self.asked.get(ref), tuple(self._readers(ref))
        if asked is None:
            now = published(ref, self.ports)
            columns = tuple(ViewColumn(*column) for column in (now.columns if now else ()))
            return ViewRow(name, columns, readers=readers, asked=False)
        spec, metadata = asked.spec, asked.metadata
        ages = [one.freshness for one in spec.expectations if one.freshness]
        return ViewRow(
            name,
            tuple(ViewColumn(one.name, one.dtype, one.description or "") for one in spec.columns),
            readers=readers,
            owner=metadata.owner or "",
            description=metadata.description or "",
            labels=metadata.labels,
            fresh_for=min(ages, default=None),
        )

    def _readers(self, ref: Ref) -> Iterator[Ref]:
        """What reads it, by itself or by what it reads, as git asks for it: upstreams stand before what reads them."""
        reached = {ref}
        for other, asked in self.asked.items():
            if other not in reached and reached.intersection(asked.upstream):
                reached.add(other)
                yield other

    # ------------------------------------------------------------------- one of them

    def versions(self, name: str) -> list[ViewVersion]:
        """All that are on record, newest first: those of the table that readers have, and those of tables before it.

        Raises:
            ConfigurationError: there is no such view.
            TransientError: a table cannot be read now.
        """
        ensure_view(name, self.names)
        ref = Ref(KIND, name)
        now = published(ref, self.ports)
        told = self.ports.state.events(ref, _REMEMBERED, reasons=[reasons.PUBLISHED])
        took = {(event.data.get("uri"), event.data.get("version")): event.data.get("seconds") for event in told}
        uris = dict.fromkeys([*([now.uri] if now else []), *(uri for uri, _ in took if isinstance(uri, str))])
        states = sorted(
            (state for uri in uris for state in self.ports.tables.versions(uri)),
            key=lambda state: (state.published, state.version),
        )
        found: list[ViewVersion] = []
        for state in states:
            current = now is not None and (state.uri, state.version) == (now.uri, now.version)
            before = found[-1].state.rows if found else None
            seconds = took.get((state.uri, state.version))
            found.append(ViewVersion(state, current, now is not None and state.uri == now.uri, before, seconds))
        return found[::-1]

    def version(self, name: str, asked: str | None) -> ViewVersion:
        """The version of that number or build; None: what readers have.

        Raises:
            ConfigurationError: there is no such view, or no such version.
        """
        known = self.versions(name)
        if asked is not None:
            return found_version(name, asked, known)
        current = next((one for one in known if one.current), None)
        if current is None:
            raise ConfigurationError(f"{name!r} is not published: nothing is on record of it in this environment")
        return current

    def report(self, name: str, asked: str | None = None) -> ViewReport:
        """All that is known of it, also where nothing is published or its table cannot be read now.

        Raises:
            ConfigurationError: there is no such view, or no such version.
        """
        ensure_view(name, self.names)
        problem, known = "", list[ViewVersion]()
        try:
            known = self.versions(name)
        except TransientError as error:
            problem = str(error)
        shown = found_version(name, asked, known) if asked is not None else next((v for v in known if v.current), None)
        row, now = self._described(name), published(Ref(KIND, name), self.ports)
        desired = self.asked.get(Ref(KIND, name))
        spec = {} if desired is None else desired.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        meaning = now.meaning if desired is None and now is not None else spec
        return ViewReport(
            replace(row, version=next((one for one in known if one.current), None), problem=problem),
            shown,
            tuple(known),
            tuple(meaning.get("entities") or ()),
            meaning.get("timestamp"),
            meaning.get("available"),
            spec.get("sources", {}),
            spec.get("transform", {}),
            () if shown is None else self._figures(shown),
            tuple(ref.name for ref in row.readers if ref.kind == KIND),
        )

    def _figures(self, version: ViewVersion) -> tuple[Any, ...]:
        """Of its profile, as far as that can be read."""
        try:
            return profiled(version).figures
        except MlopsError as error:
            log.warning("left out: %s", error)
            return ()

    def movement(self, versions: Sequence[ViewVersion]) -> list[ProfiledVersion]:
        """The newest of ``versions``, newest first, of which there are profiles; oldest first."""
        found = [ProfiledVersion(one, self._figures(one)) for one in versions[:PROFILED] if one.profile]
        return [one for one in reversed(found) if one.figures]

    def difference(self, name: str, before: str, after: str) -> ViewDifference:
        """In what the second version differs from the first.

        Raises:
            ConfigurationError: as ``version`` does; the rows of one cannot be read any more.
        """
        from framework.workloads.features.difference import compared

        one, other = self.version(name, before), self.version(name, after)
        now = published(Ref(KIND, name), self.ports)
        desired = self.asked.get(Ref(KIND, name))
        keys = now.meaning if now is not None else {}
        named = [*([keys["timestamp"]] if keys.get("timestamp") else []), *keys.get("entities", ())]
        if now is None and desired is not None:
            named = list(desired.spec.named_by)
        with _told(f"rows of {name!r} cannot be read"):
            moved = compared(rows(one.state), rows(other.state), named)
        return ViewDifference(
            name, one, other, moved, columns_moved(one.state.columns, other.state.columns),
            expectations_moved(one.findings, other.findings),
        )  # fmt: skip

    def debugged(self, name: str, root: str) -> TransformSteps:
        """What there is after every step of its computation, from the data and the code as they lie in ``root`` now.

        Raises:
            ConfigurationError: the commit asks for no such view.
        """
        from framework.workloads.features.steps import steps

        ensure_view(name, [ref.name for ref in self.asked if ref.kind == KIND])
        asked = self.asked[Ref(KIND, name)]
        spec = resolved(asked.spec.model_dump(mode="json", by_alias=True, exclude_none=True), asked.connections)
        above = {ref.name: published(ref, self.ports) for ref in asked.upstream}
        upstream = {view: {"uri": now.uri, "version": now.version} for view, now in above.items() if now is not None}
        with panics_told(), _importing(root):
            return steps(spec, root, upstream)


def rows(state: TableState) -> Any:
    """A version's rows as a Polars LazyFrame, at the dtypes that it was declared with."""
    from framework.workloads.features import delta

    return delta.read(state.uri, state.version, state.columns)


def profiled(version: ViewVersion) -> ProfiledVersion:
    """
    Raises:
        ConfigurationError: there is no profile of it, or it is damaged.
    """
    from framework.workloads.features.figures import figures_in

    try:
        return ProfiledVersion(version, figures_in(profile_bytes(version), version.state.columns))
    except ValueError as error:
        raise ConfigurationError(f"the profile at {version.profile} is {error}") from error


def profile_bytes(version: ViewVersion) -> bytes:
    """The whylogs file of a version. Raises ConfigurationError where there is none."""
    state, place = version.state, version.profile
    if place is None:
        raise ConfigurationError(f"there is no profile of version {version.label} on record at {state.uri}")
    try:
        data = storage.read_bytes(place)
    except OSError as error:
        raise ConfigurationError(f"the profile at {place} cannot be read: {error}") from error
    if data is None:
        raise ConfigurationError(f"there is no profile of version {version.label} at {place} any more")
    return data


def written(files: Mapping[Path, str]) -> None:
    """Pages, in place of those that were there before.

    Raises:
        ConfigurationError: something that is no page is in the way of one; nothing was written.
        OSError: one cannot be written.
    """
    for path in files:
        if path.exists() and not (path.is_file() and path.read_bytes().startswith(_PAGE)):
            raise ConfigurationError(f"{path} is there and is no page; nothing was written: name another place")
    for path, text in files.items():
        storage.write_bytes(str(path), text.encode())


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Raises ConfigurationError for what a library or the storage says."""
    import polars as pl
    from deltalake.exceptions import DeltaError

    try:
        with panics_told():
            yield
    except (DeltaError, pl.exceptions.PolarsError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise ConfigurationError(f"{what}: {error}") from error


@contextmanager
def _importing(root: str) -> Iterator[None]:
    """As a run does that has the project's code."""
    sys.path.insert(0, root)
    try:
        yield
    finally:
        sys.path.remove(root)
