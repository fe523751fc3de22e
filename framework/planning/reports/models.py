"""What is told of model versions: which there are, what is known of one, and in what two of them differ. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from framework.api.aliases import LATEST
from framework.api.errors import ConfigurationError
from framework.api.metrics import VALIDATION, bare, measure_of, measured
from framework.api.nearest import did_you_mean
from framework.api.tasks import TASKS, Task, of_signature
from framework.planning.reports.aliases import ModelAlias, ModelUse, version_called
from framework.ports import Json, ModelVersion, ReadTable

_JUDGED = ("champion_metrics", "champion_told", "intervals", "slices", "fairness", "robustness", "hints", "rows")
"""What a version's lineage keeps of how it was judged."""
_NAMED = 5
"""Versions that a message names."""


@dataclass(frozen=True)
class ModelRow:
    """A version in a line. ``value`` is None where ``metric``, the one that its task is told by, was not measured."""

    model: ModelVersion
    task: Task
    metric: str
    value: float | None
    uses: tuple[ModelUse, ...] = ()
    aliases: tuple[ModelAlias, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.model.training}@{self.model.version}"


@dataclass(frozen=True)
class ModelFigure:
    """One metric: on the test rows, on the validation rows, and of the live model on the same test rows. ``loss``:
    better when smaller; None where nobody knows the metric. ``interval``: where it lies in 95 of 100 draws of the test
    rows; None where that was not drawn. ``folds`` are its values in a cross-validation, with their mean and standard
    deviation in ``cv``; None where it was not defined on all of them, or there was none."""

    name: str
    test: float | None
    validation: float | None
    live: float | None
    loss: bool | None
    interval: tuple[float, float] | None = None
    cv: tuple[float, float] | None = None
    folds: tuple[float, ...] = ()


@dataclass(frozen=True)
class ModelReport:
    """``kept`` is what the run left beside the model, see ``train.run``; None where it is not to be had."""

    row: ModelRow
    figures: tuple[ModelFigure, ...]
    kept: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ModelDifference:
    """One thing in which two versions differ. ``about`` says what sort of thing; ``before`` or ``after`` is None where
    one of them has it not. ``verdict`` says what that means, where it means something: better, worse, retyped."""

    about: str
    name: str
    before: Json
    after: Json
    verdict: str = ""


@dataclass(frozen=True)
class ModelComparison:
    """``same_rows``: both were trained and judged on the same rows, so their metrics can be compared as they are; None
    where that is not on record."""

    before: ModelRow
    after: ModelRow
    differences: tuple[ModelDifference, ...]
    same_rows: bool | None


def model_row(model: ModelVersion, uses: Iterable[ModelUse] = (), aliases: Iterable[ModelAlias] = ()) -> ModelRow:
    """``aliases`` are those of the training job; the version's own are taken."""
    task = of_signature(model.signature)
    metric = TASKS[task].headline
    own = tuple(alias for alias in aliases if alias.version == model.version)
    return ModelRow(model, task, metric, model.metrics.get(metric), tuple(uses), own)


def model_report(row: ModelRow, kept: Mapping[str, Any] | None) -> ModelReport:
    """All that is known of one version. What was ``kept`` of another model than the one on record is left out."""
    own = kept if kept is not None and kept.get("sha256") == row.model.sha256 else None
    return ModelReport(row, figures(row.model), own)


def result_of(report: ModelReport) -> dict[str, Any]:
    """What its run returned, as far as it is on record: the registry's word counts where both know something."""
    model = report.row.model
    known = model.model_dump(
        include={"artifact", "sha256", "format", "signature", "profile", "metrics", "parameters", "lineage"}
    )
    told = {name: model.lineage.get(name) for name in _JUDGED}
    return {**(report.kept or {}), **known, **told, "lineage": {"commit": model.commit, **model.lineage}}


def figures(model: ModelVersion) -> tuple[ModelFigure, ...]:
    """Those of its task first, in the order of their table."""
    found, live = model.metrics, model.lineage.get("champion_metrics") or {}
    drawn, crossed = model.lineage.get("intervals") or {}, model.lineage.get("cross_validation") or {}
    own, added = {bare(name) for name in (*found, *live)}, model.lineage.get("own_metrics") or {}
    names = dict.fromkeys((*(name for name in measured(of_signature(model.signature)) if name in own), *sorted(own)))
    return tuple(
        ModelFigure(
            name,
            found.get(name),
            found.get(f"{VALIDATION}{name}"),
            live.get(name),
            is_loss(name, added),
            (drawn[name][0], drawn[name][1]) if name in drawn else None,
            *_of_folds(name, crossed),
        )
        for name in names
    )


def _of_folds(name: str, crossed: Mapping[str, Any]) -> tuple[tuple[float, float] | None, tuple[float, ...]]:
    known = (crossed.get("metrics") or {}).get(name)
    if known is None:
        return None, ()
    return (known["mean"], known["std"]), tuple(fold["metrics"][name] for fold in crossed["folds"])


def is_loss(name: str, own: Mapping[str, str] = MappingProxyType({})) -> bool | None:
    """Whether a metric, also one of the validation part or of folds, is better when smaller; None for what is no
    metric. ``own`` are those of a version's own, with which values are better."""
    plain = bare(name)
    if plain in own:
        return own[plain] == "smaller"
    try:
        return measure_of(plain).loss
    except KeyError:
        return None


def found_model(
    name: str,
    trainings: Collection[str],
    versions: Callable[[str], Sequence[ModelVersion]],
    aliases: Callable[[str], Sequence[ModelAlias]] = lambda training: (),
) -> ModelVersion:
    """The version that ``TRAINING@VERSION`` names, where an alias will do, and the start of a version as long as there
    is one like it, or ``TRAINING``: the newest that passed its gates. ``versions`` are newest first.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    training, at, version = name.partition("@")
    ensure_known(training, trainings)
    known = versions(training)
    if not at or version == LATEST:
        passed = next((model for model in known if model.deployable), None)
        if passed is None:
            raise ConfigurationError(f"no version of {training!r} passed its gates: name one; {_have(known)}")
        return passed
    if not version:
        raise ConfigurationError(f"{name!r} names no version: say {training}@VERSION; {_have(known)}")
    called = aliases(training)
    meant = version_called(version, training, called)
    alias, version = (f", which {version} stands for", meant) if meant is not None else ("", version)
    alike = [model for model in known if model.version.startswith(version)]
    exact = [model for model in alike if model.version == version]
    if len(exact or alike) == 1:
        return (exact or alike)[0]
    if alike:
        told = f"{len(alike)} versions of {training!r} begin with {version!r}"
        raise ConfigurationError(f"{told}: {_listed(alike)}")
    near = did_you_mean(version, [*(item.name for item in called), *(model.version for model in known)])
    told = f"the registry has no version {version!r} of {training!r}{alias}"
    raise ConfigurationError(f"{told}{near}; {_have(known)}")


def ensure_known(training: str, trainings: Collection[str]) -> None:
    """
    Raises:
        ConfigurationError: the registry has no version of that training job.
    """
    if training not in trainings:
        known = f"it has those of {', '.join(sorted(trainings))}" if trainings else "it has none at all"
        told = f"the registry has no versions of {training!r}{did_you_mean(training, sorted(trainings))}; {known}"
        raise ConfigurationError(told)


def _have(known: Sequence[ModelVersion]) -> str:
    return f"it has {_listed(known)}" if known else "it has none that can be read"


def _listed(known: Sequence[ModelVersion]) -> str:
    rest = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    return ", ".join(model.version for model in known[:_NAMED]) + rest


# ------------------------------------------------------------------- two of them


def compared(before: ModelRow, after: ModelRow) -> ModelComparison:
    """In what ``after`` differs from ``before``, in the order in which a reader asks."""
    one, other = before.model, after.model
    sets = one.lineage.get("dataset"), other.lineage.get("dataset")
    same_rows = None if None in sets else sets[0] == sets[1]
    return ModelComparison(before, after, tuple(_differences(before, after, one, other)), same_rows)


def _differences(
    before: ModelRow, after: ModelRow, one: ModelVersion, other: ModelVersion
) -> Iterator[ModelDifference]:
    yield from _of("task", {"task": before.task.value}, {"task": after.task.value})
    yield from _of("parameters", one.parameters, other.parameters)
    for item in _of("metrics", one.metrics, other.metrics):
        own = {**(one.lineage.get("own_metrics") or {}), **(other.lineage.get("own_metrics") or {})}
        yield ModelDifference(item.about, item.name, item.before, item.after, _verdict(item, own))
    yield from _of("rows", one.lineage.get("rows") or {}, other.lineage.get("rows") or {})
    yield from _inputs(one, other)
    yield from _data(one.read, other.read)
    yield from _of("data", _training_set(one), _training_set(other))
    yield from _of("code", _code(one), _code(other))
    yield from _of("libraries", one.lineage.get("libraries") or {}, other.lineage.get("libraries") or {})
    yield from _of("machine", one.lineage.get("machine") or {}, other.lineage.get("machine") or {})
    yield from _of("artefact", _artefact(one), _artefact(other))


def _of(about: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[ModelDifference]:
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if one != other:
            yield ModelDifference(about, name, one, other)


def _verdict(item: ModelDifference, own: Mapping[str, str]) -> str:
    loss = is_loss(item.name, own)
    if loss is None or item.before is None or item.after is None:
        return ""
    return "better" if (item.after < item.before) == loss else "worse"


def _inputs(one: ModelVersion, other: ModelVersion) -> Iterator[ModelDifference]:
    before, after = ({column["name"]: column for column in model.signature.get("inputs", ())} for model in (one, other))
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if old is None or new is None:
            yield ModelDifference("inputs", name, _told(old), _told(new), "added" if old is None else "removed")
        elif old.get("dtype") != new.get("dtype"):
            yield ModelDifference("inputs", name, _told(old), _told(new), "retyped")
        else:
            values = old.get("categories") != new.get("categories")
            yield ModelDifference("inputs", name, _told(old), _told(new), "other categories" if values else "")


def _told(column: Mapping[str, Any] | None) -> str | None:
    """
    >>> _told({"dtype": "String", "nullable": True, "categories": ["a", "b"]})
    'String of 2 categories, may be missing'
    """
    if column is None:
        return None
    size = len(column.get("categories", ()))
    categories = f" of {size:,} {'category' if size == 1 else 'categories'}" if "categories" in column else ""
    return f"{column.get('dtype')}{categories}{', may be missing' if column.get('nullable') else ''}"


def _data(before: Mapping[str, ReadTable], after: Mapping[str, ReadTable]) -> Iterator[ModelDifference]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        told = _table(old), _table(new)
        if told[0] != told[1]:
            equal = old is not None and new is not None and old.holds(new)
            yield ModelDifference("data", name, told[0], told[1], "equal values" if equal else "")


def _table(read: ReadTable | None) -> str | None:
    return None if read is None else f"build {read.name}, version {read.version}"


def _training_set(model: ModelVersion) -> dict[str, Json]:
    return {"training set": model.lineage["dataset"]} if "dataset" in model.lineage else {}


def _code(model: ModelVersion) -> dict[str, Json]:
    seed = {"seed": model.lineage["seed"]} if "seed" in model.lineage else {}
    return {"commit": model.commit, **seed}


def _artefact(model: ModelVersion) -> dict[str, Json]:
    return {"format": model.format, "sha256": model.sha256}
