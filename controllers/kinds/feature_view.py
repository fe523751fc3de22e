"""What is looked at before a FeatureView is planned."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from controllers.kinds.upstream import published_view
from framework.api import layout
from framework.api.errors import DamagedError, TerminalError
from framework.api.meta import Ref
from framework.kinds.feature_view.observed import FeatureViewObserved
from framework.kinds.feature_view.plan import run_name
from framework.planning.grammar.changes import Desired, Status
from framework.ports import Ports, RunPhase, RunState


def observe(
    ref: Ref, desired: Desired[Any] | None, status: Status | None, ports: Ports, now: datetime
) -> FeatureViewObserved:
    """The run before the table: a run that ends in between is then seen as running, never as one without a table.

    What the sources hold is looked at only where it matters, which is while there is no table or where new data is
    waited for: they may be large, and far away."""
    if desired is None:
        return FeatureViewObserved(ref, ports.storage, None, "", RunState(RunPhase.ABSENT))
    uri = layout.feature_table(ports.storage, ref.name, desired.identity)
    settled = ports.tables.describe(uri) if desired.spec.materialization.every is None else None
    source_digest, problem = (settled.source_digest, None) if settled is not None else _sources(desired, ports)
    run = ports.runs.observe(ports.storage, run_name(ref.name, desired.identity, source_digest))
    table = settled or ports.tables.describe(uri)
    try:
        upstream = {item.name: published_view(item, identity, ports) for item, identity in desired.upstream.items()}
    except DamagedError:
        if table is None:
            raise
        upstream = {item.name: None for item in desired.upstream}  # what was published from it stays published
    return FeatureViewObserved(ref, ports.storage, table, source_digest, run, problem, upstream)


def _sources(desired: Desired[Any], ports: Ports) -> tuple[str, tuple[str, str] | None]:
    """The digest of what the sources hold; or an empty one, and why (reason, message) there is none."""
    sources = {
        name: source.model_dump(mode="json", by_alias=True, exclude_none=True)
        for name, source in desired.spec.sources.items()
    }
    try:
        return ports.tables.source_digest(sources, desired.root), None
    except TerminalError as error:
        return "", (error.reason, str(error))
