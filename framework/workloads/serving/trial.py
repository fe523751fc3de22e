"""No version meets callers untried: rows go through transformer and model before a replica says that it is ready."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from framework import storage
from framework.api.layout import trial_file
from framework.workloads.context import WorkloadError
from framework.workloads.models import Predictor
from framework.workloads.serving import failure
from framework.workloads.serving.scoring import Preparation

logger = logging.getLogger("ray.serve")

Rows = Sequence[Mapping[str, Any]]


def rows_to_try(given: Rows | None, artifact: str) -> tuple[Rows, ...]:
    """The sets of rows that are known, any of which callers may send: those that the spec names, else those that were
    kept of the training set, as the model's inputs alone and whole. Empty where there are none that can be read."""
    if given:
        return (given,)
    try:
        kept = storage.read_json(trial_file(artifact.rpartition("/")[0]))
        if kept is None:
            return ()
        whole, inputs = [dict(row) for row in kept["rows"]], frozenset(kept["inputs"])
    except (ValueError, KeyError, TypeError) as error:
        logger.warning("the rows beside %s cannot be read: %s", artifact, error)
        return ()
    return ([{name: value for name, value in row.items() if name in inputs} for row in whole], whole) if whole else ()


def attempt(preparation: Preparation, predictor: Predictor, sets: Sequence[Rows], *, named: bool) -> Rows:
    """Ask the model about each set in turn, until one is answered as it should be; that set. ``named``: the spec names
    the rows. Nothing of it is recorded anywhere.

    Raises:
        WorkloadError: "TrialFailed", with what was raised about the last set, where, and for which row.
    """
    failures = []
    for rows in sets:
        failed = _failed(preparation, predictor, rows)
        if failed is None:
            return rows
        failures.append((rows, *failed))
    rows, error, number = failures[-1]
    whose = "that serving.trial names" if named else "of its training set"
    row = f"row {number} of {len(rows)} {whose}" if number else f"the {len(rows)} rows {whose} together"
    hint = "" if named else "; where callers send rows that look otherwise, name some in serving.trial.rows"
    raise WorkloadError("TrialFailed", f"TrialFailed: {_told(error)}, for {row}{hint}") from error


def _told(error: Exception) -> str:
    found = failure.told(error)
    return f"{found['type']}: {found['message']}" + (f" ({found['where']})" if found["where"] else "")


def _failed(preparation: Preparation, predictor: Predictor, rows: Rows) -> tuple[Exception, int] | None:
    """What is raised about ``rows``, and the number of the first that it is raised about alone, counted from 1; 0 where
    it takes several. None where all are answered."""
    error = _raised(preparation, predictor, rows)
    if error is None:
        return None
    alone = ((_raised(preparation, predictor, [row]), number) for number, row in enumerate(rows, start=1))
    return next(((found, number) for found, number in alone if found is not None), (error, 0))


def _raised(preparation: Preparation, predictor: Predictor, rows: Rows) -> Exception | None:
    try:
        predictor.output.check(predictor.predict(preparation.inputs(rows)), len(rows))
    except Exception as error:
        return error
    return None
