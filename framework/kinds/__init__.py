"""The spec kinds. Adding one: a folder here, a line below, and its namesake in controllers."""

from collections.abc import Mapping

from framework.kinds import batch_inference, environment, feature_view, model_deployment, model_monitor, training_job
from framework.planning.grammar.kind import Kind

KINDS: Mapping[str, Kind] = {
    module.KIND.name: module.KIND
    for module in (environment, feature_view, training_job, model_deployment, model_monitor, batch_inference)
}
