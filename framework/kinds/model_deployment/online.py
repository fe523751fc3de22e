"""Which inputs of a model are looked up while it serves, and whether they can be. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from framework.api.fields import parse_duration
from framework.api.meta import Ref
from framework.kinds.feature_view.columns import columns_of
from framework.kinds.feature_view.spec import FeatureViewSpec
from framework.kinds.model_deployment.spec import ModelDeploymentSpec, Serving
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar.kind import CrossProblem
from framework.ports import ModelVersion, OnlineLookup, OnlinePlace, OnlineView

_PATIENCE = 2.0
"""A look may take the request's timeout by this: its caller is to be told before that is over."""


def problems(
    spec: ModelDeploymentSpec, job: TrainingJobSpec | None, specs: Mapping[Ref, BaseModel]
) -> Iterator[CrossProblem]:
    """Views that cannot be looked up for this deployment."""
    names = spec.serving.onlineFeatures
    for index, name in enumerate(names):
        path = f"spec.serving.onlineFeatures[{index}]"
        view = specs.get(Ref("FeatureView", name))
        if not isinstance(view, FeatureViewSpec):
            continue  # told with the references
        joins = [feature.view for feature in job.dataset.features] if job is not None else [name]
        used = set(joins)
        if joins.count(name) > 1:
            yield CrossProblem(path, f"TrainingJob/{spec.model.training} joins FeatureView/{name} {_TWICE}")
        elif name not in used:
            message = f"TrainingJob/{spec.model.training} joins no columns of FeatureView/{name}"
            yield CrossProblem(path, message, allowed=tuple(sorted(used)), wanted=name)
        elif not view.online.enabled:
            yield CrossProblem(path, f"FeatureView/{name} keeps no rows online: say online: {{enabled: true}} there")
        elif job is not None:
            yield from _of_training(path, name, view, spec, job, specs)


_TWICE = "more than once, and a look-up finds one row of a view for each request"


def _of_training(
    path: str,
    name: str,
    view: FeatureViewSpec,
    spec: ModelDeploymentSpec,
    job: TrainingJobSpec,
    specs: Mapping[Ref, BaseModel],
) -> Iterator[CrossProblem]:
    used = {feature.view: feature for feature in job.dataset.features}
    delay = used[name].delay
    if delay != view.online.delay:
        told = [f"{one.total_seconds():g} s" if one is not None else "no" for one in (delay, view.online.delay)]
        message = f"FeatureView/{name} is joined with {told[0]} delay and kept online with {told[1]}"
        yield CrossProblem(path, f"{message}: say the same in online.delay there")
    for other in spec.serving.onlineFeatures:
        feature = used.get(other)
        if feature is None or other == name:
            continue
        above = specs.get(Ref("FeatureView", other))
        own = above.meant if isinstance(above, FeatureViewSpec) else frozenset()
        taken = set(columns_of(specs, other)) - own if feature.columns == "all" else set(feature.columns)
        brings = {f"{feature.prefix or ''}{name}" for name in taken}
        for key in (used[name].keys.get(entity, entity) for entity in view.entities):
            if key in brings:
                message = f"its key {key} comes from FeatureView/{other}, which is looked up itself: nobody sends it"
                yield CrossProblem(path, message)


def unfit(model: ModelVersion, serving: Serving) -> str:
    """Why a version cannot serve with these views; empty where it can."""
    joined = _joined(model)
    for name in serving.onlineFeatures:
        if joined is None:
            return f"version {model.version} does not say how its features were joined: train it again"
        if [feature["view"] for feature in model.lineage["features"]].count(name) > 1:
            return f"version {model.version} joins FeatureView/{name} {_TWICE}"
        if name not in joined or not _columns(model, joined[name]):
            return f"version {model.version} has no inputs of FeatureView/{name}"
    return ""


def lookup(model: ModelVersion, serving: Serving, place: OnlinePlace | None) -> OnlineLookup | None:
    """What replicas of a version look up; None where nothing is."""
    joined = _joined(model) or {}
    views = tuple(_view(model, joined[name]) for name in serving.onlineFeatures if name in joined)
    if not views:
        return None
    return OnlineLookup(
        store=place.store if place is not None else "",
        space=place.space if place is not None else "",
        views=views,
        refuses=serving.onlineMissing == "refuse",
        timeoutSeconds=serving.timeout.total_seconds() / _PATIENCE,
    )


def _joined(model: ModelVersion) -> Mapping[str, Mapping[str, Any]] | None:
    features = model.lineage.get("features")
    return None if features is None else {feature["view"]: feature for feature in features}


def _view(model: ModelVersion, feature: Mapping[str, Any]) -> OnlineView:
    meaning = model.lineage["meanings"][feature["view"]]
    dtypes, called = dict(meaning["columns"]), feature.get("keys") or {}
    return OnlineView(
        view=feature["view"],
        entities=tuple((name, dtypes[name]) for name in meaning["entities"]),
        columns=_columns(model, feature),
        maxAge=_seconds(feature.get("maxAge")),
        delay=_seconds(feature.get("delay")),
        keys=tuple(called.get(name, name) for name in meaning["entities"]) if called else (),
        prefix=feature.get("prefix") or "",
    )


def _columns(model: ModelVersion, feature: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The inputs that come from a view."""
    meaning = model.lineage["meanings"][feature["view"]]
    own = {*meaning["entities"], meaning.get("timestamp"), meaning.get("available")}
    prefix = feature.get("prefix") or ""
    asked = feature.get("columns", "all")
    inputs = {column["name"] for column in model.signature.get("inputs", ())}
    return tuple(
        (name, word)
        for name, word in meaning["columns"]
        if f"{prefix}{name}" in inputs and (name not in own if asked == "all" else name in asked)
    )


def _seconds(text: str | None) -> float | None:
    return None if text is None else parse_duration(text).total_seconds()
