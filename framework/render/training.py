"""What would come of training jobs, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from framework.planning.grammar.changes import FieldDiff
from framework.planning.reports.training import (
    CodeMoved,
    Nearness,
    Training,
    TrainingOutlook,
    ViewMoved,
    ViewNow,
)
from framework.ports import Json, ModelVersion
from framework.render.canonical import document
from framework.render.diffs import ADDED, CHANGED, QUIET, diff_lines
from framework.render.terminal import DEFAULT_WIDTH, Line, one_line, paragraph, text_of, under
from framework.render.wording import ago, count, short

FORMAT = 1

NOT_RECORDED = "not recorded"
_STYLES = {Training.HIT: ADDED, Training.MISS: CHANGED, Training.RUNNING: CHANGED, Training.WAITS: QUIET}


def outlooks_text(
    commit: str, found: Sequence[TrainingOutlook], now: datetime, *, width: int = DEFAULT_WIDTH, colour: bool = False
) -> str:
    """A paragraph each."""
    if not found:
        return f"Commit {short(commit)} has no training jobs.\n"
    lines: list[Line] = []
    for one in found:
        lines += [*([()] if lines else []), *_outlook(one, now, width)]
    return text_of(lines, colour=colour)


def _outlook(one: TrainingOutlook, now: datetime, width: int) -> list[Line]:
    head, style = f"{one.ref}: {one.word}", _STYLES[one.word]
    joint = " " if one.word is Training.WAITS else ", "
    lines = under(head, f"{joint}{_sentence(one, now)}", lead="", stem="  ", width=width, style=style)
    if one.failed:
        lines += paragraph(f"it fails its gates: {'; '.join(map(one_line, one.failed))}", width=width, indent="  ")
    if one.newer:
        told = f"newer data in {', '.join(one.newer)}; for that alone nothing is trained"
        lines += paragraph(told, width=width, indent="  ")
    if one.word is Training.HIT:
        return lines
    if one.nearest is None:
        return [*lines, *paragraph("No version of it was trained before.", width=width, indent="  ")]
    model = one.nearest.model
    told = f"The nearest version is {_label(model)}, {_trained(model, now)}. What differs:"
    lines += paragraph(told, width=width, indent="  ")
    for title, parts in _differences(one.nearest, bool(one.waits_for), width):
        if parts:
            lines += [*paragraph(title, width=width, indent="    ", style="bold"), *parts]
    return lines


def _sentence(one: TrainingOutlook, now: datetime) -> str:
    match one.word:
        case Training.HIT if one.version is not None:
            return f"version {one.version.version} {_trained(one.version, now)}; nothing would be trained"
        case Training.RUNNING:
            return f"build {one.build} is not there yet, and a run of it was begun"
        case Training.WAITS:
            names = ", ".join(map(str, one.waits_for))
            verb = "is" if len(one.waits_for) == 1 else "are"
            return f"for {names}, which {verb} not published as this commit asks for; then it is known"
        case _:
            return f"build {one.build} would be trained"


def _trained(model: ModelVersion, now: datetime) -> str:
    return f"trained {ago(now - model.created)} for commit {short(model.commit)}"


def _label(model: ModelVersion) -> str:
    return one_line(f"{model.training}@{model.version}")


def _differences(near: Nearness, waits: bool, width: int) -> Iterator[tuple[str, list[Line]]]:
    """By title, the lines below it; nothing where there is no difference."""
    indent = "      "
    if near.fields is None:
        known = [line for item in near.parameters for line in diff_lines(item, width=width, indent=indent)]
        told = _said("how that version was trained was not kept yet, but for its parameters and its seed", width)
        yield f"fields: {NOT_RECORDED}", [*told, *known]
    else:
        yield "fields", [line for item in near.fields for line in diff_lines(item, width=width, indent=indent)]
    if near.code is None:
        yield f"code: {NOT_RECORDED}", _said("with which files that version was trained was not kept yet", width)
    else:
        yield "code", [line for item in near.code for line in _code(item, width)]
    if near.data is None:
        why = "cannot be compared before the views are published" if waits else "which tables it read is not on record"
        yield "data: not known", _said(why, width)
    else:
        yield "data", [line for item in near.data for line in _said(_view(item), width)]
    if near.workload:
        yield "mlopsctl", _said("trains in another way than the version that trained it", width)
    if not any((near.fields, near.code, near.data, near.workload)) and None not in (near.fields, near.code, near.data):
        yield "nothing that is on record", _said("values whose names were not kept yet count as others", width)


def _said(text: str, width: int) -> list[Line]:
    return paragraph(text, width=width, indent="      ")


def _code(item: CodeMoved, width: int) -> list[Line]:
    if item.files is None:
        return _said(f"another than before; which files is {NOT_RECORDED}", width)
    return [line for path, change in item.files.items() for line in _said(f"{path} {change}", width)]


def _view(item: ViewMoved) -> str:
    """``patients: version 3 (442 rows) -> version 4 (450 rows)``."""
    if item.before is None and item.after is not None:
        return f"{item.view}: read only now, {_table(item.after)}"
    if item.before is not None and item.after is None:
        return f"{item.view}: not read any more, was {_table(item.before)}"
    assert item.before is not None
    assert item.after is not None
    if item.before.read.uri == item.after.read.uri:
        return f"{item.view}: {_table(item.before)} -> {_table(item.after)}"
    told = [f"{_table(side)} of build {side.read.name}" for side in (item.before, item.after)]
    return f"{item.view}: {' -> '.join(told)}"


def _table(view: ViewNow) -> str:
    rows = count(view.rows, "row") if view.rows is not None else f"rows {NOT_RECORDED}"
    return f"version {view.read.version} ({rows})"


# ------------------------------------------------------------------- for programs


def outlooks_json(environment: str, commit: str, found: Sequence[TrainingOutlook]) -> str:
    return document(
        {
            "format": FORMAT,
            "environment": environment,
            "commit": commit,
            "trains": sum(one.word is Training.MISS for one in found),
            "jobs": [_facts(one) for one in found],
        }
    )


def _facts(one: TrainingOutlook) -> dict[str, Json]:
    facts: dict[str, Json] = {
        "ref": str(one.ref),
        "outlook": one.word.value,
        "build": one.build or None,
        "version": _version(one.version),
        "failed_gates": list(one.failed),
        "newer_data": list(one.newer),
        "waits_for": [str(ref) for ref in one.waits_for],
        "nearest": None if one.nearest is None else _nearness(one.nearest),
    }
    return facts


def _version(model: ModelVersion | None) -> Json:
    if model is None:
        return None
    return {
        "label": f"{model.training}@{model.version}",
        "version": model.version,
        "commit": model.commit,
        "created": model.created.isoformat(),
        "deployable": model.deployable,
    }


def _nearness(near: Nearness) -> Json:
    fields, code, data = near.fields, near.code, near.data
    return {
        "version": _version(near.model),
        "fields": None if fields is None else _fields(fields),
        "parameters": _fields(near.parameters),
        "code": None
        if code is None
        else [
            {
                "before": item.before or None,
                "after": item.after or None,
                "files": None if item.files is None else {path: change.value for path, change in item.files.items()},
            }
            for item in code
        ],
        "data": None
        if data is None
        else [{"view": item.view, "before": _side(item.before), "after": _side(item.after)} for item in data],
        "workload": near.workload,
    }


def _fields(found: Sequence[FieldDiff]) -> list[Json]:
    return [{"path": item.path, "before": item.before, "after": item.after} for item in found]


def _side(view: ViewNow | None) -> Json:
    if view is None:
        return None
    return {"table": view.read.uri, "build": view.read.name, "version": view.read.version, "rows": view.rows}
