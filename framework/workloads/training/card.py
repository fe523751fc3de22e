"""The model card: what a person wants to know before trusting a model, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def model_card(training: str, version: str, result: Mapping[str, Any], dataset: Mapping[str, Any], trainer: str) -> str:
    """The card of one version. ``result`` is what the training run returns, ``dataset`` the spec's dataset."""
    lineage, rows = result["lineage"], result["rows"]
    lines = [
        f"# {training} {version}",
        "",
        f"Predicts the probability of **{dataset['label']}** for rows of FeatureView `{dataset['spine']}`.",
        f"Trained by `{trainer}` at commit `{lineage['commit'][:12]}`, seed {lineage['seed']}.",
        "",
        "## Data",
        "",
        f"{rows['train']:,} rows to learn from, {rows['validation']:,} to choose on, {rows['test']:,} to judge on; "
        f"{rows['dropped']:,} rows without a label were left out. SHA-256 of the training set: `{lineage['dataset']}`.",
        "",
        *_table(
            ("view", "version", "identity"),
            [(name, view["version"], view["identity"]) for name, view in lineage["views"].items()],
        ),
        "",
        "## How good it is",
        "",
        *_metrics(result),
        "",
        *_slices(result["slices"]),
        "## Inputs",
        "",
        *_table(
            ("name", "dtype", "may be missing"),
            [(c["name"], c["dtype"], "yes" if c["nullable"] else "no") for c in result["signature"]["inputs"]],
        ),
        "",
        "## Parameters",
        "",
        *_table(("name", "value"), list(result["parameters"].items())),
        "",
        f"{len(result['trials'])} trials were made to find them. "
        f"The model file is `{result['format']}`, SHA-256 `{result['sha256']}`.",
    ]
    return "\n".join(lines) + "\n"


def _metrics(result: Mapping[str, Any]) -> list[str]:
    live = result["champion_metrics"] or {}
    names = [name for name, value in result["metrics"].items() if isinstance(value, float)]
    rows = [(n, f"{result['metrics'][n]:.4f}", f"{live[n]:.4f}" if n in live else "") for n in names]
    return _table(("metric", "this model", "live model, same rows"), rows)


def _slices(slices: Sequence[Mapping[str, Any]]) -> list[str]:
    if not slices:
        return []
    rows = [
        (_slice_name(s), s["metric"], "" if s["score"] is None else f"{s['score']:.4f}", f"{s['rows']:,}")
        for s in slices
    ]
    return ["### Slices", "", *_table(("slice", "metric", "value", "rows"), rows), ""]


def _slice_name(measured: Mapping[str, Any]) -> str:
    value = measured["value"]
    return f"largest part by {measured['by']}, too small" if value is None else f"{measured['by']} = {value}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return ["| " + " | ".join(row) + " |" for row in (list(head), ["---"] * len(head), *cells)]
