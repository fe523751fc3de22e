"""TrackingMirror over MLflow, by its client alone: a server, or a SQLite database that MLflow can open.

A version is found by its tags, so that one that was written in part is completed and none is made twice; its run is
ended last. MLflow is imported by the first call: that takes seconds.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from framework.api.errors import MlopsError, TerminalError, TransientError
from framework.api.printing import shown
from framework.installed import advice, missing
from framework.ports import TrackedVersion

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
"""What MLflow reads from the environment; an operator's own word goes before."""
_FOLDER = "model"
"""Where in a run the files of a version lie."""
_LONGEST_VALUE = 6000
_METRICS, _PARAMETERS = 1000, 100
"""So many go into one request."""
_INVALID = "INVALID_PARAMETER_VALUE"
_RESERVED_ALIAS = re.compile(r"latest|v\d+", re.IGNORECASE)


class MlflowMirror:
    """Runs go to the experiment ``mlops/ENVIRONMENT``, versions to the registered model ``ENVIRONMENT.TRAINING``.

    Args:
        address: as MLflow takes it. Credentials are where MLflow looks for them.
        artifacts: the folder for files of an experiment that is made here, where no server has a say.
    """

    def __init__(self, address: str, environment: str, artifacts: Path | None = None) -> None:
        self._address, self._environment, self._artifacts = address, environment, artifacts

    def put(self, version: TrackedVersion) -> None:
        with _answering():
            experiment = self._experiment()
            run = self._run(experiment, version)
            if run.info.status == "FINISHED":
                return
            self._tell(run.info.run_id, version)
            self._register(run, version)
            self._client.set_terminated(run.info.run_id, "FINISHED", _milliseconds(version.created))

    def name(self, training: str, aliases: Mapping[str, str | None]) -> None:
        with _answering():
            model = self._model(training)
            for alias, version in aliases.items():
                if not re.fullmatch(r"[\w-]+", alias) or _RESERVED_ALIAS.fullmatch(alias):
                    continue
                found = self._versions(model, version) if version is not None else ()
                if found:
                    self._client.set_registered_model_alias(model, alias, found[0].version)
                elif version is None and self._is_there(model):
                    self._client.delete_registered_model_alias(model, alias)

    @cached_property
    def _client(self) -> Any:
        lacking = missing("mlflow")
        if lacking:
            raise TransientError(advice(lacking))
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        logging.getLogger("alembic").setLevel(logging.WARNING)  # each step of making a database
        from mlflow import MlflowClient

        if self._artifacts is not None:
            self._artifacts.mkdir(parents=True, exist_ok=True)
        return MlflowClient(self._address, self._address)

    def _experiment(self) -> str:
        name = f"mlops/{self._environment}"
        found = self._client.get_experiment_by_name(name)
        if found is None:
            location = self._artifacts.as_uri() if self._artifacts is not None else None
            return str(self._client.create_experiment(name, location))
        if found.lifecycle_stage != "active":
            raise TransientError(f"the experiment {name} was deleted in MLflow: restore it there")
        return str(found.experiment_id)

    def _run(self, experiment: str, version: TrackedVersion) -> Any:
        """The one of that version, made where there is none."""
        named = {"mlops.training": version.training, "mlops.build": version.version}
        asked = " and ".join(f"tags.`{tag}` = '{value}'" for tag, value in named.items())
        found = self._client.search_runs([experiment], asked, max_results=1)
        if found:
            return found[0]
        tags = {**_cut(version.tags), **named, "mlops.commit": version.commit, "mlflow.source.name": "mlopsctl"}
        if version.commit:
            tags["mlflow.source.git.commit"] = version.commit
        return self._client.create_run(experiment, _milliseconds(version.created), tags, version.label)

    def _tell(self, run: str, version: TrackedVersion) -> None:
        """The same values at the same time are the same to MLflow, however often they are told."""
        from mlflow.entities import Metric, Param

        time = _milliseconds(version.created)
        metrics = [Metric(_key(name), value, time, 0) for name, value in sorted(version.metrics.items())]
        parameters = [Param(_key(name), value) for name, value in sorted(_cut(version.parameters).items())]
        with _refusing(version.label):
            for start in range(0, len(metrics), _METRICS):
                self._client.log_batch(run, metrics=metrics[start : start + _METRICS])
            for start in range(0, len(parameters), _PARAMETERS):
                self._client.log_batch(run, params=parameters[start : start + _PARAMETERS])
        with tempfile.TemporaryDirectory() as folder:
            for name, data in version.files.items():
                (Path(folder) / name).write_bytes(data)
            self._client.log_artifacts(run, folder, _FOLDER)

    def _register(self, run: Any, version: TrackedVersion) -> None:
        model = self._model(version.training)
        if not self._is_there(model):
            self._client.create_registered_model(model, {"mlops.environment": self._environment})
        if not self._versions(model, version.version):
            self._client.create_model_version(
                model,
                f"{run.info.artifact_uri}/{_FOLDER}",
                run.info.run_id,
                {**_cut(version.tags), "mlops.build": version.version, "mlops.commit": version.commit},
                await_creation_for=None,
            )

    def _model(self, training: str) -> str:
        return f"{self._environment}.{training}"

    def _is_there(self, model: str) -> bool:
        return bool(self._client.search_registered_models(f"name = '{model}'", max_results=1))

    def _versions(self, model: str, build: str) -> Sequence[Any]:
        asked = f"name = '{model}' and tags.`mlops.build` = '{build}'"
        return list(self._client.search_model_versions(asked, max_results=1))


def sqlite_url(file: Path) -> str:
    return URL.create("sqlite", database=str(file)).render_as_string()


def _key(name: str) -> str:
    """``name`` in the letters that MLflow takes: ``ndcg@10`` is ``ndcg_at_10`` there."""
    return re.sub(r"[^\w.\- /]", "_", name.replace("@", "_at_"))[:250].strip("/ ") or "_"


def _cut(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value[:_LONGEST_VALUE] for name, value in values.items()}


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@contextmanager
def _answering() -> Iterator[None]:
    """What goes wrong in MLflow, in a line, as a TransientError."""
    try:
        yield
    except MlopsError:
        raise
    except Exception as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, OSError):  # so are those of requests, which quote all that was asked for
            raise TransientError(f"MLflow does not answer: {type(cause).__name__}") from None
        lines = str(error).splitlines() or [""]
        raise TransientError(f"MLflow failed: {type(error).__name__}: {shown(lines[0])[:300]}") from None


@contextmanager
def _refusing(label: str) -> Iterator[None]:
    """What no MLflow will ever take, as a TerminalError."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != _INVALID:
            raise
        raise TerminalError("MirrorRefused", f"MLflow does not take {label}: {shown(str(error))[:300]}") from None
