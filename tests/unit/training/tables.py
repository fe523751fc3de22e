"""Published views for tests, without a workload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from framework.workloads.features.delta import publish


def published(
    folder: Path, name: str, frame: pl.DataFrame, entities: list[str], timestamp: str | None
) -> dict[str, Any]:
    """Publish ``frame`` and describe it as a training run is told about a view."""
    words = [(column, str(dtype.base_type())) for column, dtype in frame.schema.items()]
    made = publish(str(folder / name), [frame], words, {"rows": frame.height})
    return {
        "uri": made.uri,
        "version": made.version,
        "identity": f"{name[:4]}000000",
        "entities": entities,
        "timestamp": timestamp,
        "columns": [list(word) for word in words],
    }
