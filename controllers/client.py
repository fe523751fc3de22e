"""A project from Python, as in a notebook: frames, models and what is known of them. Reads only: no Ray is asked, no
lease is taken, and nothing is written.

Everything that goes wrong is an MlopsError that says in a sentence what was found and what to do.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from deltalake.exceptions import DeltaError

from controllers.commands.features import FeatureViews
from controllers.commands.models import listed, model_named
from controllers.commands.training import job_named, jobs_of, published_table, views_to_read
from controllers.host.operator import settings_at
from controllers.host.wiring import open_project
from framework import checked, storage
from framework.answers import Matrix
from framework.api import layout
from framework.api.errors import ConfigurationError
from framework.figures import QUANTILES, ColumnFigures
from framework.panics import panics_told
from framework.planning.reports.features import ViewVersion
from framework.planning.reports.models import ModelRow
from framework.ports import ModelVersion
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.features import delta
from framework.workloads.training.dataset import build
from framework.workloads.training.split import divided, split

PART = "part"
"""The column of a training frame that says which part a row is in: train, validation or test."""


class LoadedModel:
    """A registered version, opened once its file was found to have the SHA-256 that was registered."""

    def __init__(self, version: ModelVersion, predictor: models.Predictor) -> None:
        self.version = version
        self._predictor = predictor

    @property
    def name(self) -> str:
        """``progression@024138ba27``."""
        return f"{self.version.training}@{self.version.version}"

    @property
    def signature(self) -> Mapping[str, Any]:
        """{"inputs": [{"name", "dtype", "nullable", "categories" (String only)}], "output"}."""
        return self.version.signature

    @property
    def metrics(self) -> Mapping[str, float]:
        """By name; those of the validation part begin with ``validation_``."""
        return self.version.metrics

    def predict(self, frame: pl.DataFrame) -> Matrix:
        """The answers, as a deployment would give them: float64 (rows,), or (rows, classes or quantiles). ``frame`` has
        the signature's inputs; other columns are left alone.

        Raises:
            ConfigurationError: an input is missing, or holds what its dtype cannot.
        """
        lacking = [column["name"] for column in self.signature["inputs"] if column["name"] not in frame.columns]
        if lacking:
            raise ConfigurationError(f"the frame has no column {', '.join(lacking)}, which {self.name} is asked with")
        with _in_our_words(f"{self.name} cannot be asked this"):
            return self._predictor.predict(frame)

    def __repr__(self) -> str:
        return f"<LoadedModel {self.name}>"


class ProjectReader:
    """The project at ``path``, or in a folder above it, in one of its environments (None: ``MLOPS_ENV``, else
    ``local``). It goes by the newest commit and by what is published and registered at each call.

    Raises:
        MlopsError: there is no project, its specs are wrong, or its state cannot be read.
    """

    def __init__(self, path: str | Path = ".", environment: str | None = None) -> None:
        name = environment or os.environ.get("MLOPS_ENV", "local")
        settings = settings_at(Path(path).resolve(), name, os.environ, named=True, creates=False)
        self._project = open_project(settings, lambda: datetime.now(UTC))

    def training_frame(self, job: str) -> pl.DataFrame:
        """The rows that a training job would be trained on now, in the order of its parts: the columns of its spine,
        the features as of each row's time, and ``part``.

        Raises:
            ConfigurationError: there is no such job, a view that it reads is not published as the newest commit asks
                for it, or its dataset cannot be made of the rows.
        """
        asked = job_named(jobs_of(self._project.newest()), job)
        views = {name: view.model_dump(mode="json") for name, view in views_to_read(asked, self._project.ports).items()}
        form = asked.spec.model_dump(mode="json", by_alias=True)
        with _in_our_words(f"the training set of {job!r} cannot be made"):
            dataset = build(form["dataset"], views)
            parts = split(dataset, divided(form["dataset"]), asked.spec.seed)
        if PART in dataset.frame.columns:
            raise ConfigurationError(
                f"the training set of {job!r} has a column {PART!r} of its own; rename it in its view"
            )
        return pl.concat([rows.with_columns(pl.lit(name).alias(PART)) for name, rows in parts.items()])

    def model(self, name: str) -> LoadedModel:
        """``NAME`` (the newest version that passed its gates) or ``NAME@VERSION`` (the start of it is enough).

        Raises:
            ConfigurationError: no such version; its file is missing, damaged, or another than was registered.
        """
        version = model_named(self._project.ports, name).model
        with _in_our_words(f"{version.training}@{version.version} cannot be opened"):
            predictor = models.load(version.artifact, version.sha256, version.format, version.signature)
        return LoadedModel(version, predictor)

    def runs(self, job: str | None = None) -> pl.DataFrame:
        """A row for each version of a training job, or of all, newest first: ``training``, ``version``, ``created``,
        ``task``, ``metric`` (the one its task is told by), ``value``, ``passed`` (its gates), ``commit``, ``serves``;
        then ``metric.NAME`` for each metric and ``parameter.NAME`` for each parameter, as numbers where all are, else
        as JSON.

        Raises:
            ConfigurationError: there are none of that job.
        """
        rows = listed(self._project.ports, job)
        frame = pl.DataFrame([_facts(row) for row in rows], schema=_RUNS)
        found = [row.model for row in rows]
        metrics = sorted({name for model in found for name in model.metrics})
        parameters = sorted({name for model in found for name in model.parameters})
        return frame.with_columns(
            *(
                pl.Series(f"metric.{name}", [model.metrics.get(name) for model in found], pl.Float64, strict=False)
                for name in metrics
            ),
            *(_parameter(f"parameter.{name}", [model.parameters.get(name) for model in found]) for name in parameters),
        )

    def table(self, view: str, version: int | None = None) -> pl.LazyFrame:
        """The rows of a FeatureView: as published now, or an earlier version of the same table.

        Raises:
            ConfigurationError: it is not published, or that version is not on record any more.
        """
        read = published_table(view, version, self._project.ports)
        with _in_our_words(f"the table of {view!r} cannot be read"):
            return delta.read(read.uri, read.version, read.columns)

    def expectations(self, view: str) -> pl.DataFrame:
        """What came of the expectations of a FeatureView in all runs, newest first, failed ones included: a row for
        each with ``at``, ``run``, ``version`` (null where nothing was published), ``check``, ``column``,
        ``severity``, ``passed``, ``failing`` (share of the ``rows`` checked; 0 or 1 for a check on the table as a
        whole, of which ``value`` is the number), ``observed`` (in words) and ``offending`` (rows, as JSON).

        Raises:
            ConfigurationError: no run of such a view has left anything, or it cannot be read.
        """
        with _in_our_words(f"what came of the expectations of {view!r} cannot be read"):
            folder = f"{layout.feature_tables(self._project.ports.storage)}/{view}"
            found = checked.history(storage.list_folders(folder))
        if found.is_empty():
            raise ConfigurationError(f"no run of FeatureView/{view} has left what came of its expectations")
        return found

    def profiles(self, view: str) -> pl.DataFrame:
        """A row for each column of each version of a FeatureView that has a profile still, oldest version first:
        ``version``, ``build``, ``published``, ``column``, ``rows``, ``missing`` (a share), ``distinct`` (an estimate),
        ``mean`` and ``q0``, ``q0.05``, ... ``q1``, the quantiles; times are seconds since the epoch there.

        Raises:
            ConfigurationError: there is no such view.
        """
        views = FeatureViews(self._project.ports, self._project.desired())
        found = views.movement(views.versions(view))
        rows = [_profiled(one.version, column) for one in found for column in one.figures]
        return pl.DataFrame(rows, schema=_PROFILES)

    def __repr__(self) -> str:
        settings = self._project.settings
        return f"<Project {settings.root} ({settings.environment})>"


Project = ProjectReader
"""What a notebook calls it."""

_RUNS: dict[str, Any] = {
    "training": pl.String,
    "version": pl.String,
    "created": pl.Datetime("us", "UTC"),
    "task": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
    "passed": pl.Boolean,
    "commit": pl.String,
    "serves": pl.List(pl.String),
}


_PROFILES: dict[str, Any] = {
    "version": pl.Int64,
    "build": pl.String,
    "published": pl.Datetime("us", "UTC"),
    "column": pl.String,
    "rows": pl.Int64,
    "missing": pl.Float64,
    "distinct": pl.Float64,
    "mean": pl.Float64,
    **{f"q{rank:g}": pl.Float64 for rank in QUANTILES},
}


def _profiled(version: ViewVersion, column: ColumnFigures) -> dict[str, Any]:
    return {
        "version": version.state.version,
        "build": version.state.name,
        "published": version.state.published.astimezone(UTC),
        "column": column.name,
        "rows": column.rows,
        "missing": column.missing,
        "distinct": column.distinct,
        "mean": column.mean,
        **{f"q{rank:g}": column.quantiles.get(f"{rank:g}") for rank in QUANTILES},
    }


def _facts(row: ModelRow) -> dict[str, Any]:
    model = row.model
    return {
        "training": model.training,
        "version": model.version,
        "created": model.created.astimezone(UTC),
        "task": row.task.value,
        "metric": row.metric,
        "value": row.value,
        "passed": model.deployable,
        "commit": model.commit,
        "serves": [str(use.ref) for use in row.uses],
    }


def _parameter(name: str, values: list[Any]) -> pl.Series:
    """As numbers where all that are known are."""
    if all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values):
        return pl.Series(name, values, pl.Float64, strict=False)
    return pl.Series(name, [None if value is None else json.dumps(value) for value in values], pl.String)


@contextmanager
def _in_our_words(what: str) -> Iterator[None]:
    """Raises ConfigurationError for what a library, the storage or a workload says."""
    try:
        with panics_told():
            yield
    except WorkloadError as error:
        raise ConfigurationError(f"{what}: {error.reason}: {error}") from error
    except (DeltaError, pl.exceptions.PolarsError, OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"{what}: {error}") from error
