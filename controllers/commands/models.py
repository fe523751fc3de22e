"""Model versions as people meet them: listed, shown, compared, and taken along. Reads only, and asks no Ray; what is
written is what somebody asked to have, where they said."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from controllers.kinds.aliases import own_aliases
from controllers.kinds.served import uses
from framework import storage
from framework.api.errors import ConfigurationError, MlopsError
from framework.planning.reports.aliases import ModelAlias, ModelUse, aliases_of
from framework.planning.reports.models import (
    ModelComparison,
    ModelReport,
    ModelRow,
    compared,
    ensure_known,
    found_model,
    model_report,
    model_row,
    result_of,
)
from framework.ports import ModelRegistry, ModelVersion, Ports
from framework.workloads.training.card import Card, card_html, card_markdown, model_card

log = logging.getLogger(__name__)

_IN_EVERY_VERSION = "training"
"""A text that stands in every row of the registry by itself: a field of it."""


def trainings(registry: ModelRegistry) -> list[str]:
    """The training jobs that there are versions of, sorted."""
    return sorted({training for training, _ in registry.naming((_IN_EVERY_VERSION,))})


def listed(ports: Ports, training: str | None) -> list[ModelRow]:
    """The versions of one training job, or of all of them, newest first.

    Raises:
        ConfigurationError: there are none of it.
    """
    known = trainings(ports.registry)
    if training is not None:
        ensure_known(training, known)
    serving = uses(ports.state, training)
    rows: list[ModelRow] = []
    for name in [training] if training else known:
        models = ports.registry.versions(name)
        names = _aliases(ports, name, models, serving)
        rows += [model_row(model, serving.get(f"{name}@{model.version}", ()), names) for model in models]
    return sorted(rows, key=lambda row: row.model.created, reverse=True)


def _aliases(
    ports: Ports, training: str, models: Sequence[ModelVersion], serving: Mapping[str, Sequence[ModelUse]]
) -> tuple[ModelAlias, ...]:
    used = {
        version: uses
        for label, uses in serving.items()
        for job, _, version in [label.partition("@")]
        if job == training
    }
    return aliases_of(models, used, tuple(own_aliases(ports.state, training)))


def model_named(ports: Ports, name: str) -> ModelRow:
    """What ``TRAINING@VERSION``, the start of it, ``TRAINING@ALIAS`` or ``TRAINING`` means.

    Raises:
        ConfigurationError: nothing, or more than one version.
    """

    def aliases(training: str) -> tuple[ModelAlias, ...]:
        return _aliases(ports, training, ports.registry.versions(training), uses(ports.state, training))

    model = found_model(name, trainings(ports.registry), ports.registry.versions, aliases)
    serving = uses(ports.state, model.training)
    return model_row(model, serving.get(f"{model.training}@{model.version}", ()), aliases(model.training))


def report_of(ports: Ports, name: str) -> ModelReport:
    """All that is known of one version. Raises ConfigurationError as ``model_named`` does."""
    row = model_named(ports, name)
    return known_of(replace(row, aliases=tuple(_with_author(alias, ports) for alias in row.aliases)))


def known_of(row: ModelRow) -> ModelReport:
    """With what its run left beside it, as far as that can be read."""
    return model_report(row, _kept(row.model))


def _with_author(alias: ModelAlias, ports: Ports) -> ModelAlias:
    """With what the commit that moved it says of itself, where it can be read here."""
    try:
        commit = ports.source.info(alias.commit)
    except MlopsError:
        return alias
    return replace(alias, author=commit.author, subject=commit.subject)


def comparison(ports: Ports, before: str, after: str) -> ModelComparison:
    """In what the second differs from the first. Raises ConfigurationError as ``model_named`` does."""
    return compared(model_named(ports, before), model_named(ports, after))


def card_of(report: ModelReport) -> Card:
    """Made again from what is on record, so that a version from before there were such cards has one, too."""
    model = report.row.model
    return model_card(model.training, model.version, result_of(report), model.gates)


def _kept(model: ModelVersion) -> Mapping[str, Any] | None:
    """What the run left beside the model; None where it is damaged, or cannot be read."""
    try:
        found = storage.readable_json(f"{_folder(model)}/version.json")
    except (OSError, MlopsError) as error:
        log.warning("left out: %s", error)
        return None
    return found if isinstance(found, dict) else None


def _folder(model: ModelVersion) -> str:
    return model.artifact.rpartition("/")[0]


# ------------------------------------------------------------------- taken along


@dataclass(frozen=True)
class ModelDownload:
    """``written`` and ``kept``, which were there already, are names of files in ``folder``."""

    model: ModelVersion
    folder: Path
    artifact: str
    written: tuple[str, ...]
    kept: tuple[str, ...]


def download(ports: Ports, name: str, folder: Path) -> ModelDownload:
    """The model file, once it is known to be the one that was registered, its signature and its card, in ``folder``.

    Raises:
        ConfigurationError: no such version; the model file is not to be had, or not the one that was registered; one of
            the files is there and holds something else. Nothing was written then.
        OSError: a file cannot be written.
    """
    report = report_of(ports, name)
    model = report.row.model
    artifact = model.artifact.rpartition("/")[2]
    files = {artifact: verified(model), **told_in_files(report)}
    kept = put({folder / file: data for file, data in files.items()})
    names = [path.name for path in kept]
    written = tuple(file for file in files if file not in names)
    return ModelDownload(model, folder, artifact, written, tuple(names))


def told_in_files(report: ModelReport) -> Mapping[str, bytes]:
    """The signature and the card of a version, by the names of the files that they are taken along in."""
    card = card_of(report)
    return {
        "signature.json": (json.dumps(report.row.model.signature, indent=2, sort_keys=True) + "\n").encode(),
        "README.md": card_markdown(card).encode(),
        "card.html": card_html(card).encode(),
    }


def put(files: Mapping[Path, bytes]) -> Sequence[Path]:
    """Write them all, or none where one is there with another content; those that are there already.

    Raises:
        ConfigurationError: names what is in the way.
        OSError: a file cannot be read or written.
    """
    there: list[Path] = []
    for path, data in files.items():
        if path.is_symlink() or (path.exists() and not (path.is_file() and path.read_bytes() == data)):
            raise ConfigurationError(
                f"{path} is there and holds something else; nothing was written: name another place"
            )
        if path.exists():
            there.append(path)
    for path, data in files.items():
        if path not in there:
            storage.write_bytes(str(path), data)
    return there


def verified(model: ModelVersion) -> bytes:
    """The bytes of the model file. Raises ConfigurationError where they are not those that were registered; because of
    an OSError where they cannot be read."""
    label = f"{model.training}@{model.version}"
    try:
        data = storage.read_bytes(model.artifact)
    except OSError as error:
        raise ConfigurationError(f"the model file of {label} cannot be read: {error}") from error
    if data is None:
        raise ConfigurationError(f"there is no model file of {label} at {model.artifact}; nothing was written")
    found = hashlib.sha256(data).hexdigest()
    if found != model.sha256:
        told = f"the model file of {label} at {model.artifact} is damaged: it has SHA-256 {found}, registered was"
        raise ConfigurationError(f"{told} {model.sha256}; nothing was written")
    return data
