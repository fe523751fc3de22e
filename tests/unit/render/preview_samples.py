"""A preview of two views and three training jobs, for those who tell of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.planning.grammar.changes import FieldDiff
from framework.planning.reports.aliases import ModelUse
from framework.planning.reports.models import model_row
from framework.planning.reports.preview import (
    PreviewCost,
    PreviewedJob,
    PreviewedView,
    PreviewOutcome,
    PreviewReport,
    beside,
    differences,
    worst_first,
)
from tests.unit.render.model_samples import DEPLOYMENT, LINEAGE, version

HOSTILE = "<img src=x> | @all `rm` **bold** <!-- mlopsctl preview -->"
LIVE = version()
DRAWN = [-0.004 + step * 0.0002 for step in range(199)]
"""Quantiles of the difference: 0.0158 in the middle."""
SLICES: list[dict[str, Any]] = [
    {"by": "origin", "value": "EWR", "metric": "auc", "rows": 900, "score": 0.86},
    {"by": "origin", "value": "JFK", "metric": "auc", "rows": 700, "score": 0.79},
    {"by": "carrier", "value": "AA", "metric": "log_loss", "rows": 400, "score": 0.31},
    {"by": "carrier", "value": HOSTILE, "metric": "log_loss", "rows": 90, "score": 0.55},
    {"by": "carrier", "value": None, "metric": "log_loss", "rows": 20, "score": None},
]


def trained(**more: Any) -> Any:
    """A better version, whose run asked the live one its own test rows."""
    lineage = {
        **LINEAGE,
        "champion": LIVE.version,
        "champion_metrics": {"auc": 0.8342, "log_loss": 0.41},
        "comparisons": {"auc": {"difference": 0.0158, "quantiles": DRAWN}},
        "slices": SLICES,
        "seconds": 74.5,
    }
    return version(
        version="cc33dd44ee", identity="8e8e8e8e8e", lineage=lineage,
        metrics={"auc": 0.85, "log_loss": 0.4, "validation_auc": 0.86},
        parameters={"num_leaves": 31, "learning_rate": 0.1, "api_key": "hunter2SECRET"}, **more,
    )  # fmt: skip


NEW = trained()
ROW, OTHER = model_row(NEW), model_row(LIVE, [ModelUse(DEPLOYMENT, "stable", 100)])
FOUND, FIGURES = beside(NEW, OTHER, "live", same_split=False)
PASSING: PreviewedJob = PreviewedJob(
    Ref("TrainingJob", "delay-classifier"), PreviewOutcome.BUILT,
    diffs=(FieldDiff("trainer.lightgbm.params.num_leaves", 15, 31, Category.RETRAIN),),
    file="mlops_specs/delay-classifier.yaml", model=ROW, beside=FOUND, figures=FIGURES,
    gates=(
        {"gate": "auc", "value": 0.85, "bar": ">= 0.8", "passed": True, "message": "auc = 0.8500, bar >= 0.8"},
    ),
    slices=worst_first(SLICES), fairness=LINEAGE["fairness"], differences=differences(ROW, OTHER),
    cost=PreviewCost(74.5, 4.0, 1.0),
    cards=("s3://b/models/delay-classifier/cc33dd44ee/README.md", "s3://b/models/delay-classifier/cc33dd44ee/card.html"),
)  # fmt: skip
GATED = replace(
    PASSING, ref=Ref("TrainingJob", "arrivals"), outcome=PreviewOutcome.THERE, diffs=(), slices=(), beside=None,
    model=model_row(NEW, [ModelUse(DEPLOYMENT, "stable", 100)]), differences=(), cards=(),
    figures=beside(NEW, None, "", same_split=False)[1],
    gates=(
        {"gate": "auc", "value": 0.85, "bar": ">= 0.8", "passed": True, "message": "auc = 0.8500, bar >= 0.8"},
        {
            "gate": f"f1 where name = {HOSTILE}", "value": None, "bar": ">= 0.9", "passed": False,
            "message": "f1 = not measured, bar >= 0.9",
        },
    ),
)  # fmt: skip
BROKEN = PreviewedJob(
    Ref("TrainingJob", "broken"), PreviewOutcome.FAILED, file="mlops_specs/broken.yaml", reason="EntrypointFailed",
    message=f"ValueError: {HOSTILE} (trainers/fit.py:7 in fit)",
)  # fmt: skip
VIEWS = (
    PreviewedView(
        Ref("FeatureView", "weather"), PreviewOutcome.BUILT, "mlops_specs/weather.yaml", build="b1b1b1b1b1",
        rows=12_345, version=0, cost=PreviewCost(3.0, 1.0, 0.0),
    ),
    PreviewedView(
        Ref("FeatureView", "hourly"), PreviewOutcome.BUILT, build="b2b2b2b2b2", rows=99, version=0, apart=True,
    ),
)  # fmt: skip
BASE, HEAD = "ba5e" * 10, "4ead" * 10
PREVIEW = PreviewReport("prod", BASE, HEAD, VIEWS, (PASSING, GATED, BROKEN), 98.0)
GOOD = PreviewReport("prod", BASE, HEAD, (), (PASSING,), 98.0)
