"""The names that git gives to versions of a model, as the controller last took them up: from its record alone."""

from __future__ import annotations

from collections.abc import Iterator

from controllers.kinds.models import job
from framework.api.errors import DamagedError
from framework.kinds.training_job.observed import TrainingJobState
from framework.planning.grammar.remembered import state_of, status_of
from framework.planning.reports.aliases import ModelAlias
from framework.ports import StateStore


def own_aliases(state: StateStore, training: str) -> Iterator[ModelAlias]:
    """Sorted by name; none where the record cannot be read, or nothing is there that they could stand for."""
    try:
        known = state_of(status_of(state.load(job(training))), TrainingJobState).aliases
    except DamagedError:
        return
    for name, alias in sorted(known.items()):
        if alias.version:
            yield ModelAlias(name, alias.version, alias.since, alias.commit)
