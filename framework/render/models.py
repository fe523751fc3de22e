"""Model versions, for people and for programs: a list, one of them, and in what two differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from framework.api.credentials import redacted_value
from framework.api.printing import number
from framework.planning.reports.aliases import ModelAlias, ModelUse
from framework.planning.reports.health import SHORT_COMMIT
from framework.planning.reports.models import (
    ModelComparison,
    ModelDifference,
    ModelFigure,
    ModelReport,
    ModelRow,
    is_loss,
)
from framework.ports import Json, ModelVersion
from framework.render.canonical import document
from framework.render.diffs import ADDED, CHANGED, QUIET, REMOVED, flow
from framework.render.model_tables import cells, evaluation_tables, heads, named
from framework.render.terminal import DEFAULT_WIDTH, Line, Span, fitted, one_line, paragraph, text_of, under
from framework.render.wording import ago, count, short

FORMAT = 1

LIBRARIES = {
    "lightgbm-text": "lightgbm",
    "lightgbm-quantiles": "lightgbm",
    "onnx": "onnx and onnxruntime",
    "skops": "scikit-learn and skops",
    "torch-safetensors": "safetensors, onnx and onnxruntime",
    "xgboost-ubj": "xgboost",
}
"""What opens a model file, by its format. Of any other format: all that models are trained with."""
_ALL_LIBRARIES = "what mlopsctl[train] brings"
_HASHES = {"commit": SHORT_COMMIT, "training set": 12, "sha256": 12}
"""Characters that are shown to people where two of them differ."""
_VERDICTS = {"better": ADDED, "worse": REMOVED, "added": ADDED, "removed": REMOVED, "retyped": CHANGED}
_CAUSES = {"git": "git asked for it", "data": "its data had changed"}


# ------------------------------------------------------------------- a list


def models_text(rows: Sequence[ModelRow], now: datetime, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """A line each, in the order given."""
    if not rows:
        return "No model was trained yet.\n"
    titles = heads("VERSION", "TASK", "METRIC", "GATES", "COMMIT", "TRAINED", "ALIASES", "SERVES")
    return text_of(_table([titles, *(_row(row, now) for row in rows)], width), colour=colour)


def _row(row: ModelRow, now: datetime) -> Line:
    return (
        Span(one_line(row.label), "bold"),
        Span(row.task.value),
        Span(_headline(row)),
        _gates_word(row),
        Span(short(row.model.commit)),
        Span(ago(now - row.model.created), QUIET),
        Span(", ".join(dict.fromkeys(alias.name for alias in row.aliases)) or "-"),
        Span(", ".join(_use(use) for use in row.uses) or "-"),
    )


def _headline(row: ModelRow) -> str:
    return f"{row.metric} {number(row.value) or 'not measured'}"


def _gates_word(row: ModelRow) -> Span:
    return Span("passed", ADDED) if row.model.deployable else Span("failed", REMOVED)


def _use(use: ModelUse) -> str:
    return f"{use.ref} ({use.role}, {use.weight} %)"


def models_json(environment: str, rows: Sequence[ModelRow]) -> str:
    return document({"format": FORMAT, "environment": environment, "versions": [_facts(row) for row in rows]})


def _facts(row: ModelRow) -> dict[str, Json]:
    model = row.model
    return {
        "label": row.label,
        "training": model.training,
        "version": model.version,
        "task": row.task,
        "headline": {"metric": row.metric, "value": row.value, "loss": is_loss(row.metric)},
        "deployable": model.deployable,
        "aliases": [_alias_facts(alias) for alias in row.aliases],
        "serves": [{"deployment": use.ref, "role": use.role, "weight": use.weight} for use in row.uses],
        "commit": model.commit,
        "created": model.created,
    }


def _alias_facts(alias: ModelAlias) -> dict[str, Json]:
    return {
        "name": alias.name,
        "since": alias.since,
        "commit": alias.commit,
        "author": alias.author or None,
        "why": alias.subject or None,
        "deployment": alias.deployment,
    }


# ------------------------------------------------------------------- one of them


def model_text(report: ModelReport, now: datetime, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Everything that is known of a version, what matters most first."""
    row, model, lineage = report.row, report.row.model, report.row.model.lineage
    told = f"  {row.task.value}, {_headline(row)}"
    lines = under(one_line(row.label), told, lead="", stem="  ", width=width, style="bold")
    cause = _CAUSES.get(lineage.get("cause", ""))
    told = f"trained {ago(now - model.created)} at commit {short(model.commit)}{f', because {cause}' if cause else ''}"
    serves = ", ".join(_use(use) for use in row.uses)
    serving = f"serves in {serves}" if serves else "serves nowhere"
    for sentence in filter(None, (told, _searched(report), _decided(report), _passed(report), serving)):
        lines += paragraph(sentence, width=width, indent="  ")
    if lineage.get("champion_told"):
        lines += paragraph(
            f"the live model was measured {one_line(lineage['champion_told'])}", width=width, indent="  "
        )
    for hint in lineage.get("hints") or ():
        lines += paragraph(f"hint: {one_line(hint)}", width=width, indent="  ", style=CHANGED)
    for title, table in _tables(report, now):
        if len(table) > 1:
            lines += [(), (Span(title, "bold"),), *_table(table, width)]
    return text_of(lines, colour=colour)


def _passed(report: ModelReport) -> str:
    gates = report.row.model.gates
    failed = sum(not gate["passed"] for gate in gates)
    if not gates:
        return "no gate judged it" if report.row.model.deployable else "it may not be deployed"
    return f"failed {failed} of {count(len(gates), 'gate')}" if failed else f"passed {count(len(gates), 'gate')}"


def _decided(report: ModelReport) -> str:
    threshold = (report.row.model.signature.get("output") or {}).get("threshold")
    return "" if threshold is None else f"a row counts as positive from a probability of {number(threshold)} on"


def _searched(report: ModelReport) -> str:
    """``its parameters are those of trial 3 of 8 by optuna, with validation_auc 0.7123``."""
    kept = report.kept or {}
    trials, told = kept.get("trials") or (), (kept.get("origin") or {}).get("search") or {}
    if not trials:
        return ""
    best = next((trial for trial in trials if trial["number"] == told.get("winner")), None)
    if best is None:
        return f"its parameters are the best of {count(len(trials), 'trial')}"
    again = ", and it learned once more with the validation rows" if told.get("refit") == "trainAndValidation" else ""
    worth = f"{told['metric']} {number(best.get(told['metric']))}"
    by = f"by {one_line(told['algorithm'])}, with {worth}"
    return f"its parameters are those of trial {best['number']} of {len(trials):,} {by}{again}"


def _tables(report: ModelReport, now: datetime) -> Iterator[tuple[str, list[Line]]]:
    """By title; each begins with its heads."""
    model, lineage = report.row.model, report.row.model.lineage
    names = [cells(alias.name, *_alias(alias, now)) for alias in report.row.aliases]
    yield "Aliases", [heads("  NAME", "SINCE", "COMMIT", "BY", "WHY"), *names]
    titles = heads("  METRIC", "TEST", "95 OF 100 DRAWS", "VALIDATION", "LIVE, SAME ROWS", "BETTER")
    yield "Metrics", [titles, *(_figure(one) for one in report.figures)]
    titles = heads("  METRIC", "MEAN", "STANDARD DEVIATION", "EACH FOLD")
    yield "Cross-validation", [titles, *(_folds(one) for one in report.figures if one.cv is not None)]
    yield "Gates", [heads("  GATE", "VALUE", "VERDICT", "BAR"), *(_gate(gate) for gate in model.gates)]
    yield from evaluation_tables(lineage, report.kept or {})
    yield "Parameters", _pairs(model.parameters)
    yield "Rows", _pairs({name: f"{rows:,}" for name, rows in (lineage.get("rows") or {}).items()})
    yield "Data that was read", [heads("  VIEW", "VERSION", "BUILD", "ROWS", "FROM, TO (UTC)"), *_data(report)]
    yield "Inputs", [heads("  NAME", "DTYPE", "MAY BE MISSING", "CATEGORIES"), *_inputs(model.signature)]
    yield "Libraries", _pairs(lineage.get("libraries") or {})
    yield "Artefact", _pairs({"format": model.format, "sha256": model.sha256, "file": model.artifact})


def _alias(alias: ModelAlias, now: datetime) -> tuple[str, str, str, str]:
    since = ago(now - alias.since) if alias.since is not None else ""
    why = f"{alias.deployment}: {alias.subject}".strip(": ") if alias.deployment is not None else alias.subject
    return since, short(alias.commit), alias.author, why


def _figure(one: ModelFigure) -> Line:
    better = {True: "lower", False: "higher", None: ""}[one.loss]
    drawn = f"{number(one.interval[0])} to {number(one.interval[1])}" if one.interval else ""
    return cells(one.name, number(one.test), drawn, number(one.validation), number(one.live), better)


def _folds(one: ModelFigure) -> Line:
    mean, spread = one.cv or (None, None)
    return cells(one.name, number(mean), number(spread), ", ".join(number(value) for value in one.folds))


def _gate(gate: Mapping[str, Any]) -> Line:
    verdict = Span("passed", ADDED) if gate["passed"] else Span("failed", REMOVED)
    return (
        Span(f"  {one_line(gate['gate'])}"),
        Span(number(gate["value"]) or "-"),
        verdict,
        Span(one_line(gate["bar"])),
    )


def _data(report: ModelReport) -> Iterator[Line]:
    extents = ((report.kept or {}).get("origin") or {}).get("views") or {}
    for name, table in sorted(report.row.model.read.items()):
        known = extents.get(name) or {}
        ends = [(known.get(end) or "")[:19].replace("T", " ") for end in ("since", "until")]
        rows = f"{known['rows']:,}" if "rows" in known else "-"
        yield cells(name, str(table.version), table.name, rows, ", ".join(filter(None, ends)) or "-")


def _inputs(signature: Mapping[str, Any]) -> Iterator[Line]:
    for column in signature.get("inputs", ()):
        categories = f"{len(column['categories']):,}" if "categories" in column else "-"
        yield cells(column["name"], column["dtype"], "yes" if column["nullable"] else "no", categories)


def _pairs(known: Mapping[str, Any]) -> list[Line]:
    """What is called secret is hidden."""
    shown = redacted_value(known)
    return [heads("  NAME", "VALUE"), *(cells(name, _plain(value)) for name, value in sorted(shown.items()))]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else flow(value)


def model_json(environment: str, report: ModelReport) -> str:
    model, kept = report.row.model, report.kept or {}
    lineage = model.lineage
    return document(
        {
            "format": FORMAT,
            "environment": environment,
            **_facts(report.row),
            "identity": model.asked_for,
            "cause": lineage.get("cause"),
            "seed": lineage.get("seed"),
            "metrics": {one.name: _figures(one) for one in report.figures},
            "gates": list(model.gates),
            "slices": lineage.get("slices") or [],
            "forms": lineage.get("forms") or {},
            "fairness": lineage.get("fairness") or [],
            "robustness": lineage.get("robustness") or [],
            "hints": lineage.get("hints") or [],
            "cross_validation": lineage.get("cross_validation"),
            "parameters": model.parameters,
            "rows": lineage.get("rows") or {},
            "data": dict(model.read),
            "extents": (kept.get("origin") or {}).get("views"),
            "inputs": list(model.signature.get("inputs", ())),
            "output": model.signature.get("output", {}),
            "libraries": lineage.get("libraries") or {},
            "artifact": {"uri": model.artifact, "format": model.format, "sha256": model.sha256},
            "trials": kept.get("trials"),
            "search": (kept.get("origin") or {}).get("search"),
            "diagnosis": kept.get("diagnosis"),
            "importance": kept.get("importance"),
            "contributions": kept.get("contributions"),
            "leakage": kept.get("leakage"),
        }
    )


def _figures(one: ModelFigure) -> dict[str, Json]:
    ends = None if one.interval is None else list(one.interval)
    return {"test": one.test, "interval": ends, "validation": one.validation, "live": one.live, "loss": one.loss}


# ------------------------------------------------------------------- two of them


def comparison_text(found: ModelComparison, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """A table of differences by what they are about; or that there are none."""
    before, after = found.before.label, found.after.label
    if not found.differences:
        told = (
            f"{before} is the same version."
            if before == after
            else f"{before} and {after} are equal in all that is on record."
        )
        return text_of(paragraph(told, width=width), colour=colour)
    lines: list[Line] = paragraph(f"{before} -> {after}", width=width, style="bold")
    if found.same_rows is False and any(item.about == "metrics" for item in found.differences):
        told = "Their training sets differ, so their metrics are of different rows."
        lines += paragraph(told, width=width, style=CHANGED)
    for about in dict.fromkeys(item.about for item in found.differences):
        rows = [_difference(item) for item in found.differences if item.about == about]
        lines += [
            (),
            (Span(about.capitalize(), "bold"),),
            *_table([heads("  NAME", "BEFORE", "AFTER", ""), *rows], width),
        ]
    return text_of(lines, colour=colour)


def _difference(item: ModelDifference) -> Line:
    values = [_side(item, value) for value in (item.before, item.after)]
    return (Span(named(item.name)), *values, Span(item.verdict, _VERDICTS.get(item.verdict, "")))


def _side(item: ModelDifference, value: Json) -> Span:
    if value is None:
        return Span("-", QUIET)
    if item.about == "metrics":
        return Span(number(value))
    told = _plain(redacted_value(value, item.name))
    return Span(one_line(told[: _HASHES[item.name]] if item.name in _HASHES else told))


def comparison_json(found: ModelComparison) -> str:
    return document(
        {
            "format": FORMAT,
            "before": _facts(found.before),
            "after": _facts(found.after),
            "equal": not found.differences,
            "same_rows": found.same_rows,
            "differences": [_difference_facts(item) for item in found.differences],
        }
    )


def _difference_facts(item: ModelDifference) -> dict[str, Json]:
    """What is called secret is hidden on either side."""
    before, after = (redacted_value(value, item.name) for value in (item.before, item.after))
    return {"about": item.about, "name": item.name, "before": before, "after": after, "verdict": item.verdict}


# ------------------------------------------------------------------- one that is taken along


def loading(model: ModelVersion, file: str) -> list[str]:
    """How to open a model file in the folder that it and its signature lie in: a sentence, and lines of Python."""
    libraries = LIBRARIES.get(model.format, _ALL_LIBRARIES)
    return [
        f"Its format is {model.format}, which takes {libraries}. In Python, in that folder, with mlopsctl installed:",
        "import json",
        "from framework.workloads import models",
        'form = json.load(open("signature.json"))',
        f'sha256 = "{model.sha256}"',
        f'model = models.load("{file}", sha256, "{model.format}", form)',
        "answers = model.predict(models.frame_of([{...}], form))",
    ]


def download_text(
    model: ModelVersion, folder: str, artifact: str, written: Sequence[str], kept: Sequence[str], *, width: int
) -> str:
    """What lies where now, and how to open it."""
    lines: list[Line] = []
    if written:
        lines += paragraph(f"{folder}: wrote {', '.join(written)}.", width=width)
    if kept:
        lines += paragraph(f"{folder}: {', '.join(kept)} had the same content already.", width=width)
    first, *code = loading(model, artifact)
    lines += [*paragraph(first, width=width), ()]
    lines += [line for row in code for line in paragraph(row, width=width, indent="    ")]
    return text_of(lines, colour=False)


def download_json(model: ModelVersion, folder: str, artifact: str, written: Sequence[str], kept: Sequence[str]) -> str:
    return document(
        {
            "format": FORMAT,
            "label": f"{model.training}@{model.version}",
            "folder": folder,
            "artifact": {"file": artifact, "format": model.format, "sha256": model.sha256},
            "written": list(written),
            "kept": list(kept),
            "loading": "\n".join(loading(model, artifact)[1:]),
        }
    )


def card_json(label: str, content: Mapping[str, Any], file: str | None) -> str:
    """What a card says, as plain data. ``file`` is where its page was written."""
    return document({"format": FORMAT, "label": label, **content, "file": file})


def _table(rows: Iterable[Line], width: int) -> list[Line]:
    return [line for lines in fitted(list(rows), width, indent="      ") for line in lines]
