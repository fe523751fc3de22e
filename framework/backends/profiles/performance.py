"""Performance once labels have arrived: the prediction log joined with a version of a label table."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from framework.answers import ModelOutput
from framework.api.errors import TerminalError, TransientError
from framework.api.metrics import why_not
from framework.api.tasks import Task
from framework.backends.profiles.intervals import interval
from framework.panics import panics_told
from framework.ports import Json, LabelledWindow, LabelTable, Unusable
from framework.scores import Answered, score
from framework.storage import list_files, read_bytes

logger = logging.getLogger(__name__)

UNFIT: Mapping[Task, str] = {
    Task.BINARY: "neither 0 nor 1",
    Task.MULTICLASS: "a class that the model does not know",
    Task.REGRESSION: "no finite number",
    Task.QUANTILE: "no finite number",
}
"""What a label is that the model's task has no use for."""
CONTRADICTING = "contradicted by another of the same key"
NO_NUMBER = "of a prediction that is no number"


@dataclass(frozen=True)
class LogWindow:
    """The predictions of one app (``layout.prediction_folder``) made in [since, until)."""

    folder: str
    since: datetime
    until: datetime

    @property
    def app(self) -> str:
        return self.folder.rstrip("/").rsplit("/", 1)[-1]


def judge(log: LogWindow, labels: LabelTable, metric: str, signed: Mapping[str, Json]) -> LabelledWindow:
    """Only the newest prediction per (request id, key) counts. A label that is null or NaN has not arrived; one that
    the model's task has no use for, or that others of the same key contradict, is unusable. Both are left out, and the
    latter told. ``signed`` is the output of the model's signature.

    Predictions without a key are counted as made, but can never be labelled. Whole numbers are one key however they are
    written, 7 and 7.0.

    Raises:
        TerminalError: "UnknownMetric", "ColumnMissing", "LabelsUnreadable".
        TransientError: the storage does not answer.
    """
    import polars as pl

    output = ModelOutput.of({"output": signed})
    _check(metric, output)
    made, damaged = _predictions(log, output)
    keyed = made.drop_nulls("key").unique(subset=["request_id", "key"], keep="last", maintain_order=True)
    keyless = made["key"].null_count()
    arrived, apart = _labels(labels, keyed["key"].unique(), output)
    met = keyed.join(arrived, on="key", how="inner", maintain_order="left")
    usable = met.filter(pl.col("why").is_null() & pl.col("prediction").is_finite().fill_null(False))
    value, low, high = _measured(metric, usable, output)
    return LabelledWindow(
        app=log.app,
        predictions=keyed.height + keyless,
        labelled=usable.height,
        metric=metric,
        value=value,
        low=low,
        high=high,
        classes=_classes(usable) if output.task in (Task.BINARY, Task.MULTICLASS) else {},
        keyless=keyless,
        unusable=tuple(_unusable(met, UNFIT[output.task])),
        apart=apart,
        damaged=damaged,
    )


def _check(metric: str, output: ModelOutput) -> None:
    if output.task is Task.RANKING:
        raise TerminalError("UnknownMetric", "a ranking cannot be judged from labels: what is logged names no list")
    try:
        unfit = why_not(metric, output.task)
    except KeyError:
        unfit = f"there is no metric {metric!r}"
    if unfit is not None:
        raise TerminalError("UnknownMetric", unfit)


def _measured(metric: str, usable: Any, output: ModelOutput) -> tuple[float | None, float | None, float | None]:
    """Value and interval; None while nothing is labelled, or a class is missing that it takes."""
    if usable.is_empty():
        return None, None, None
    given = usable["prediction"].to_numpy() if output.width is None else _matrix(usable["answer"])
    threshold = 0.5 if output.threshold is None else output.threshold
    answered = Answered(usable["label"].to_numpy(), given, output.task, threshold, output.quantiles)
    value = score(metric, answered)
    if not math.isfinite(value):
        return None, None, None
    return value, *(interval(metric, value, answered) or (None, None))


def _matrix(lists: Any) -> Any:
    """A column of lists of one length as a float64 matrix."""
    import numpy as np

    return np.array(lists.to_list(), dtype=np.float64)


def _classes(usable: Any) -> dict[str, int]:
    return dict(usable["shown"].value_counts().sort("shown").iter_rows())


def _unusable(met: Any, unfit: str) -> Iterator[Unusable]:
    import polars as pl

    for why in (unfit, CONTRADICTING):
        rows = met.filter(pl.col("why") == why)
        if rows.height:
            yield Unusable(why, rows.height, f"{rows['key'][0]}: {rows['shown'][0]}")
    rows = met.filter(pl.col("why").is_null() & ~pl.col("prediction").is_finite().fill_null(False))
    if rows.height:
        yield Unusable(NO_NUMBER, rows.height, f"{rows['key'][0]}: {rows['prediction'][0]}")


def _predictions(log: LogWindow, output: ModelOutput) -> tuple[Any, tuple[str, ...]]:
    """The log's rows in the window as a Polars frame, oldest first, and the names of files that are damaged.

    Polars' own reader ends the process on some damaged files; Arrow's raises.
    """
    import polars as pl
    from pyarrow import BufferReader, parquet

    text, time, number = pl.String(), pl.Datetime("us", "UTC"), pl.Float64()
    whole = [] if output.width is None else [("answer", pl.List(number))]
    schema = pl.Schema([("request_id", text), ("key", text), ("time", time), ("prediction", number), *whole])
    frames, damaged = [pl.DataFrame(schema=schema)], list[str]()
    try:
        for uri in _in_reach(list_files(log.folder), log):
            data = read_bytes(uri)
            if data is None:
                continue
            try:
                with panics_told():
                    frames.append(_frame(parquet.read_table(BufferReader(data), columns=list(schema)), schema))
            except Exception as error:  # what a decoder makes of damage is its own
                logger.warning("left out: %s: %s", uri, error)
                damaged.append(uri.rsplit("/", 1)[-1])
    except OSError as error:
        raise TransientError(f"cannot read the prediction log {log.folder}: {error}") from error
    rows = pl.concat(frames).filter(pl.col("time").is_between(log.since, log.until, closed="left")).sort("time")
    return rows.with_columns(_key(text, "key")), tuple(damaged)


def _frame(table: Any, schema: Any) -> Any:
    import polars as pl

    table.validate(full=True)
    return pl.DataFrame(pl.from_arrow(table)).match_to_schema(schema)


def _in_reach(uris: list[str], log: LogWindow) -> list[str]:
    """Files that may hold rows of the window.

    A file is named by its first row and ends before the same replica's next one begins: so those that start inside, and
    of each replica the last that starts before.
    """
    low, high = log.since.timestamp() * 1000, log.until.timestamp() * 1000
    inside: list[str] = []
    before: dict[str, tuple[int, str]] = {}
    for uri in uris:
        head, _, rest = uri.rsplit("/", 1)[-1].removesuffix(".parquet").partition("-")
        if not uri.endswith(".parquet") or not head.isdecimal():
            continue
        start, replica = int(head), rest.rpartition("-")[0]
        if low < start < high:
            inside.append(uri)
        elif start <= low:
            before[replica] = max(before.get(replica, (0, "")), (start, uri))
    return sorted([*inside, *(uri for _, uri in before.values())])


def _labels(labels: LabelTable, asked: Any, output: ModelOutput) -> tuple[Any, tuple[str, str] | None]:
    """What has arrived for the keys ``asked`` for, one row each: key (text), label (as metrics have it), shown (as the
    table writes it), why (it is unusable, or null). And where none has, a key of each side that could have met."""
    import polars as pl
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    key, column, stored = labels.key, labels.column, labels.table
    try:
        with panics_told():
            table = DeltaTable(stored.uri, version=stored.version)
            known = [field.name for field in table.schema().fields]
            missing = [name for name in (key, column) if name not in known]
            if missing:
                raise TerminalError("ColumnMissing", f"the label table {stored.uri} has no column {', '.join(missing)}")
            values = pl.DataFrame(pl.from_arrow(table.to_pyarrow_table(columns=[key, column])))
            rows = values.select(_key(values.schema[key], key), *_label(values.schema[column], column, output))
    except TerminalError:
        raise
    except (DeltaError, OSError) as error:
        raise TransientError(f"cannot read labels at {stored.uri} version {stored.version}: {error}") from error
    except Exception as error:
        message = f"cannot use labels at {stored.uri} version {stored.version}: {error}"
        raise TerminalError("LabelsUnreadable", message) from error
    arrived = rows.drop_nulls(["key", "shown"])
    found = arrived.join(pl.DataFrame({"key": asked}), on="key", how="semi", maintain_order="left")
    apart = not (found.height or asked.is_empty() or arrived.is_empty())
    by_key = found.group_by("key", maintain_order=True).agg(
        pl.col("label").first(),
        pl.col("shown").unique().sort().str.join(" and "),
        pl.when(pl.col("shown").n_unique() > 1)
        .then(pl.lit(CONTRADICTING))
        .when(pl.col("label").first().is_null())
        .then(pl.lit(UNFIT[output.task]))
        .alias("why"),
    )
    return by_key, (str(asked.min()), str(arrived["key"].min())) if apart else None


def _key(dtype: Any, column: str) -> Any:
    """A key as text that is the same for the same whole number, whatever it was stored as."""
    import polars as pl

    value = pl.col(column)
    if dtype.is_float():
        whole = value.cast(pl.Int64, strict=False)
        text = pl.when(whole.cast(dtype) == value).then(whole.cast(pl.String)).otherwise(value.cast(pl.String))
    else:
        text = value.cast(pl.String).str.replace(r"^(-?\d+)\.0+$", "$1")
    return text.alias("key")


def _label(dtype: Any, column: str, output: ModelOutput) -> tuple[Any, Any]:
    """``label``: 0 and 1, the place of the class, or the number; null for anything else. ``shown``: as it is written,
    and null where it has not arrived."""
    import polars as pl

    value, shown = pl.col(column), _key(dtype, column).alias("shown")
    if output.task is Task.MULTICLASS:
        # Classes go by how they are written, as keys do: 3 and 3.0 are one.
        places = {_written(one): float(place) for place, one in enumerate(output.classes)}
        written = _key(dtype, column)
        known = written.replace_strict(places, default=None, return_dtype=pl.Float64)
        arrived = pl.when(value.is_not_nan()).then(shown) if dtype.is_float() else shown
        return known.alias("label"), arrived.alias("shown")
    if dtype == pl.Boolean:
        return value.cast(pl.Float64).alias("label"), shown.str.to_titlecase()
    if not dtype.is_numeric():
        return pl.lit(None, pl.Float64).alias("label"), shown
    number = value.cast(pl.Float64)
    fits = number.is_in([0.0, 1.0]) if output.task is Task.BINARY else number.is_finite()
    return (
        pl.when(fits).then(number).alias("label"),
        pl.when(number.is_not_nan()).then(shown).alias("shown"),
    )


def _written(value: bool | int | str) -> str:
    """A class as ``_key`` writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
