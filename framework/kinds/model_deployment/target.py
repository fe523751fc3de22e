"""From a spec and a model version to the app that serves it, and its name. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from framework.api import layout
from framework.api.categories import category_of
from framework.kinds.model_deployment.observed import ServedVersion, Terms
from framework.kinds.model_deployment.spec import CATEGORIES, ModelDeploymentSpec, Serving
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.fingerprint import short_hash
from framework.ports import AppSpec, ModelVersion

WORKLOAD_VERSION = "1"
"""Part of every app's identity: bumped when the serving workload would answer differently from the same arguments."""

_APP = re.compile(r"-[0-9a-f]{10}")


def owns(deployment: str, app: str) -> bool:
    """Whether ``app`` has the name of a model app of this deployment (its router has not)."""
    return app.startswith(deployment) and _APP.fullmatch(app.removeprefix(deployment)) is not None


def served(desired: Desired[ModelDeploymentSpec], model: ModelVersion) -> ServedVersion:
    """The version as this spec serves it. Equal models under equal serving fields get the same app."""
    serving, name = desired.spec.serving, desired.ref.name
    identity = _identity(desired, model)
    app = f"{name}-{identity}"
    batching = serving.batching
    arguments = {
        "deployment": name,
        "app": app,
        "version": f"{model.training}@{model.version}",
        "artifact": model.artifact,
        "sha256": model.sha256,
        "format": model.format,
        "signature": model.signature,
        "transformer": serving.transformer,
        "profiles": layout.profile_folder(desired.storage, name, app),
        "predictions": layout.prediction_folder(desired.storage, name, app),
        "flushSeconds": serving.profiling.flush.total_seconds(),
        "predictionKey": serving.profiling.key,
        **_trial(serving, model),
    }
    return ServedVersion(
        app=app,
        identity=identity,
        training=model.training,
        version=model.version,
        commit=desired.commit,
        arguments=arguments,
        cpus=serving.resources.cpus,
        gpus=serving.resources.gpus,
        batch_size=batching.maxSize if batching else 1,
        batch_wait_seconds=batching.wait.total_seconds() if batching else 0.0,
        code=desired.code if serving.transformer else None,
    )


def _trial(serving: Serving, model: ModelVersion) -> dict[str, Any]:
    """What its replicas are tried on before they answer; nothing for a model of which no rows were kept."""
    if serving.trial is not None:
        return {"trial": {"rows": [dict(row) for row in serving.trial.rows]}}
    return {"trial": {"rows": None}} if model.trial_rows else {}


def app_spec(desired: Desired[ModelDeploymentSpec], version: ServedVersion) -> AppSpec:
    """``version`` at the size that the spec asks for now."""
    serving = desired.spec.serving
    return AppSpec(
        name=version.app,
        deployment=desired.ref.name,
        arguments=version.arguments,
        min_replicas=serving.replicas.min,
        max_replicas=serving.replicas.max,
        target_ongoing_requests=serving.replicas.targetOngoingRequests,
        max_queued_requests=serving.maxQueued,
        cpus=version.cpus,
        gpus=version.gpus,
        batch_size=version.batch_size,
        batch_wait_seconds=version.batch_wait_seconds,
        metadata={
            "commit": version.commit,
            "fingerprint": version.identity,
            "model": version.label,
            "resource": str(desired.ref),
            "spec": desired.file,
        },
        code=version.code,
    )


def terms(desired: Desired[ModelDeploymentSpec], job: str) -> Terms:
    """What a version is tried under now. ``job`` is the digest of the TrainingJob that its model is from."""
    strategy = desired.spec.strategy.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return Terms(digest=short_hash([desired.digest, job]), strategy=short_hash(strategy))


def _identity(desired: Desired[ModelDeploymentSpec], model: ModelVersion) -> str:
    """10 hex characters over what makes answers differ. ``model.version`` is left out of the fields: ``latest`` and the
    name of the same version are the same app."""
    spec = desired.spec.model_dump(mode="json", by_alias=True)
    code = desired.code.digest if desired.code and desired.spec.serving.transformer else None
    content = {
        "model": [model.training, model.version, model.sha256],
        "serving": _rebuilding("serving", spec["serving"]),
        "code": code,
        "workload": WORKLOAD_VERSION,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:10]


def _rebuilding(path: str, value: Any) -> Any:
    """``value`` without the fields that change in place."""
    if not isinstance(value, dict):
        return value
    kept = {key: _rebuilding(f"{path}.{key}", item) for key, item in value.items() if _rebuilds(f"{path}.{key}")}
    return {key: item for key, item in kept.items() if item is not None}


def _rebuilds(path: str) -> bool:
    return category_of(path, CATEGORIES).rebuilds
