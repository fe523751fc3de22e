"""Which build of a FeatureView is wanted: what its sources hold now, made as git asks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from framework.api.cron import next_after
from framework.api.meta import Ref
from framework.kinds.feature_view.observed import Published
from framework.kinds.feature_view.source import Source
from framework.kinds.feature_view.spec import FeatureViewSpec
from framework.planning.grammar.build import build_name
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.fingerprint import spec_json
from framework.ports import Json, ReadTable, TableState

Upstream = Mapping[Ref, Published]


def consumes(spec: FeatureViewSpec) -> dict[Ref, frozenset[str] | None]:
    """What is used of other views: a transform may use any column of what it reads (None), an expectation those that it
    names."""
    found: dict[Ref, frozenset[str] | None] = {}
    for item in spec.expectations:
        if item.references is not None:
            ref = Ref("FeatureView", item.references.view)
            found[ref] = (found.get(ref) or frozenset()) | {*item.references.there}
    sources = {Ref("FeatureView", source.featureView) for source in spec.sources.values() if source.featureView}
    return {**found, **dict.fromkeys(sorted(sources))}


def read_of(spec: FeatureViewSpec, upstream: Upstream) -> dict[str, ReadTable]:
    """What is read of each view, by its name."""
    used = consumes(spec)
    return {ref.name: published.read(used.get(ref)) for ref, published in upstream.items()}


def made_of(table: TableState, committed: str, source_digest: str, reads: Mapping[str, ReadTable]) -> bool:
    """Whether a version was made of what the sources hold: files of the commit, and all files, by their digest; views
    by the values in them. Without ``source_digest`` nobody asks for files of which the commit says nothing."""
    if table.committed != committed or (source_digest and table.source_digest != source_digest):
        return False
    return all(_holds(table.upstream.get(name), read) for name, read in reads.items())


def moved(spec: FeatureViewSpec, before: Mapping[str, Any]) -> bool:
    """Whether ``spec`` differs from the one ``before`` (as JSON without defaults) in where files lie, and in nothing
    else."""
    now = spec_json(spec)
    return now != before and _without_paths(now) == _without_paths(before)


def _without_paths(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    sources = spec.get("sources", {}).items()
    return {**spec, "sources": {name: {**source, "path": None} for name, source in sources}}


def _holds(before: ReadTable | None, now: ReadTable) -> bool:
    return before is not None and before.holds(now)


def due_in(spec: FeatureViewSpec, last: datetime, now: datetime) -> timedelta | None:
    """How long until new data is to be looked for that was looked for at ``last``; None where nobody waits for any."""
    rules = spec.materialization
    if rules.schedule is not None:
        return max(timedelta(0), next_after(rules.schedule, min(last, now), rules.zone) - now)
    if rules.every is not None:
        return max(timedelta(0), rules.every - abs(now - last))  # ahead: the clock was set
    return None


def asks_again(spec: FeatureViewSpec, last: datetime | None, now: datetime) -> timedelta | None:
    """How long until a function, or a query, is to be asked again that was asked at ``last``: what it gives is not
    known before it runs, so where new data is waited for it runs each time. None where there is none, or nothing is
    waited for."""
    if last is None or not any(map(_unknown, spec.sources.values())):
        return None
    return due_in(spec, last, now)


def _unknown(source: Source) -> bool:
    return source.function is not None or (source.sql is not None and source.versionSql is None)


def wanted(
    desired: Desired[FeatureViewSpec], source_digest: str, upstream: Upstream, over: TableState | None = None
) -> str:
    """The name of what would be made now. ``over``: the version that is made again, be its data the same or not."""
    reads = read_of(desired.spec, upstream)
    views: dict[str, Json] = {name: read.content or [read.uri, read.version] for name, read in reads.items()}
    data: dict[str, Json] = {"files": source_digest, "views": views}
    return build_name(desired.recipe, data if over is None else {**data, "over": over.version})
