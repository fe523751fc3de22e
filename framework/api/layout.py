"""Where things lie under an environment's storage root. Pure string functions; every URI is fsspec-compatible.

Everything is addressed by name and identity, so that two commits never write to the same place unless they mean the
same thing.
"""

from __future__ import annotations

from typing import Any


def feature_tables(storage: str) -> str:
    """Every table of every FeatureView."""
    return f"{storage}/features"


def feature_table(storage: str, view: str, identity: str) -> str:
    """The Delta table of one identity of a FeatureView."""
    return f"{feature_tables(storage)}/{view}/{identity}"


def run_folder(storage: str, run: str) -> str:
    """Requests, heartbeats, checkpoints and the result of one run."""
    return f"{storage}/runs/{run}"


def training_folder(storage: str, training: str) -> str:
    """All model versions of one training job."""
    return f"{storage}/models/{training}"


def model_folder(storage: str, training: str, version: str) -> str:
    """Artefact, signature, training profile and model card of one model version."""
    return f"{training_folder(storage, training)}/{version}"


def trial_file(model: str) -> str:
    """Rows of its training set that a model version is tried on before it serves; ``model`` is its folder."""
    return f"{model}/trial.json"


def code_archive(storage: str, digest: str) -> str:
    """User code as a zip, named by content."""
    return f"{storage}/code/{digest}.zip"


def exports(storage: str) -> str:
    """Files of commits that are read from here, ``<sha>/<path>``, named by content."""
    return f"{storage}/exports"


def traffic_folder(storage: str, deployment: str) -> str:
    """Counters that each router replica writes: ``<replica>.json``."""
    return f"{storage}/traffic/{deployment}"


def seen(storage: str, environment: str) -> str:
    """What was asked and answered in one environment. Models, tables and runs are alike for all that share a storage;
    what callers see of equal models is not."""
    return f"{storage}/environments/{environment}"


def profile_folder(seen: str, deployment: str, app: str) -> str:
    """whylogs profiles of one serving app: ``<start-ms>-<replica>-<n>.bin``."""
    return f"{seen}/profiles/{deployment}/{app}"


def prediction_folder(seen: str, deployment: str, app: str) -> str:
    """The prediction log of one serving app: Parquet files with request_id, key, prediction and time."""
    return f"{seen}/predictions/{deployment}/{app}"


def report_file(seen: str, monitor: str) -> str:
    """The newest HTML report of a ModelMonitor."""
    return f"{seen}/reports/{monitor}/index.html"


def names_below(value: Any, storage: str) -> bool:
    """Whether ``value``, as JSON has values, names something below ``storage``."""
    match value:
        case str():
            return value.startswith(f"{storage}/")
        case dict():
            return any(names_below(item, storage) for item in value.values())
        case list():
            return any(names_below(item, storage) for item in value)
        case _:
            return False


def rebased(value: Any, old: str, new: str) -> Any:
    """``value`` with all that it names below ``old`` below ``new``: storage was moved since it was written."""
    match value:
        case str():
            return new + value.removeprefix(old) if value.startswith(f"{old}/") else value
        case dict():
            return {key: rebased(item, old, new) for key, item in value.items()}
        case list():
            return [rebased(item, old, new) for item in value]
        case _:
            return value
