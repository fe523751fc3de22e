"""The spec kinds. Adding one: a folder here, a line below, and its namesake in controllers."""

from collections.abc import Mapping

from framework.kinds import batch_inference, environment, feature_view, model_deployment, model_monitor, training_job
from framework.planning.grammar.kind import Kind


def table(*kinds: Kind) -> Mapping[str, Kind]:
    """By name, with the Environment that holds them to its policies and quotas."""
    held = {kind.name: kind for kind in kinds}
    whole = environment.kind(held)
    return {whole.name: whole, **held}


KINDS: Mapping[str, Kind] = table(
    feature_view.KIND,
    training_job.KIND,
    model_deployment.KIND,
    model_monitor.KIND,
    batch_inference.KIND,
)
