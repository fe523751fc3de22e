"""A person's own names for versions of a model: what is wrong with them, and what becomes of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from framework.api.aliases import CHALLENGER, CHAMPION, LATEST, RESERVED, circle, is_version, stands_for
from framework.kinds.training_job.observed import AliasPlace, TrainingJobObserved, TrainingJobState
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar import reasons
from framework.planning.grammar.changes import Change, Desired, NewEvent
from framework.planning.grammar.kind import CrossProblem
from framework.ports import Json, ModelVersion

UNKNOWN = "the registry does not have it"


def problems(spec: TrainingJobSpec) -> Iterator[CrossProblem]:
    for name, target in spec.aliases.items():
        path = f"spec.aliases.{name}"
        if name in RESERVED or is_version(name):
            why = "is reserved" if name in RESERVED else "looks like a version"
            yield CrossProblem(path, f"{name!r} {why} and cannot be an alias of your own")
        elif target in (CHAMPION, CHALLENGER):
            told = f"{target} follows what serves, so git cannot say which version it is; name one, latest or an alias"
            yield CrossProblem(path, told)
        elif (way := circle(name, spec.aliases)) != ():
            told = "stands for itself" if len(way) == 2 else f"goes round in a circle: {' -> '.join(way)}"
            yield CrossProblem(path, f"{name} {told}; one of them has to name a version or latest")
        elif target != LATEST and not is_version(target) and target not in spec.aliases:
            told = f"{target!r} is no version (10 hexadecimal digits, as mlopsctl models list shows them) and no alias"
            yield CrossProblem(path, told, (LATEST, *(one for one in spec.aliases if one != name)), wanted=target)


def meanings(spec: TrainingJobSpec) -> Mapping[str, str]:
    """By alias: the version that it stands for, or ``latest``."""
    return {name: stands_for(name, spec.aliases) for name in spec.aliases}


def unknown(training: str, spec: TrainingJobSpec, word: str, path: str) -> Iterator[CrossProblem]:
    """Of a word that somebody else uses for a version of this job's: whether it is an alias."""
    if word not in spec.aliases:
        known = (LATEST, *spec.aliases)
        told = f"{word!r} is no version (10 hexadecimal digits), and TrainingJob/{training} has no alias of that name"
        yield CrossProblem(path, told, known, wanted=word)


def followed(
    change: Change,
    desired: Desired[TrainingJobSpec],
    observed: TrainingJobObserved,
    previous: TrainingJobState,
    now: datetime,
) -> Change:
    """``change``, which remembers and tells where the aliases point from now on."""
    if change.status is None or not (desired.spec.aliases or previous.aliases):
        return change
    state = TrainingJobState.model_validate(change.status.state)
    latest = state.version if state.version and state.deployable and state.identity == desired.identity else ""
    before, after = previous.aliases, dict[str, AliasPlace]()
    for name, meaning in meanings(desired.spec).items():
        version = latest if meaning == LATEST else meaning
        found = AliasPlace(version=version, problem=_problem(version, observed), commit=desired.commit, since=now)
        known = before.get(name)
        same = known is not None and (known.version, known.problem) == (found.version, found.problem)
        after[name] = known if known is not None and same else found
    kept = state.model_copy(update={"aliases": after})
    status = change.status.model_copy(update={"state": kept.model_dump(mode="json")})
    told = tuple(
        _told(name, before.get(name), after.get(name), observed)
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name) and (name in before or after[name].version)
    )
    return replace(change, status=status, events=(*change.events, *told))


def _problem(version: str, observed: TrainingJobObserved) -> str:
    """Why nobody can have the version that an alias stands for."""
    if not version:
        return "no version of what git asks for has passed its gates yet"
    model = _model(version, observed)
    if model is None:
        return UNKNOWN
    return "" if model.deployable else "it failed its gates"


def _model(version: str, observed: TrainingJobObserved) -> ModelVersion | None:
    known = (*observed.named.values(), *observed.versions)
    return next((model for model in known if model is not None and model.version == version), None)


def _told(name: str, before: AliasPlace | None, after: AliasPlace | None, observed: TrainingJobObserved) -> NewEvent:
    old, new = before.version if before else "", after.version if after else ""
    model, commit = _model(new, observed) if new else None, observed.moved_by
    message = f"{name}: {old or 'nothing'} -> {new or 'nothing'}"
    if after is not None and after.problem:
        message += f"; {after.problem}"
    elif model is not None:
        message += f", which passed {len(model.gates)} gate{'' if len(model.gates) == 1 else 's'}"
    if commit is not None:
        message += f" (by {commit.author}: {commit.subject})"
    data: dict[str, Json] = {"alias": name, "before": old, "after": new}
    if model is not None:
        data["gates"] = list(model.gates)
    if commit is not None:
        data |= {"author": commit.author, "why": commit.subject}
    return NewEvent(reasons.ALIAS_MOVED, message, data)
