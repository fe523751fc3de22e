"""What a TrainingJob demands of the views that it learns from, and of its own parts. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from framework.api.fairness import most_of
from framework.api.meta import Ref
from framework.api.metrics import Measure, bare, is_known, measure_of
from framework.api.perturbations import PERTURBATIONS
from framework.api.tasks import Task
from framework.api.trainers import TRAINER_FORMS
from framework.kinds.feature_view.columns import no_column
from framework.kinds.feature_view.spec import FeatureViewSpec
from framework.kinds.training_job import aliases, champion, export, network, parameters, population, space, tasks, times
from framework.kinds.training_job.dataset import FeatureRef
from framework.kinds.training_job.evaluation import Gate, Robustness, Slice
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.kinds.training_job.tuning import Constraint
from framework.planning.grammar.kind import CrossProblem

Specs = Mapping[Ref, BaseModel]
_SHOWN = 5
"""Columns that one message names."""


@dataclass(frozen=True)
class _View:
    """A FeatureView that is learned from: dtype by column, what it is joined by, and what it has besides keys."""

    dtypes: Mapping[str, str]
    entities: tuple[str, ...]
    values: tuple[str, ...]

    def taken(self, feature: FeatureRef) -> tuple[str, ...]:
        return self.values if feature.columns == "all" else feature.columns

    def brings(self, feature: FeatureRef) -> Mapping[str, str]:
        """Dtype by the name that a column has in the training set."""
        names = (name for name in self.taken(feature) if name in self.dtypes)
        return {f"{feature.prefix or ''}{name}": self.dtypes[name] for name in names}


_UNKNOWN = _View({}, (), ())


def inputs(spec: TrainingJobSpec, specs: Specs) -> Mapping[str, str]:
    """Dtype by column that the model is asked with, in its order, as far as the views are known."""
    views = _views(spec, specs)
    spine = views[spec.dataset.spine].dtypes
    found = {name: spine[name] for name in spec.dataset.columns if name in spine}
    for feature in spec.dataset.features:
        found.update(views[feature.view].brings(feature))
    return found


def problems(spec: TrainingJobSpec, specs: Specs) -> Iterator[CrossProblem]:
    yield from _dataset(spec, _views(spec, specs))
    yield from times.problems(spec, _times(spec, specs))
    whole = all(isinstance(specs.get(Ref("FeatureView", name)), FeatureViewSpec) for name in _named(spec))
    label = _views(spec, specs)[spec.dataset.spine].dtypes.get(spec.dataset.label)
    task = tasks.task_of(spec, label)
    yield from parameters.problems(spec, inputs(spec, specs) if whole else None, task)
    yield from network.problems(spec)
    if spec.resources.elastic is not None and not spec.trainer.form.together:
        able = tuple(sorted(name for name, form in TRAINER_FORMS.items() if form.together))
        told = f"{spec.trainer.name} fits on one worker (several: {', '.join(able)})"
        yield CrossProblem("spec.resources.elastic", told, allowed=able)
    if spec.tune is not None:
        yield from space.problems(spec.tune)
        yield from population.problems(spec, task)
    yield from _streamed(spec, task)
    yield from _bars(spec)
    yield from aliases.problems(spec)
    yield from export.problems(spec.export, spec.trainer)
    yield from champion.problems(spec, specs)
    yield from _disturbed(spec, inputs(spec, specs)) if whole else ()
    folds = spec.evaluation.crossValidation
    if folds is not None and folds.gap is not None and spec.dataset.split.by != "time":
        told = f"is for rows that are divided by time, and dataset.split.by is {spec.dataset.split.by}"
        yield CrossProblem("spec.evaluation.crossValidation.gap", told)
    for index, name in enumerate(spec.retrain.onDrift if spec.retrain else ()):
        monitor = specs.get(Ref("ModelMonitor", name))  # a kind above this one, which it cannot import
        if monitor is not None and getattr(monitor, "drift", None) is None:
            yield CrossProblem(f"spec.retrain.onDrift[{index}]", f"ModelMonitor/{name} does not watch drift")


def _views(spec: TrainingJobSpec, specs: Specs) -> Mapping[str, _View]:
    return {name: _view(specs.get(Ref("FeatureView", name))) for name in _named(spec)}


def _times(spec: TrainingJobSpec, specs: Specs) -> Mapping[str, FeatureViewSpec]:
    found = {name: specs.get(Ref("FeatureView", name)) for name in _named(spec)}
    return {name: view for name, view in found.items() if isinstance(view, FeatureViewSpec)}


def _named(spec: TrainingJobSpec) -> Sequence[str]:
    """The views that are learned from, each once."""
    return list(dict.fromkeys([spec.dataset.spine, *(feature.view for feature in spec.dataset.features)]))


def _view(spec: BaseModel | None) -> _View:
    if not isinstance(spec, FeatureViewSpec):
        return _UNKNOWN
    dtypes = {column.name: column.dtype for column in spec.columns}
    values = tuple(name for name in dtypes if name not in spec.meant)
    return _View(dtypes, spec.entities, values)


# -- columns ---------------------------------------------------------------------------------------------------------


def _dataset(spec: TrainingJobSpec, views: Mapping[str, _View]) -> Iterator[CrossProblem]:
    """The training set, column by column, in the order in which it is put together."""
    dataset = spec.dataset
    owner, together = f"FeatureView/{dataset.spine}", dict(views[dataset.spine].dtypes)
    if dataset.label not in together:
        yield no_column("spec.dataset.label", dataset.label, owner, together)
    else:
        yield from tasks.problems(spec, together[dataset.label])
    for index, column in enumerate(dataset.columns):
        path = f"spec.dataset.columns[{index}]"
        if column in (dataset.label, dataset.query):
            role = "label" if column == dataset.label else "query"
            yield CrossProblem(path, f"the {role} {column!r} is also an input")
        elif column in dataset.columns[:index]:
            yield CrossProblem(path, f"{column} is an input already")
        else:
            yield from _input(path, column, owner, together)
    whole: set[tuple[str, str | None]] = set()
    for index, feature in enumerate(dataset.features):
        path, view = f"spec.dataset.features[{index}]", views[feature.view]
        if feature.columns == "all" and (feature.view, feature.prefix) in whole:
            yield CrossProblem(f"{path}.view", f"FeatureView/{feature.view} is joined already, with all its columns")
            continue
        whole |= {(feature.view, feature.prefix)} if feature.columns == "all" else set()
        yield from _joined_by(path, feature, view, together)
        yield from _brought(path, feature, view, together)
        together.update(view.brings(feature))
    if not dataset.columns and not any(views[feature.view].taken(feature) for feature in dataset.features):
        yield CrossProblem("spec.dataset", "columns and features name no column, so there is nothing to learn from")
    yield from _by_column(spec, together)


def _input(path: str, column: str, owner: str, known: Mapping[str, str]) -> Iterator[CrossProblem]:
    if column not in known:
        yield no_column(path, column, owner, known)


def _brought(path: str, feature: FeatureRef, view: _View, together: Mapping[str, str]) -> Iterator[CrossProblem]:
    """What a feature adds to the training set."""
    owner = f"FeatureView/{feature.view}"
    if feature.columns == "all":
        again = [name for name in view.brings(feature) if name in together]
        if again:
            yield CrossProblem(f"{path}.view", _taken_already(owner, again))
        return
    for place, column in enumerate(feature.columns):
        at = f"{path}.columns[{place}]"
        yield from _input(at, column, owner, view.dtypes)
        if column in feature.columns[:place]:
            yield CrossProblem(at, f"{column} is named already")
        elif column in view.dtypes and f"{feature.prefix or ''}{column}" in together:
            yield CrossProblem(at, _taken_already(owner, [f"{feature.prefix or ''}{column}"]))


def _taken_already(owner: str, columns: Sequence[str]) -> str:
    told = f"{owner} brings {', '.join(columns[:_SHOWN])}, which the training set has already"
    return f"{told}; rename one of them, or give prefix"


def _joined_by(path: str, feature: FeatureRef, view: _View, together: Mapping[str, str]) -> Iterator[CrossProblem]:
    """A view is joined by its entities, as of the event time."""
    for name in feature.keys:
        if view.entities and name not in view.entities:
            told = f"FeatureView/{feature.view} has no entity {name!r}"
            yield CrossProblem(f"{path}.keys", told, allowed=view.entities, wanted=name)
    for entity in view.entities:
        key, where = feature.keys.get(entity, entity), "keys" if entity in feature.keys else "view"
        here, there = together.get(key), view.dtypes[entity]
        if here is None:
            message = f"FeatureView/{feature.view} is joined by {key!r}, which the training set does not have"
            other = tuple(together) if where == "keys" else ()
            yield CrossProblem(f"{path}.{where}", message, allowed=other, wanted=key)
        elif here != there:
            message = f"{key} is {here} in the training set and {there} in FeatureView/{feature.view}"
            yield CrossProblem(f"{path}.{where}", message)


def _by_column(spec: TrainingJobSpec, together: Mapping[str, str]) -> Iterator[CrossProblem]:
    """Columns of the training set that parts of it are made by."""
    named = [(f"spec.evaluation.slices[{index}].by", item.by) for index, item in enumerate(spec.evaluation.slices)]
    named += [
        (f"spec.evaluation.fairness[{index}].attribute", item.attribute)
        for index, item in enumerate(spec.evaluation.fairness)
    ]
    named += [
        (f"spec.evaluation.metrics[{index}].columns[{place}]", column)
        for index, one in enumerate(spec.evaluation.metrics)
        for place, column in enumerate(one.columns)
    ]
    dataset = spec.dataset
    for path, column in (("split.group", dataset.split.group), ("query", dataset.query), ("weight", dataset.weight)):
        if column is not None:
            named.append((f"spec.dataset.{path}", column))
    for path, column in named:
        if column not in together:
            yield no_column(path, column, "the training set", together)


def _streamed(spec: TrainingJobSpec, task: Task | None) -> Iterator[CrossProblem]:
    """What needs all of its rows at once."""
    if spec.dataset.loading != "stream":
        return
    params = spec.trainer.xgboost.params if spec.trainer.xgboost else {}
    whole = [f"{name}: {params[name]}" for name, words in _WHOLE.items() if params.get(name) in words]
    if not spec.trainer.form.streams:
        able = sorted(name for name, form in TRAINER_FORMS.items() if form.streams)
        told = f"trainer {spec.trainer.name} learns from all of its rows at once (streams: {', '.join(able)})"
    elif task is Task.RANKING:
        told = "a ranking is learned from all of its lists at once"
    elif whole:
        told = f"XGBoost needs all of its rows at once with {whole[0]}"
    else:
        return
    yield CrossProblem("spec.dataset.loading", f"{told}: write memory or auto")


_WHOLE = {"tree_method": ("exact", "approx"), "booster": ("gblinear",)}


# -- the job itself --------------------------------------------------------------------------------------------------


def _bars(spec: TrainingJobSpec) -> Iterator[CrossProblem]:
    """A bar outside of what its metric can be passes every model or none."""
    gates, slices = spec.evaluation.gates, spec.evaluation.slices
    own = spec.evaluation.own
    if spec.tune is not None and (wrong := spec.tune.misdirected(own)) is not None:
        yield CrossProblem("spec.tune", wrong)
    bars: list[tuple[str, str, Gate | Slice | Constraint]] = [
        *((f"evaluation.gates[{index}]", gate.metric, gate) for index, gate in enumerate(gates)),
        *((f"evaluation.slices[{index}]", item.metric, item) for index, item in enumerate(slices)),
        *(
            (f"tune.constraints[{index}]", bare(item.metric), item)
            for index, item in enumerate(spec.tune.constraints if spec.tune else ())
            if item.metric is not None
        ),
    ]
    for path, metric, bar in bars:
        if bare(metric) not in own and not is_known(bare(metric)):
            continue
        if not isinstance(bar, Constraint):
            yield from (CrossProblem(f"spec.{path}", wrong) for wrong in bar.misdirected(own))
        measure = measure_of(bare(metric), own)
        for side, bound in (("min", bar.min), ("max", bar.max)):
            if bound is not None and not measure.holds(bound):
                yield CrossProblem(f"spec.{path}.{side}", f"{metric} {_range(measure)}, found {bound:g}")
    for index, item in enumerate(spec.evaluation.fairness):
        path = f"spec.evaluation.fairness[{index}]"
        if item.loss is not None and item.loss not in own and not is_known(item.loss):
            continue
        yield from (CrossProblem(path, wrong) for wrong in item.misdirected(own))
        most = most_of(item.metric, item.loss, own)
        if item.max > most:
            told = f"{item.metric} is {most:g} at most, found {item.max:g}"
            yield CrossProblem(f"{path}.max", told)
    against: list[tuple[str, Gate | Robustness]] = [(f"gates[{index}]", gate) for index, gate in enumerate(gates)]
    against += [(f"robustness[{index}]", check) for index, check in enumerate(spec.evaluation.robustness)]
    for path, one in against:
        if isinstance(one, Robustness):
            yield from (CrossProblem(f"spec.evaluation.{path}", wrong) for wrong in one.misdirected(own))
        span = measure_of(bare(one.metric)).span if is_known(bare(one.metric)) else math.inf
        for name, verb in (("maxDrop", "drop"), ("maxRise", "rise")):
            asked = getattr(one, name)
            if asked is not None and asked > span:
                told = f"{one.metric} can {verb} by {span:g} at most, found {asked:g}"
                yield CrossProblem(f"spec.evaluation.{path}.{name}", told)


def _disturbed(spec: TrainingJobSpec, known: Mapping[str, str]) -> Iterator[CrossProblem]:
    """What is disturbed has to be there, and such as can be; whether an input may be missing, a run alone can say.
    ``known`` are all inputs with their dtypes."""
    for index, check in enumerate(spec.evaluation.robustness):
        form, path = PERTURBATIONS[check.perturb], f"spec.evaluation.robustness[{index}]"
        fit = [name for name, dtype in known.items() if form.dtypes is None or dtype in form.dtypes]
        if check.columns == "all":
            if not fit:
                yield CrossProblem(f"{path}.perturb", f"{check.perturb} needs {form.needs}, and there is none")
            continue
        for place, name in enumerate(check.columns):
            at = f"{path}.columns[{place}]"
            if name not in known:
                yield no_column(at, name, "the signature", known)
            elif name not in fit:
                yield CrossProblem(at, f"{check.perturb} needs {form.needs}, and {name} is {known[name]}")


def _range(measure: Measure) -> str:
    if math.isinf(measure.most):
        return f"is {measure.least:g} or more"
    if math.isinf(measure.least):
        return f"is {measure.most:g} or less"
    return f"lies between {measure.least:g} and {measure.most:g}"
