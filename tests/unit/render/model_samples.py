"""Two versions of a model, as a registry has them, for those who tell of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from framework.api.meta import Ref
from framework.planning.reports.aliases import ModelAlias, ModelUse
from framework.planning.reports.models import ModelReport, ModelRow, model_report, model_row
from framework.ports import ModelVersion
from tests.unit.render.samples import COMMIT, NOW

DEPLOYMENT = Ref("ModelDeployment", "delay")
INPUTS = [
    {"name": "carrier", "dtype": "String", "nullable": False, "categories": ["AA", "B6", "UA"]},
    {"name": "hour", "dtype": "Int64", "nullable": True},
]
LINEAGE: dict[str, Any] = {
    "commit": COMMIT,
    "cause": "data",
    "seed": 7,
    "dataset": "da" * 32,
    "views": {
        "departures": {"uri": "s3://b/departures", "version": 3, "identity": "0a1b2c3d4e", "build": "b1b1b1b1b1"},
        "weather": {"uri": "s3://b/weather", "version": 1, "identity": "1a1b2c3d4e", "build": "c1c1c1c1c1"},
    },
    "libraries": {"lightgbm": "4.6.0", "python": "3.11.9"},
    "rows": {"train": 6000, "validation": 2000, "test": 2000, "dropped": 12},
    "forms": {
        "onnx": {
            "passed": True,
            "reason": "",
            "format": "onnx",
            "rows": 4200,
            "deviation": 2.5e-7,
            "bound": 1e-4,
            "unit": "in probability",
            "bytes": {"native": 91234, "form": 60321},
            "milliseconds": {"native": 14.9, "form": 0.05},
            "metric": {"name": "auc", "native": 0.8342, "form": 0.8342},
            "artifact": "s3://b/models/delay-classifier/aa11bb22cc/model.onnx",
            "sha256": "ef" * 32,
        },
        "quantized": {"passed": False, "reason": "onnxmltools is not installed"},
    },
    "champion": "1122334455",
    "champion_metrics": {"auc": 0.8125},
    "slices": [
        {"by": "origin", "value": "EWR", "metric": "auc", "rows": 900, "score": 0.84},
        {"by": "origin", "value": None, "metric": "f1", "rows": 20, "score": None},
    ],
    "intervals": {"auc": [0.8211, 0.8467]},
    "fairness": [
        {
            "attribute": "origin", "metric": "demographic_parity_difference", "loss": None, "minRows": 1, "value": 0.25,
            "problem": "", "groups": [
                {"group": "EWR", "rows": 900, "values": {"selection_rate": 0.5}},
                {"group": None, "rows": 80, "values": {"selection_rate": 0.25}},
            ],
        },
        {
            "attribute": "carrier", "metric": "equalized_odds_difference", "loss": None, "minRows": 1, "value": None,
            "problem": "all 2,000 test rows have carrier = AA, so there is nothing to compare", "groups": [],
        },
    ],
    "robustness": [
        {
            "perturb": "noise", "amount": 0.2, "metric": "auc", "columns": ["hour"], "clean": 0.8342, "value": 0.8211,
            "problem": "",
        },
    ],
    "hints": ["20 of 2,000 test rows are equal to training rows, label included"],
}  # fmt: skip
GATES: tuple[dict[str, Any], ...] = (
    {"gate": "auc", "value": 0.8342, "bar": ">= 0.8", "passed": True, "message": "auc = 0.8342, bar >= 0.8"},
    {
        "gate": "auc against live", "value": 0.8342, "bar": ">= 0.8125 - 0.005 (live, same rows)", "passed": True,
        "message": "",
    },
)  # fmt: skip
KEPT: dict[str, Any] = {
    "sha256": "ab" * 32,
    "diagnosis": {"rows": 2000},
    "trials": [
        {"number": 0, "parameters": {"num_leaves": 31}, "rounds": 40, "validation_auc": 0.81, "error": None},
        {"number": 1, "parameters": {"num_leaves": 15}, "rounds": 60, "validation_auc": 0.84, "error": None},
    ],
    "importance": {
        "metric": "auc",
        "value": 0.8342,
        "rows": 1000,
        "repeats": 3,
        "problem": "",
        "inputs": [{"input": f"x{place}", "drop": 0.2 / (place + 1), "spread": 0.01} for place in range(6)],
    },
    "contributions": {
        "rows": 200,
        "problem": "",
        "inputs": [{"input": "hour", "mean": 0.75}, {"input": "carrier", "mean": 0.5}],
    },
    "origin": {
        "search": {
            "metric": "validation_auc",
            "mode": "max",
            "algorithm": "optuna",
            "scheduler": "asha",
            "constraints": None,
            "refit": "trainAndValidation",
            "winner": 1,
            "stages": [],
            "importance": {"num_leaves": 1.0},
        },
        "views": {
            "departures": {"rows": 10012, "since": "2013-01-01T05:00:00+00:00", "until": "2013-03-31T23:00:00+00:00"}
        },
    },
}


def version(**more: Any) -> ModelVersion:
    return ModelVersion(
        **{
            "training": "delay-classifier", "version": "aa11bb22cc", "commit": COMMIT,
            "created": NOW - timedelta(hours=3),
            "artifact": "s3://b/models/delay-classifier/aa11bb22cc/model.txt", "sha256": "ab" * 32,
            "format": "lightgbm-text", "profile": "",
            "signature": {"inputs": INPUTS, "output": {"name": "late", "kind": "probability", "task": "binary"}},
            "metrics": {"auc": 0.8342, "log_loss": 0.41, "validation_auc": 0.84, "validation_log_loss": 0.4},
            "parameters": {"num_leaves": 15, "learning_rate": 0.1}, "lineage": LINEAGE, "gates": GATES,
            "deployable": True, "identity": "9f9f9f9f9f",
            **more,
        }
    )  # fmt: skip


ALIASES = [
    ModelAlias("challenger", "aa11bb22cc", commit=COMMIT, deployment=DEPLOYMENT),
    ModelAlias("stable", "aa11bb22cc", NOW - timedelta(hours=1), COMMIT, "Ada <ada@example.org>", "Serve it"),
    ModelAlias("old", "dd33ee44ff", NOW - timedelta(days=9), "f" * 40),
]
ROW: ModelRow = model_row(version(), [ModelUse(DEPLOYMENT, "candidate", 10)], ALIASES)
REPORT: ModelReport = model_report(ROW, KEPT)
LATER: ModelRow = model_row(
    version(
        version="dd33ee44ff",
        commit="f" * 40,
        metrics={"auc": 0.8, "log_loss": 0.39, "validation_auc": 0.84},
        parameters={"num_leaves": 31, "bagging_fraction": 0.5},
        signature={"inputs": [INPUTS[1] | {"dtype": "Float64"}], "output": {"name": "late", "kind": "probability"}},
        lineage=LINEAGE | {"dataset": "db" * 32, "libraries": {"lightgbm": "4.7.0", "python": "3.11.9"}},
        deployable=False,
        sha256="cd" * 32,
    )
)
