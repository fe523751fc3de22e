"""What a training set demands of event times. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from framework.api.fields import format_duration
from framework.kinds.feature_view.spec import FeatureViewSpec
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar.kind import CrossProblem


def problems(spec: TrainingJobSpec, views: Mapping[str, FeatureViewSpec]) -> Iterator[CrossProblem]:
    """``views``: those that are learned from, as far as they are known."""
    spine = views.get(spec.dataset.spine)
    yield from _dates(spec)
    if spine is not None and spine.timestamp is None:
        yield from _timeless(spec)
    for index, feature in enumerate(spec.dataset.features):
        path, view = f"spec.dataset.features[{index}]", views.get(feature.view)
        delay = feature.delay or timedelta(0)
        if feature.maxAge is not None and feature.maxAge < delay:
            since, until = format_duration(delay), format_duration(feature.maxAge)
            yield CrossProblem(f"{path}.maxAge", f"rows become available after {since} and expire after {until}")
        if view is None:
            continue
        owner = f"FeatureView/{feature.view}"
        if view.timestamp is None:
            for name in ("maxAge", "delay"):
                if getattr(feature, name) is not None:
                    yield CrossProblem(f"{path}.{name}", f"{owner} has no event time and is joined by its keys alone")
        elif spine is not None and spine.timestamp is None:
            told = f"{owner} has event times and the spine has none, so nobody can tell what was known"
            yield CrossProblem(f"{path}.view", told)
        elif view.available is not None and feature.delay is not None:
            yield CrossProblem(f"{path}.delay", f"{owner} says by {view.available} when a row became known")


def _timeless(spec: TrainingJobSpec) -> Iterator[CrossProblem]:
    """What goes by event times, where the spine has none."""
    dataset, told = spec.dataset, "goes by event times, and the spine has none"
    if dataset.split.by == "time":
        allowed = ("random", "stratified", "group")
        yield CrossProblem("spec.dataset.split.by", f"time {told}", allowed=allowed)
    for name in ("window", "labelDelay"):
        if getattr(dataset, name) is not None:
            yield CrossProblem(f"spec.dataset.{name}", told)


def _dates(spec: TrainingJobSpec) -> Iterator[CrossProblem]:
    window, at = spec.dataset.window, spec.dataset.split.at
    if at is None or window is None or window.from_ is None or window.to is None:
        return
    if at.validation <= window.from_:
        yield CrossProblem("spec.dataset.split.at.validation", "lies before the window, so nothing is left to train on")
    if at.test >= window.to:
        yield CrossProblem("spec.dataset.split.at.test", "lies behind the window, so nothing is left to judge on")
