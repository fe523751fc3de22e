"""What came of the expectations of runs, as a Parquet file each beside the table that they were for. A run that failed
leaves one, too, so that it shows what was and what is.

``pl.read_parquet("TABLE/_expectations/*.parquet")`` reads them all: a row for each expectation of each run.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import polars as pl

from framework import storage
from framework.ports import CheckedRun, ExpectationResult

_SCHEMA: dict[str, Any] = {
    "at": pl.Datetime("us", "UTC"),
    "run": pl.String,
    "version": pl.Int64,
    "check": pl.String,
    "column": pl.String,
    "severity": pl.String,
    "passed": pl.Boolean,
    "failing": pl.Float64,
    "rows": pl.Int64,
    "value": pl.Float64,
    "observed": pl.String,
    "offending": pl.String,
}
"""``rows`` were checked, of which the share ``failing`` broke it (0 or 1 for a check on the table as a whole, of which
``value`` was judged); ``version`` is null where nothing was published; ``offending`` is JSON, a list of rows."""


def write(table: str, run: CheckedRun) -> None:
    """Keep what came of a run for the table at ``table``; the same again where it is there already.

    Raises:
        OSError: the storage does not answer, or is full.
    """
    if not run.results:
        return
    told = [
        {
            **result.model_dump(),
            "run": run.run,
            "at": run.at.astimezone(UTC),
            "rows": run.rows,
            "version": run.version,
            "offending": json.dumps(result.offending, ensure_ascii=False),
        }
        for result in run.results
    ]
    written = io.BytesIO()
    pl.DataFrame(told, schema=_SCHEMA).write_parquet(written)
    at = run.at.astimezone(UTC)
    storage.write_bytes(f"{_folder(table)}/{at:%Y%m%dT%H%M%S%f}Z-{run.run}.parquet", written.getvalue())


def newest(table: str) -> CheckedRun | None:
    """What came of the newest run for a table; None where none left anything.

    Raises:
        OSError: the storage does not answer.
        ValueError: it is damaged.
    """
    files = _files(table)
    if not files:
        return None
    rows = read(files[-1:]).to_dicts()
    if not rows:  # removed since it was listed
        return None
    results = tuple(
        ExpectationResult.model_validate({**row, "offending": json.loads(row["offending"])}) for row in rows
    )
    first = rows[0]
    return CheckedRun(
        run=first["run"], at=first["at"], rows=first["rows"], version=first["version"], results=results
    )  # fmt: skip


def history(tables: Sequence[str]) -> pl.DataFrame:
    """Of all runs for these tables, newest first, each in the order of its spec. Raises as :func:`newest` does."""
    return read([file for table in tables for file in _files(table)]).sort("at", descending=True, maintain_order=True)


def read(files: Sequence[str]) -> pl.DataFrame:
    """Their rows, one after the other."""
    parts = [pl.DataFrame(schema=_SCHEMA)]
    for file in files:
        data = storage.read_bytes(file)
        if data is None:
            continue  # removed since it was listed
        try:
            parts.append(pl.read_parquet(io.BytesIO(data)).select(list(_SCHEMA)))
        except pl.exceptions.PolarsError as error:
            raise ValueError(f"{file} is damaged: {error}") from error
    return pl.concat(parts)


def _folder(table: str) -> str:
    return f"{table}/_expectations"


def _files(table: str) -> list[str]:
    return [file for file in storage.list_files(_folder(table)) if file.endswith(".parquet")]
