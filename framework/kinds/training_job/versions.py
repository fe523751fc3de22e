"""What the log tells of the models of a training job, and of the runs that train them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from framework.api.meta import Ref
from framework.planning.grammar import reasons
from framework.planning.grammar.kind import Runs, Says, Versions
from framework.ports import Json

RUNS = Runs("train", done=frozenset({reasons.MODEL_READY, reasons.GATE_FAILED}))


def _label(ref: Ref, data: Mapping[str, Json]) -> str:
    return f"{ref.name}@{data.get('version', '')}"


VERSIONS = Versions({reasons.MODEL_READY: Says.COUNTS}, _label)
