"""Small, readable makers of the shapes that many tests need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from framework.api.layout import prediction_folder, profile_folder
from framework.api.meta import Metadata, Ref
from framework.kinds.feature_view.spec import FeatureViewSpec
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar.changes import Desired
from framework.ports import AppArguments, CodeRef, ModelVersion, TableState

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STORAGE = "/store"


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def desired(
    ref: Ref,
    spec: Any,
    *,
    identity: str = "aaaaaaaaaa",
    digest: str | None = None,
    commit: str = "c" * 40,
    **more: Any,
) -> Desired[Any]:
    return Desired(
        ref=ref,
        metadata=Metadata(name=ref.name),
        spec=spec,
        commit=commit,
        identity=identity,
        digest=digest or f"d{identity[1:]}",
        environment="local",
        storage=STORAGE,
        root="/project",
        file=f"mlops_specs/{ref.name}.yaml",
        **{"recipe": identity, **more},
    )


def feature_view_spec(**more: Any) -> FeatureViewSpec:
    return FeatureViewSpec.model_validate(
        {
            "entities": ["carrier"],
            "timestamp": "hour",
            "sources": {"flights": {"format": "csv", "path": "data/flights.csv"}},
            "columns": [
                {"name": "carrier", "dtype": "String"},
                {"name": "hour", "dtype": "Datetime"},
                {"name": "mean_delay", "dtype": "Float64"},
                {"name": "delayed", "dtype": "Boolean"},
            ],
            **more,
        }
    )


def training_spec(**more: Any) -> TrainingJobSpec:
    return TrainingJobSpec.model_validate(
        {
            "dataset": {
                "spine": "departures",
                "label": "delayed",
                "window": {"from": "2013-01-01", "to": "2013-04-01"},
                "split": {"fractions": {"train": 0.7, "validation": 0.15, "test": 0.15}},
            },
            "trainer": {"lightgbm": {"rounds": 50}},
            "evaluation": {"gates": [{"metric": "auc", "min": 0.65}]},
            **more,
        }
    )


def table(
    identity: str = "aaaaaaaaaa", *, version: int = 0, source_digest: str = "s1", published: datetime = NOW
) -> TableState:
    return TableState(
        uri=f"{STORAGE}/features/departures/{identity}",
        version=version,
        rows=1000,
        source_digest=source_digest,
        identity=identity,
        commit="c" * 40,
        published=published,
    )


def model_version(
    version: str = "aaaaaaaaaa", *, training: str = "delay-classifier", auc: float = 0.7, deployable: bool = True
) -> ModelVersion:
    return ModelVersion(
        training=training,
        version=version,
        commit="c" * 40,
        created=NOW,
        artifact=f"{STORAGE}/models/{training}/{version}/model.txt",
        sha256="0" * 64,
        format="lightgbm-text",
        signature={"inputs": [], "output": {"name": "delayed", "kind": "probability"}},
        profile=f"{STORAGE}/models/{training}/{version}/profile",
        metrics={"auc": auc},
        parameters={},
        lineage={},
        deployable=deployable,
        trial_rows=20,
    )


def app_arguments(app: str = "delay-0123456789", version: str = "1", **more: Any) -> AppArguments:
    deployment = app.rpartition("-")[0]
    return AppArguments(
        **{
            "deployment": deployment,
            "app": app,
            "version": version,
            "artifact": f"{STORAGE}/models/delay-classifier/{version}/model.txt",
            "sha256": "0" * 64,
            "format": "lightgbm-text",
            "signature": {"inputs": [], "output": {"name": "delayed", "kind": "probability"}},
            "profiles": profile_folder(STORAGE, deployment, app),
            "predictions": prediction_folder(STORAGE, deployment, app),
            "flushSeconds": 10.0,
            "transformer": None,
            "predictionKey": None,
            **more,
        }
    )


CODE = CodeRef(commit="c" * 40, folder="examples/flights", digest="t" * 40)
