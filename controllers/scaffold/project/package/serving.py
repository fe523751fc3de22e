"""The transformer: what happens to the rows of a request before the model sees them.

Rows (list of dict) in, rows out, in the same order, and nothing else: it may be called again with parts of a request,
to find out which field it fails on. What it raises about a field that is missing or of the wrong kind is told to the
caller; whatever else it raises counts as a failure of the model's version. Before a version answers anybody, it is
tried on rows of its training set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any


def prepare(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Codes as the training data has them, and the hour and weekday of ``accepted``. The rest stays as it came."""
    return [{**row, **_codes(row), **_moment(row)} for row in rows]


def _codes(row: Mapping[str, Any]) -> dict[str, str]:
    forms = {"courier": str.upper, "district": str.lower}
    return {name: form(row[name].strip()) for name, form in forms.items() if isinstance(row.get(name), str)}


def _moment(row: Mapping[str, Any]) -> dict[str, int]:
    """Nothing where ``accepted`` is no time."""
    try:
        accepted = datetime.fromisoformat(row["accepted"])
    except (KeyError, TypeError, ValueError):
        return {}
    accepted = accepted.replace(tzinfo=accepted.tzinfo or UTC).astimezone(UTC)
    return {"hour": accepted.hour, "weekday": accepted.isoweekday()}
