"""The kinds that an Environment holds to its policies and quotas: all but itself."""

from __future__ import annotations

from collections.abc import Mapping

from framework.kinds.batch_inference import KIND as BATCH_INFERENCE
from framework.kinds.feature_view import KIND as FEATURE_VIEW
from framework.kinds.model_deployment import KIND as MODEL_DEPLOYMENT
from framework.kinds.model_monitor import KIND as MODEL_MONITOR
from framework.kinds.training_job import KIND as TRAINING_JOB
from framework.planning.grammar.kind import Kind

NEIGHBOURS: Mapping[str, Kind] = {
    kind.name: kind for kind in (FEATURE_VIEW, TRAINING_JOB, MODEL_DEPLOYMENT, MODEL_MONITOR, BATCH_INFERENCE)
}
