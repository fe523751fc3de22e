"""The workload that trains one model version: training set, search, fit, judgement, files."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from framework import installed, storage
from framework.answers import Matrix, ModelOutput
from framework.api.layout import trial_file
from framework.api.metrics import own_measures
from framework.api.tasks import Task
from framework.api.trainers import TRAINER_FORMS
from framework.ports import MEANING, ReadTable, TrainRequest
from framework.workloads import formats, models
from framework.workloads.context import RunContext, WorkloadError
from framework.workloads.persistence import persistently
from framework.workloads.profiling import write_reference
from framework.workloads.training import cluster, judging, labels, serving_forms, shards
from framework.workloads.training.beforehand import known_before, profiled
from framework.workloads.training.card import card_html, card_markdown, model_card
from framework.workloads.training.cross_validation import CrossValidated, FoldFits
from framework.workloads.training.dataset import TrainingSet, build, extents
from framework.workloads.training.fit import fit
from framework.workloads.training.folds import Fold, folds
from framework.workloads.training.judging import Judged
from framework.workloads.training.loading import placed, replaced
from framework.workloads.training.machine import machine
from framework.workloads.training.progress import Pace, of_fit
from framework.workloads.training.shards import Shards
from framework.workloads.training.split import divided, split
from framework.workloads.training.trainer import FitSettings, Fitted, TrainingData, answers_to
from framework.workloads.training.trainers import TRAINERS, chosen
from framework.workloads.training.trial import trial_document
from framework.workloads.training.tuning import SearchResult, checked_search, search

_LIBRARIES = (
    "fairlearn",
    "polars",
    "numpy",
    "lightgbm",
    "scikit-learn",
    "ray",
    "optuna",
    "hyperopt",
    "xgboost",
    "torch",
    "onnxruntime",
    "scipy",
    "skops",
    "joblib",
    "pyarrow",
    "deltalake",
)


def _versions() -> dict[str, str]:
    """Of the libraries that are installed where the run is."""
    found = {library: installed.version_of(library) for library in _LIBRARIES}
    return {library: version for library, version in found.items() if version is not None}


def run(context: RunContext) -> Mapping[str, Any]:
    """Train one version. The files under ``model_folder`` are named by the identity, so an attempt that runs again
    writes the same ones.

    Returns:
        {artifact, sha256, format, signature, profile, parameters, lineage, rows, trials, trial_rows, origin, seconds}
        and what ``Judged.result`` holds; ``origin`` is what its card tells of where it comes from: {trainer, spine,
        label, description, views, search}

    Raises:
        WorkloadError: what the parts raise; see ``dataset.build``, ``split.split``, ``search.search``, ``fit.fit``.
    """
    started, asked = time.perf_counter(), TrainRequest.model_validate(context.payload)
    spec = asked.spec
    name, settings = chosen(spec["trainer"], asked.seed, threads=max(1, int(spec["resources"]["cpusPerWorker"])))
    serving_forms.ready(spec)
    beside = ThreadPoolExecutor(2)
    joined = cluster.joining(beside)
    learned = _prepared(context, asked, name)
    data = learned.data
    joined.result()
    together = spec["resources"]["workers"] > 1 or spec["resources"].get("elastic")
    several = TRAINERS[name].several if together else None
    if several is not None:
        several.trainer()  # loaded now: two threads that load one library at a time find it half loaded
    settings = replace(settings, stream=learned.streamed)
    found = _searched(context, name, settings, learned)
    from_ = ("train", "validation") if _refitted(spec) else ("train",)
    rows = learned.both if _refitted(spec) else learned.parts["train"]
    before = beside.submit(known_before, asked, name, learned.dataset, learned.parts, from_, learned.signature, found)
    fitted = _fitted(context, name, found.settings(settings) if found else settings, learned)

    artifact, sha256 = persistently(
        lambda: models.save(asked.model_folder, fitted.artifact.data, fitted.artifact.format)
    )
    known = before.result()
    predictor = models.load(artifact, sha256, fitted.artifact.format, learned.signature)
    answers = beside.submit(profiled, rows, learned.dataset.time, predictor)
    validated = _validated(fitted, predictor, learned)
    output = judging.decided(spec, data.output, data, validated)
    signature = {**learned.signature, "output": output.to_json()}

    final = replace(found.settings(settings) if found else settings, rounds=fitted.rounds, stop=None)
    crossed = _cross_validated(context, asked, name, final, learned, output)

    context.progress(None, "judging on the test rows")
    parts, wanted = learned.parts, learned.wanted
    judged = judging.judge(
        asked, fitted.artifact, predictor, output, parts, data, validated, wanted, known.parts, beside
    )

    forms = serving_forms.made(spec, asked.model_folder, fitted.artifact, signature, parts)

    context.progress(None, "profiling what it was trained on")
    train, dataset, profile = parts["train"], learned.dataset, f"{asked.model_folder}/profile"
    persistently(lambda: write_reference(profile, known.inputs, answers.result()))
    trial = trial_document(train, signature, dataset.label)

    result = {
        "artifact": artifact,
        "sha256": sha256,
        "format": fitted.artifact.format,
        "signature": signature,
        "profile": profile,
        **judged.result,
        "metrics": {**judged.metrics, **(crossed.means if crossed else {})},
        "parameters": {
            **settings.loop,
            **settings.params,
            **(found.parameters if found else {}),
            "rounds": fitted.rounds,
        },
        "lineage": {
            **_lineage(asked, learned, judged, fitted, settings.threads),
            **({"forms": forms} if forms else {}),
            **({"cross_validation": crossed.kept} if crossed else {}),
        },
        "rows": {
            **{label: part.height for label, part in parts.items()},
            "dropped": dataset.dropped,
            **({"gap": gap} if (gap := _in_gaps(learned)) else {}),
        },
        "trials": found.trials if found else [],
        "trial_rows": len(trial["rows"]),
        "origin": _origin(asked, name, dataset.label, known.search),
        "seconds": round(time.perf_counter() - started, 3),
    }
    persistently(lambda: _write(asked, trial, result))
    shards.remove(_absolute(context.folder))
    return result


def _write(asked: TrainRequest, trial: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """What lies beside the model."""
    storage.write_json(trial_file(asked.model_folder), trial)
    storage.write_sealed(f"{asked.model_folder}/signature.json", result["signature"])
    storage.write_sealed(f"{asked.model_folder}/version.json", result)
    card = model_card(asked.training, asked.build, result)
    storage.write_bytes(f"{asked.model_folder}/README.md", card_markdown(card).encode())
    storage.write_bytes(f"{asked.model_folder}/card.html", card_html(card).encode())


@dataclass(frozen=True)
class Learned:
    """What is learned from: the training set, its three parts, the same as matrices, and the signature that the model
    will have. ``wanted`` are the metrics that the spec names; ``sent`` is what goes to the workers, a batch at a time
    where it is ``streamed``; ``folds`` are those of a cross-validation of ``both``."""

    dataset: TrainingSet
    parts: Mapping[str, pl.DataFrame]
    signature: dict[str, Any]
    data: TrainingData
    wanted: list[str]
    sent: TrainingData | Shards
    streamed: bool
    folds: Sequence[Fold] = ()

    @property
    def both(self) -> pl.DataFrame:
        """The rows of the train and of the validation part."""
        return pl.concat([self.parts["train"], self.parts["validation"]])


def _prepared(context: RunContext, asked: TrainRequest, trainer: str) -> Learned:
    """
    Raises:
        WorkloadError: what cannot be learned, or not from this.
    """
    spec, views = asked.spec, _views(asked)
    context.progress(None, "joining the training set")
    dataset = build(spec["dataset"], views)
    task = dataset.task
    labels.stays(task, spec["dataset"].get("task"), asked.live_task)
    wanted = _wanted(trainer, task, spec)
    parts = split(dataset, divided(spec["dataset"]), asked.seed)
    told = ", ".join(f"{part.height:,} {label}" for label, part in parts.items())
    context.progress(None, f"{told} rows of {len(dataset.inputs)} inputs, task {task}")
    output = labels.output_of(parts["train"], dataset.label, task, spec["dataset"].get("quantiles") or [])
    signature = models.signature_of(parts["train"], dataset.inputs, dataset.nullable, output)
    sent, data, streamed = placed(parts, dataset, signature, output, spec, trainer, _absolute(context.folder))
    learned = Learned(dataset, parts, signature, data, wanted, sent, streamed)
    crossed = spec["evaluation"].get("crossValidation")
    if not crossed:
        return learned
    return replace(learned, folds=folds(learned.both, dataset, divided(spec["dataset"]), crossed, asked.seed))


def _cross_validated(
    context: RunContext, asked: TrainRequest, trainer: str, final: FitSettings, learned: Learned, output: ModelOutput
) -> CrossValidated | None:
    """None where none is asked for."""
    if not learned.folds:
        return None
    place, rows = _absolute(context.folder), learned.both
    fits = FoldFits(asked.spec, trainer, final, rows, learned.folds, learned.dataset, place, fit, context.progress)
    return fits.measured(output, learned.wanted)


def _in_gaps(learned: Learned) -> int:
    """Rows that lie between two parts, and are in none."""
    return learned.dataset.frame.height - sum(part.height for part in learned.parts.values())


def _views(asked: TrainRequest) -> dict[str, dict[str, Any]]:
    return {name: view.model_dump(mode="json") for name, view in asked.views.items()}


def _lineage(asked: TrainRequest, learned: Learned, judged: Judged, fitted: Fitted, threads: int) -> dict[str, Any]:
    """Where a version comes from, for whoever wants to make it again."""
    return {
        "commit": asked.commit,
        "cause": asked.cause.value,
        "seed": asked.seed,
        "dataset": learned.dataset.digest,
        "views": {name: ReadTable(**dict(view)).model_dump(mode="json") for name, view in asked.views.items()},
        "meanings": {name: {key: view[key] for key in MEANING} for name, view in _views(asked).items()},
        "features": list(asked.spec["dataset"].get("features", ())),
        "libraries": {"python": platform.python_version(), **_versions()},
        "machine": machine(asked.spec["resources"], threads, fitted.workers),
        "champion": (asked.champion or {}).get("version"),
        "champion_deployment": (asked.champion or {}).get("deployment"),
        "champion_problem": judged.problem,
        **({"own_metrics": dict(learned.data.own.told)} if learned.data.own.functions else {}),
        "resumed_at_rounds": list(fitted.resumed),
    }


def _origin(asked: TrainRequest, trainer: str, label: str, searched: dict[str, Any] | None) -> dict[str, Any]:
    """What a card tells of where a version comes from."""
    spec = asked.spec
    return {
        "trainer": trainer,
        "spine": spec["dataset"]["spine"],
        "label": label,
        "description": asked.description,
        "views": extents(_views(asked)),
        "search": searched,
    }


def _searched(context: RunContext, name: str, settings: FitSettings, learned: Learned) -> SearchResult | None:
    """What was found, where the spec asks for a search. Both that and the fit have to have room."""
    spec = context.payload["spec"]
    (workers, fewest), needs = cluster.workers_of(spec["resources"]), cluster.WorkerNeeds.of(spec["resources"])
    cluster.require(needs, fewest or workers, "the fit")
    if not spec.get("tune"):
        return None
    cluster.require(needs, 1, "a trial")
    folder = _absolute(context.folder)
    return search(learned.sent, name, settings, spec["tune"], needs, folder, context.progress)


def _fitted(context: RunContext, name: str, settings: FitSettings, learned: Learned) -> Fitted:
    """Fit; and once more with the rows that a search found the settings by, where that is asked for."""
    spec, data = context.payload["spec"], learned.sent
    (workers, fewest), checkpoint = cluster.workers_of(spec["resources"]), spec["checkpoint"]
    needs = cluster.WorkerNeeds.of(spec["resources"])
    folder = _absolute(context.folder)
    rounds = settings.rounds

    pace = Pace(time.monotonic)

    def tell(done: int | None, measured: str) -> None:
        context.progress(*of_fit(name, workers, rounds, done, str(needs), measured, pace.left(done, rounds)))

    fitted = fit(data, name, settings, workers, needs, checkpoint, folder, "fit", tell, fewest)
    if not _refitted(spec):
        return fitted

    again_pace = Pace(time.monotonic)

    def tell_again(done: int | None, _: str) -> None:  # how good it is on rows that it learns from is no news
        left = again_pace.left(done, fitted.rounds)
        context.progress(*of_fit(name, workers, fitted.rounds, done, str(needs), "on train and validation rows", left))

    both = replaced(data, learned.both, learned.dataset, learned.signature, spec)
    settings = replace(settings, rounds=fitted.rounds, stop=None)
    again = fit(both, name, settings, workers, needs, checkpoint, folder, "refit", tell_again, fewest)
    return replace(again, blind=fitted.artifact)


def _validated(fitted: Fitted, predictor: models.Predictor, learned: Learned) -> Matrix:
    """Answers to the validation rows of the model that never saw them."""
    if fitted.blind is None:
        return predictor.predict(learned.parts["validation"])
    score = formats.known(fitted.blind.format).load(fitted.blind.data, learned.data.output)
    return answers_to(learned.data.validation, score)


def _refitted(spec: Mapping[str, Any]) -> bool:
    return (spec.get("tune") or {}).get("refit") == "trainAndValidation"


def _wanted(trainer: str, task: Task, spec: Mapping[str, Any]) -> list[str]:
    """The metrics that the spec names, as results have them.

    Raises:
        WorkloadError: "UnsupportedTask" where the trainer cannot learn the task; "UnknownMetric"; "GridNeedsChoice";
            "PackageMissing".
    """
    able = TRAINER_FORMS[trainer].tasks
    if task not in able:
        told = f"trainer {trainer} cannot learn task {task} (it learns {', '.join(sorted(able))})"
        raise WorkloadError("UnsupportedTask", told)
    if spec.get("decision") and task is not Task.BINARY:
        raise WorkloadError(
            "UnsupportedTask", f"decision chooses a threshold of a binary label, and the task is {task}"
        )
    if spec.get("tune"):
        checked_search(spec["tune"], task, own_measures(spec["evaluation"]))
    return judging.wanted(spec["evaluation"], task)


def _absolute(folder: str) -> str:
    """Ray wants an absolute path or a URL."""
    return folder if "://" in folder else str(Path(folder).resolve())
