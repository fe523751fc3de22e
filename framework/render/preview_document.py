"""What the models of a branch are worth, for programs."""

from __future__ import annotations

from framework.api.credentials import redacted_value
from framework.planning.reports.models import ModelDifference, ModelRow, is_loss
from framework.planning.reports.preview import PreviewedJob, PreviewReport
from framework.ports import Json
from framework.render.canonical import document

FORMAT = 1


def preview_json(report: PreviewReport) -> str:
    return document(
        {
            "format": FORMAT,
            "environment": report.environment,
            "base": report.base,
            "head": report.head,
            "verdict": report.verdict,
            "conclusion": report.conclusion,
            "built": list(report.built),
            "seconds": round(report.seconds, 3),
            "views": list(report.views),
            "jobs": [_job_facts(job) for job in report.jobs],
        }
    )


def _job_facts(job: PreviewedJob) -> dict[str, Json]:
    found = job.beside
    return {
        "ref": str(job.ref),
        "outcome": job.outcome,
        "file": job.file,
        "reason": job.reason,
        "message": job.message,
        "model": _model_facts(job.model) if job.model is not None else None,
        "beside": None
        if found is None
        else {
            **_model_facts(found.row),
            "role": found.role,
            "same_rows": found.same_rows,
            "problem": found.problem,
            "serves": [{"deployment": str(use.ref), "role": use.role, "weight": use.weight} for use in found.row.uses],
        },
        "metrics": {
            one.name: {
                "new": one.value,
                "other": one.other,
                "difference": one.difference,
                "interval": list(one.interval) if one.interval is not None else None,
                "loss": one.loss,
                "word": one.word,
            }
            for one in job.figures
        },
        "gates": [dict(gate) for gate in job.gates],
        "slices": [dict(row) for row in job.slices],
        "fairness": [dict(row) for row in job.fairness],
        "differences": [_difference_facts(item) for item in job.differences],
        "diffs": [
            {"path": diff.path, "before": diff.before, "after": diff.after, "category": diff.category.label}
            for diff in job.diffs
        ],
        "cost": None
        if job.cost is None
        else {"seconds": job.cost.seconds, "cpus": job.cost.cpus, "gpus": job.cost.gpus},
        "cards": list(job.cards),
    }


def _model_facts(row: ModelRow) -> dict[str, Json]:
    return {
        "label": row.label,
        "version": row.model.version,
        "task": row.task,
        "headline": {"metric": row.metric, "value": row.value, "loss": is_loss(row.metric)},
        "commit": row.model.commit,
    }


def _difference_facts(item: ModelDifference) -> dict[str, Json]:
    before, after = (redacted_value(value, item.name) for value in (item.before, item.after))
    return {"about": item.about, "name": item.name, "before": before, "after": after, "verdict": item.verdict}
