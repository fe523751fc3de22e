"""From a spec and a model version to the app that serves it, and its name. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Any

from framework.api import layout
from framework.api.categories import category_of
from framework.api.hashes import text_hash
from framework.kinds.model_deployment.observed import ServedVersion, TrialTerms
from framework.kinds.model_deployment.online import lookup
from framework.kinds.model_deployment.spec import CATEGORIES, ModelDeploymentSpec, Serving
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.fingerprint import short_hash, spec_json
from framework.ports import AppArguments, AppSpec, ModelVersion, OnlinePlace, TrialRows

WORKLOAD_VERSION = "1"
"""Part of every app's identity: bumped when the serving workload would answer differently from the same arguments."""

_APP = re.compile(r"-[0-9a-f]{10}")


def owns(deployment: str, app: str) -> bool:
    """Whether ``app`` has the name of a model app of this deployment (its router has not)."""
    return app.startswith(deployment) and _APP.fullmatch(app.removeprefix(deployment)) is not None


def served(
    desired: Desired[ModelDeploymentSpec],
    model: ModelVersion,
    known: Container[str] = frozenset(),
    place: OnlinePlace | None = None,
) -> ServedVersion:
    """The version as this spec serves it. Equal models under equal serving fields get the same app. ``known`` are
    identities on record: one that an earlier version of mlopsctl gave stays. ``place`` is where it looks rows up, which
    is no part of what it is."""
    serving, name = desired.spec.serving, desired.ref.name
    identity = _identity(desired, model)
    if identity not in known and (former := _former_identity(desired, model)) in known:
        identity = former
    app = f"{name}-{identity}"
    batching, seen = serving.batching, layout.seen(desired.storage, desired.environment)
    arguments = AppArguments(
        deployment=name,
        app=app,
        version=f"{model.training}@{model.version}",
        artifact=model.artifact,
        sha256=model.sha256,
        format=model.format,
        signature=model.signature,
        transformer=serving.transformer,
        profiles=layout.profile_folder(seen, name, app),
        predictions=layout.prediction_folder(seen, name, app),
        flushSeconds=serving.profiling.flush.total_seconds(),
        predictionKey=serving.profiling.key,
        trial=_trial(serving, model),
        online=lookup(model, serving, place),
    )
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
        code=replace(desired.code, files=()) if desired.code and serving.transformer else None,
    )


def _trial(serving: Serving, model: ModelVersion) -> TrialRows | None:
    """What its replicas are tried on before they answer; nothing for a model of which no rows were kept."""
    if serving.trial is not None:
        return TrialRows(tuple(dict(row) for row in serving.trial.rows))
    return TrialRows() if model.trial_rows else None


def app_spec(
    desired: Desired[ModelDeploymentSpec], version: ServedVersion, place: OnlinePlace | None = None
) -> AppSpec:
    """``version`` at the size that the spec asks for now. It looks rows up at ``place``; None: where it did before."""
    serving, arguments = desired.spec.serving, version.arguments
    if place is not None and arguments.online is not None:
        arguments = replace(arguments, online=replace(arguments.online, store=place.store, space=place.space))
    return AppSpec(
        name=version.app,
        deployment=desired.ref.name,
        arguments=arguments,
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


def terms(desired: Desired[ModelDeploymentSpec], job: str) -> TrialTerms:
    """What a version is tried under now. ``job`` is the digest of the TrainingJob that its model is from."""
    return TrialTerms(digest=short_hash([desired.digest, job]), strategy=short_hash(spec_json(desired.spec.strategy)))


def _identity(desired: Desired[ModelDeploymentSpec], model: ModelVersion) -> str:
    """10 hex characters over what makes answers differ. ``model.version`` is left out of the fields: ``latest`` and the
    name of the same version are the same app."""
    return short_hash(_content(desired, model, _rebuilding("serving", spec_json(desired.spec)["serving"])))


def _former_identity(desired: Desired[ModelDeploymentSpec], model: ModelVersion) -> str:
    """The same as it was before fields at their default were left out: of the fields that there were."""
    serving = desired.spec.model_dump(mode="json", by_alias=True)["serving"]
    content = _content(desired, model, _part(serving, _FORMER))
    return text_hash(json.dumps(content, sort_keys=True, separators=(",", ":")))


_FORMER: Mapping[str, Any] = {
    "batching": {"maxSize": {}, "wait": {}},
    "onlineFeatures": {},
    "profiling": {"flush": {}, "key": {}},
    "resources": {"cpus": {}, "gpus": {}},
    "transformer": {},
}


def _part(value: Any, names: Mapping[str, Any]) -> Any:
    """Of ``value`` what ``names`` has, where it is set."""
    if not names or not isinstance(value, dict):
        return value
    return {name: _part(value[name], below) for name, below in names.items() if value[name] is not None}


def _content(desired: Desired[ModelDeploymentSpec], model: ModelVersion, serving: Any) -> dict[str, Any]:
    return {
        "model": [model.training, model.version, model.sha256],
        "serving": serving,
        "code": desired.code.digest if desired.code and desired.spec.serving.transformer else None,
        "workload": WORKLOAD_VERSION,
    }


def _rebuilding(path: str, value: Any) -> Any:
    """``value`` without the fields that change in place."""
    if not isinstance(value, dict):
        return value
    return {key: _rebuilding(f"{path}.{key}", item) for key, item in value.items() if _rebuilds(f"{path}.{key}")}


def _rebuilds(path: str) -> bool:
    return category_of(path, CATEGORIES).rebuilds
