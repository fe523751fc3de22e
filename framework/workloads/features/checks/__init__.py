"""Every check that a view can ask for: what it measures and how that is judged. Adding one: a function, a line here,
and one in ``framework/kinds/feature_view/expectation.py``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from framework.workloads.features.checks import condition, drift, keys, numbers, table, values
from framework.workloads.features.checks.measure import AskedCheck, Measurement

CHECKS: Mapping[str, Callable[[AskedCheck], Measurement]] = {
    "between": values.between,
    "notNull": values.not_null,
    "oneOf": values.one_of,
    "matches": values.matches,
    "quantile": numbers.quantile,
    "mean": numbers.mean,
    "std": numbers.std,
    "distinct": numbers.distinct,
    "drift": drift.drift,
    "unique": keys.unique,
    "references": keys.references,
    "rows": table.rows,
    "rowsChange": table.rows_change,
    "freshness": table.freshness,
    "sql": condition.sql,
}
"""By the field of an expectation."""
