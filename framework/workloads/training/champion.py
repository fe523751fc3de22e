"""The live model next to a new one: its answers to the same test rows, also where inputs of it are gone by now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from framework.answers import Matrix, ModelOutput
from framework.api.tasks import Task, of_signature
from framework.scores import Answered
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line
from framework.workloads.training import metrics
from framework.workloads.training.dataset import build, keys_of

_ROW = "__row"


@dataclass(frozen=True)
class LiveAnswers:
    """The live model's answers to the test rows at ``rows``, or to all where that is None. ``answered`` is None where
    it cannot be asked, and ``problem`` says why; ``told`` says what it was asked where that is not simply the test
    rows."""

    answered: Answered | None
    problem: str = ""
    rows: NDArray[np.int64] | None = None
    told: str = ""

    def beside(self, known: Answered) -> Answered:
        """Of answers to all test rows those to the same ones."""
        return known if self.rows is None else known.of(self.rows)


def live_answers(
    champion: Mapping[str, Any],
    test: pl.DataFrame,
    task: Task = Task.BINARY,
    groups: Matrix | None = None,
    keys: Sequence[str] = (),
) -> LiveAnswers:
    """The live model's answers to the challenger's test rows.

    Where this training set lacks an input of it, or has it as something else, the rows are looked up by ``keys``, the
    event time and the entities of the spine, in the versions of tables that the live model was trained on, as long as
    those exist. Where it cannot be asked a bar against it counts as failed rather than as passed unseen, and the
    version is on record with the reason.
    """
    name, signature = f"the live model {champion['version']}", champion["signature"]
    output = ModelOutput.of(signature)
    if output.task is not task:
        return LiveAnswers(None, f"{name} is a model of {output.task.value}, this one of {task.value}")
    gone = _gone(signature, test)
    if not gone:
        return _asked(champion, output, test, groups, LiveAnswers(None))
    found = _looked_up(champion, test, keys)
    if isinstance(found, str):
        return LiveAnswers(None, f"{name} {gone}{found}")
    rows, positions = found
    tables = ", ".join(f"{view} version {table['version']}" for view, table in champion["own"]["views"].items())
    told = f"on {len(positions):,} of {test.height:,} test rows as the tables have them that it was trained on"
    of = LiveAnswers(None, rows=positions, told=f"{told} ({tables}), for it {gone}")
    return _asked(champion, output, rows, None if groups is None else groups[positions], of)


def _gone(signature: models.Signature, test: pl.DataFrame) -> str:
    """What keeps it from being asked these rows; nothing where they will do."""
    missing = [column["name"] for column in signature["inputs"] if column["name"] not in test.columns]
    if missing:
        return f"needs {', '.join(missing)}, which this training set does not have"
    retyped = list(_retyped(signature, test))
    return f"knows {' and '.join(retyped)}" if retyped else ""


def _retyped(signature: models.Signature, test: pl.DataFrame) -> Iterator[str]:
    """Inputs that are something else now. One number is as good as another: the model sees floats."""
    for column in signature["inputs"]:
        known, now = column["dtype"], str(test.schema[column["name"]].base_type())
        if known != now and not {known, now} <= models.NUMBERS:
            yield f"{column['name']} as {known}, this training set has {now}"


def _asked(
    champion: Mapping[str, Any], output: ModelOutput, rows: pl.DataFrame, groups: Matrix | None, of: LiveAnswers
) -> LiveAnswers:
    name = f"the live model {champion['version']}"
    file = (champion["artifact"], champion["sha256"], champion["format"], champion["signature"])
    try:
        answers = models.load(*file).predict(rows)
        truth = output.truth(rows)
    except WorkloadError as error:
        return LiveAnswers(None, f"{name} cannot be loaded: {error}")
    except Exception as error:
        return LiveAnswers(None, f"{name} cannot be asked: {type(error).__name__}: {first_line(error)}")
    unscored = metrics.not_finite(answers)
    if unscored:
        return LiveAnswers(None, f"{name} answers {unscored:,} of {rows.height:,} rows with no finite number")
    unknown = int(np.count_nonzero(np.isnan(truth)))
    if unknown:
        return LiveAnswers(None, f"{name} does not know the classes of {unknown:,} of {rows.height:,} rows")
    return LiveAnswers(metrics.answered(output, truth, answers, groups), rows=of.rows, told=of.told)


def _looked_up(
    champion: Mapping[str, Any], test: pl.DataFrame, keys: Sequence[str]
) -> tuple[pl.DataFrame, NDArray[np.int64]] | str:
    """The test rows that the live model's own tables know, with its inputs and the label of today, and which ones they
    are; or why there are none."""
    own = champion.get("own")
    if not own or not keys:
        return ""
    try:
        built = build(_over(own["dataset"], champion["signature"], test, own["views"]), own["views"])
    except Exception as error:  # a version that was cleaned away, a file that is gone, a column of another meaning
        return f"; the tables that it was trained on cannot be read: {first_line(error)}"
    spine = own["views"][own["dataset"]["spine"]]
    names, label = keys_of(spine), champion["signature"]["output"]["name"]
    if names != list(keys) or any(built.frame.schema[key] != test.schema[key] for key in keys):
        return f"; the rows that it was trained on go by {', '.join(names)}, these by {', '.join(keys)}"
    inputs = dict.fromkeys(column["name"] for column in champion["signature"]["inputs"])
    once = built.frame.unique(names, keep="none").select(*names, *(name for name in inputs if name not in names))
    rows = test.select(*keys, label).with_row_index(_ROW).unique(names, keep="none", maintain_order=True)
    rows = rows.join(once, on=names, how="inner", maintain_order="left")
    if rows.is_empty():
        return "; the tables that it was trained on know none of the test rows"
    return rows, rows[_ROW].to_numpy().astype(np.int64)


def _over(
    dataset: Mapping[str, Any], signature: models.Signature, test: pl.DataFrame, views: Mapping[str, Any]
) -> dict[str, Any]:
    """The same over the days of the test rows, for the task that was learned; over all rows where they have no time."""
    task, moment = of_signature(signature).value, views[dataset["spine"]].get("timestamp")
    if moment is None or moment not in test.columns:
        return {**dataset, "task": task, "window": None, "labelDelay": None}
    moments = test[moment]
    first, last = (moment for moment in (moments.min(), moments.max()) if isinstance(moment, datetime))
    days = {"from": first.date().isoformat(), "to": (last.date() + timedelta(days=1)).isoformat()}
    return {**dataset, "task": task, "window": days, "labelDelay": None}
