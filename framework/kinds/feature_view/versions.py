"""What the log tells of the versions of a view, and of the runs that compute them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from framework.api.meta import Ref
from framework.planning.grammar import reasons
from framework.planning.grammar.kind import Runs, Says, Versions
from framework.ports import Json

RUNS = Runs("materialise", done=frozenset({reasons.PUBLISHED}))


def _label(ref: Ref, data: Mapping[str, Json]) -> str:
    identity = str(data.get("uri", "")).rpartition("/")[2]
    return f"{ref.name}@{identity} v{data.get('version')}"


VERSIONS = Versions({reasons.PUBLISHED: Says.COUNTS}, _label)
