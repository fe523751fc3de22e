"""The workload that trains one model version: training set, search, fit, judgement, files."""

from __future__ import annotations

import contextlib
import importlib
import platform
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from framework import installed, scores, storage
from framework.answers import ModelOutput
from framework.api.layout import trial_file
from framework.api.metrics import VALIDATION
from framework.api.tasks import Task
from framework.ports import MEANING, ReadTable, TrainRequest
from framework.workloads import models, profiling
from framework.workloads.context import RunContext, WorkloadError
from framework.workloads.profiling import write_reference
from framework.workloads.training import cluster, decision, evaluation, labels, metrics
from framework.workloads.training.card import card_html, card_markdown, model_card
from framework.workloads.training.dataset import TrainingSet, build, extents
from framework.workloads.training.diagnosis import diagnose
from framework.workloads.training.fit import fit
from framework.workloads.training.machine import machine
from framework.workloads.training.progress import of_fit
from framework.workloads.training.search import SearchResult, checked_metric, search
from framework.workloads.training.split import split
from framework.workloads.training.trainer import FitSettings, Fitted, Part, TrainingData
from framework.workloads.training.trainers import TRAINERS, chosen
from framework.workloads.training.trial import trial_document

REFERENCE_PERIOD = timedelta(days=7)
"""Natural movement of a column is learned from week to week."""

_LIBRARIES = (
    "polars",
    "numpy",
    "lightgbm",
    "scikit-learn",
    "ray",
    "optuna",
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
        {artifact, sha256, format, signature, profile, metrics, champion_metrics, parameters, lineage, rows, trials,
        trial_rows, slices, diagnosis, origin, seconds}; ``diagnosis`` see there, ``origin`` is what its card tells of
        where it comes from: {trainer, spine, label, description, views, search}

    Raises:
        WorkloadError: what the parts raise; see ``dataset.build``, ``split.split``, ``search.search``, ``fit.fit``.
    """
    started, asked = time.perf_counter(), TrainRequest.model_validate(context.payload)
    spec, seed, views = (
        asked.spec,
        asked.seed,
        {name: view.model_dump(mode="json") for name, view in asked.views.items()},
    )
    resources = spec["resources"]
    name, settings = chosen(spec["trainer"], seed, threads=max(1, int(resources["cpusPerWorker"])))

    context.progress(None, "joining the training set")
    dataset = build(spec["dataset"], views)
    task = dataset.task
    labels.stays(task, spec["dataset"].get("task"), asked.live_task)
    wanted = _wanted(name, task, spec)
    parts = split(dataset, spec["dataset"]["split"], seed)
    told = ", ".join(f"{part.height:,} {label}" for label, part in parts.items())
    context.progress(None, f"{told} rows of {len(dataset.inputs)} inputs, task {task}")
    output = labels.output_of(parts["train"], dataset.label, task, spec["dataset"].get("quantiles") or [])
    signature = models.signature_of(parts["train"], dataset.inputs, dataset.nullable, output)
    data = _matrices(parts, dataset, signature, output, spec["dataset"])

    cluster.join()
    threading.Thread(target=_warm, args=(name,), daemon=True).start()
    found, fitted = _learn(context, name, settings, data)

    artifact, sha256 = models.save(asked.model_folder, fitted.artifact.data, fitted.artifact.format)
    predictor = models.load(artifact, sha256, fitted.artifact.format, signature)
    chosen_by = predictor.predict(parts["validation"])
    if spec.get("decision") and not metrics.not_finite(chosen_by):  # else no gate is passed anyway
        output = replace(output, threshold=decision.threshold(spec["decision"], data.validation.y, chosen_by))
        signature["output"] = output.to_json()

    context.progress(None, "judging on the test rows")
    test = parts["test"]
    lists = labels.lists(test, spec["dataset"].get("query"), task)
    known = metrics.answered(output, output.truth(test), predictor.predict(test), lists)
    live, champion, problem = None, None, "nothing is live"
    if asked.champion is not None:
        live, problem = evaluation.champion_answers(asked.champion, test, task, lists)
        champion = {} if live is None else metrics.measure(live, also=wanted)
    measured = {
        **metrics.measure(known, also=wanted),
        **metrics.measure(metrics.validated(replace(data, output=output), chosen_by), VALIDATION, wanted),
    }

    context.progress(None, "profiling what it was trained on")
    profile = f"{asked.model_folder}/profile"
    write_reference(
        profile, _reference(parts["train"], dataset, predictor), dataset.time, _profiled(dataset), REFERENCE_PERIOD
    )

    trial = trial_document(parts["train"], signature, dataset.label)
    storage.write_json(trial_file(asked.model_folder), trial)

    result = {
        "artifact": artifact,
        "sha256": sha256,
        "format": fitted.artifact.format,
        "signature": signature,
        "profile": profile,
        "metrics": measured,
        "champion_metrics": champion,
        "comparisons": evaluation.comparisons(
            spec["evaluation"].get("gates", ()), known, live, seed, also=asked.compare
        ),
        "parameters": {
            **settings.loop,
            **settings.params,
            **(found.parameters if found else {}),
            "rounds": fitted.rounds,
        },
        "lineage": {
            "commit": asked.commit,
            "cause": asked.cause.value,
            "seed": seed,
            "dataset": dataset.digest,
            "views": {name: ReadTable(**dict(view)).model_dump(mode="json") for name, view in asked.views.items()},
            "meanings": {name: {key: view[key] for key in MEANING} for name, view in views.items()},
            "libraries": {"python": platform.python_version(), **_versions()},
            "machine": machine(resources, settings.threads),
            "champion": (asked.champion or {}).get("version"),
            "champion_problem": problem,
            "resumed_at_rounds": list(fitted.resumed),
        },
        "rows": {**{label: part.height for label, part in parts.items()}, "dropped": dataset.dropped},
        "trials": found.trials if found else [],
        "trial_rows": len(trial["rows"]),
        "slices": evaluation.slices(spec["evaluation"].get("slices", ()), test, known),
        "diagnosis": diagnose(known, output.classes),
        "origin": {
            "trainer": name,
            "spine": spec["dataset"]["spine"],
            "label": dataset.label,
            "description": asked.description,
            "views": extents(views),
            "search": {key: spec["tune"][key] for key in ("metric", "mode")} if spec.get("tune") else None,
        },
        "seconds": round(time.perf_counter() - started, 3),
    }
    storage.write_sealed(f"{asked.model_folder}/signature.json", signature)
    storage.write_sealed(f"{asked.model_folder}/version.json", result)
    card = model_card(asked.training, asked.build, result)
    storage.write_bytes(f"{asked.model_folder}/README.md", card_markdown(card).encode())
    storage.write_bytes(f"{asked.model_folder}/card.html", card_html(card).encode())
    return result


_OPENED_BY_THEMSELVES = frozenset({"lightgbm", "xgboost", "sklearn"})
"""Trainers whose models are opened by the library of that name. Of another name a project may have a module."""


def _warm(trainer: str) -> None:
    """Load what judging and profiling take, while others fit."""
    if trainer in _OPENED_BY_THEMSELVES:
        with contextlib.suppress(ImportError):
            importlib.import_module(trainer)
    scores.warm()
    profiling.warm()


def _learn(
    context: RunContext, name: str, settings: FitSettings, data: TrainingData
) -> tuple[SearchResult | None, Fitted]:
    """Search if the spec asks for it, then fit with what was found."""
    spec = context.payload["spec"]
    workers, checkpoint = int(spec["resources"]["workers"]), spec["checkpoint"]
    resources = cluster.worker_resources(spec["resources"])
    cluster.require(resources, workers, "the fit")
    folder = _absolute(context.folder)
    found = None
    if spec.get("tune"):
        cluster.require(resources, 1, "a trial")
        found = search(data, name, settings, spec["tune"], resources, folder, context.progress)
        settings = replace(settings, params={**settings.params, **found.parameters}, rounds=max(1, found.rounds))
    rounds = settings.rounds if TRAINERS[name].boosts else 1

    def tell(done: int | None, measured: str) -> None:
        context.progress(*of_fit(name, workers, rounds, done, resources, measured))

    return found, fit(data, name, settings, workers, resources, checkpoint, folder, "fit", tell)


def _wanted(trainer: str, task: Task, spec: Mapping[str, Any]) -> list[str]:
    """The metrics that the spec names, as results have them.

    Raises:
        WorkloadError: "UnsupportedTask" where the trainer cannot learn the task; "UnknownMetric"; "GridNeedsChoice".
    """
    able = TRAINERS[trainer].tasks
    if task not in able:
        told = f"trainer {trainer} cannot learn task {task} (it learns {', '.join(sorted(able))})"
        raise WorkloadError("UnsupportedTask", told)
    if spec.get("decision") and task is not Task.BINARY:
        raise WorkloadError(
            "UnsupportedTask", f"decision chooses a threshold of a binary label, and the task is {task}"
        )
    evaluated, tune = spec["evaluation"], spec.get("tune")
    if tune:
        checked_metric(tune["metric"], task)
    named = [bar["metric"] for bar in (*evaluated.get("gates", ()), *evaluated.get("slices", ()))]
    return list(dict.fromkeys(metrics.checked(one, task) for one in named))


def _matrices(
    parts: Mapping[str, pl.DataFrame],
    dataset: TrainingSet,
    signature: Mapping[str, Any],
    output: ModelOutput,
    spec: Mapping[str, Any],
) -> TrainingData:
    encoder = models.Encoder(signature)
    learn, choose = (
        Part(
            encoder.matrix(parts[name]),
            output.truth(parts[name]),
            labels.weights(parts[name], output, spec) if name == "train" else None,
            labels.lists(parts[name], spec.get("query"), output.task),
        )
        for name in ("train", "validation")
    )
    categories = {
        index: len(column["categories"]) for index, column in enumerate(signature["inputs"]) if "categories" in column
    }
    return TrainingData(learn, choose, dataset.inputs, categories, output)


def _profiled(dataset: TrainingSet) -> list[str]:
    return [*dataset.inputs, dataset.label]


def _reference(train: pl.DataFrame, dataset: TrainingSet, predictor: models.Predictor) -> pl.DataFrame:
    """Inputs as they were, and under the output's name what the model says about them: serving profiles the same."""
    return train.with_columns(predictor.output.profiled(predictor.predict(train)))


def _absolute(folder: str) -> str:
    """Ray wants an absolute path or a URL."""
    return folder if "://" in folder else str(Path(folder).resolve())
