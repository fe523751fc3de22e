"""Performance once labels have arrived: the prediction log joined with a version of a label table."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from framework import scores
from framework.api.errors import TerminalError, TransientError
from framework.panics import panics_told
from framework.ports import LabelledWindow, TableState, Unusable
from framework.storage import list_files, read_bytes

logger = logging.getLogger(__name__)

NOT_BINARY = "neither 0 nor 1"
CONTRADICTING = "contradicted by another of the same key"
NO_NUMBER = "of a prediction that is no number"

_Z95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True)
class LogWindow:
    """The predictions of one app (``layout.prediction_folder``) made in [since, until)."""

    folder: str
    since: datetime
    until: datetime

    @property
    def app(self) -> str:
        return self.folder.rstrip("/").rsplit("/", 1)[-1]


def judge(log: LogWindow, labels: TableState, key: str, column: str, metric: str) -> LabelledWindow:
    """Only the newest prediction per (request id, key) counts. A label that is null or NaN has not arrived; one that is
    neither 0 nor 1, or that others of the same key contradict, is unusable. Both are left out, and the latter told.

    Predictions without a key are counted as made, but can never be labelled. Whole numbers are one key however they are
    written, 7 and 7.0.

    Raises:
        TerminalError: "UnknownMetric", "ColumnMissing", "LabelsUnreadable".
        TransientError: the storage does not answer.
    """
    import polars as pl

    if metric not in METRICS:
        raise TerminalError("UnknownMetric", f"{metric!r} cannot be computed from labels (known: {', '.join(METRICS)})")
    made, damaged = _predictions(log)
    keyed = made.drop_nulls("key").unique(subset=["request_id", "key"], keep="last", maintain_order=True)
    keyless = made["key"].null_count()
    arrived, apart = _labels(labels, key, column, keyed["key"].unique())
    met = keyed.join(arrived, on="key", how="inner", maintain_order="left")
    usable = met.filter(pl.col("why").is_null() & pl.col("prediction").is_finite().fill_null(False))
    value, low, high = METRICS[metric](usable)
    return LabelledWindow(
        app=log.app,
        predictions=keyed.height + keyless,
        labelled=usable.height,
        metric=metric,
        value=value,
        low=low,
        high=high,
        classes=dict(usable["shown"].value_counts().sort("shown").iter_rows()),
        keyless=keyless,
        unusable=tuple(_unusable(met)),
        apart=apart,
        damaged=damaged,
    )


def _unusable(met: Any) -> Iterator[Unusable]:
    import polars as pl

    for why in (NOT_BINARY, CONTRADICTING):
        rows = met.filter(pl.col("why") == why)
        if rows.height:
            yield Unusable(why, rows.height, f"{rows['key'][0]}: {rows['shown'][0]}")
    rows = met.filter(pl.col("why").is_null() & ~pl.col("prediction").is_finite().fill_null(False))
    if rows.height:
        yield Unusable(NO_NUMBER, rows.height, f"{rows['key'][0]}: {rows['prediction'][0]}")


def _predictions(log: LogWindow) -> tuple[Any, tuple[str, ...]]:
    """The log's rows in the window as a Polars frame, oldest first, and the names of files that are damaged.

    Polars' own reader ends the process on some damaged files; Arrow's raises.
    """
    import polars as pl
    from pyarrow import BufferReader, parquet

    text, time, number = pl.String(), pl.Datetime("us", "UTC"), pl.Float64()
    schema = pl.Schema([("request_id", text), ("key", text), ("time", time), ("prediction", number)])
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


def _labels(labels: TableState, key: str, column: str, asked: Any) -> tuple[Any, tuple[str, str] | None]:
    """What has arrived for the keys ``asked`` for, one row each: key (text), label (0 or 1), shown (as the table writes
    it), why (it is unusable, or null). And where none has, a key of each side that could have met."""
    import polars as pl
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        with panics_told():
            table = DeltaTable(labels.uri, version=labels.version)
            known = [field.name for field in table.schema().fields]
            missing = [name for name in (key, column) if name not in known]
            if missing:
                raise TerminalError("ColumnMissing", f"the label table {labels.uri} has no column {', '.join(missing)}")
            values = pl.DataFrame(pl.from_arrow(table.to_pyarrow_table(columns=[key, column])))
            rows = values.select(_key(values.schema[key], key), *_label(values.schema[column], column))
    except TerminalError:
        raise
    except (DeltaError, OSError) as error:
        raise TransientError(f"cannot read labels at {labels.uri} version {labels.version}: {error}") from error
    except Exception as error:
        message = f"cannot use labels at {labels.uri} version {labels.version}: {error}"
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
        .then(pl.lit(NOT_BINARY))
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


def _label(dtype: Any, column: str) -> tuple[Any, Any]:
    """``label``: 0, 1, or null for anything else. ``shown``: as it is written, and null where it has not arrived."""
    import polars as pl

    value, shown = pl.col(column), _key(dtype, column).alias("shown")
    if dtype == pl.Boolean:
        return value.cast(pl.Float64).alias("label"), shown.str.to_titlecase()
    if not dtype.is_numeric():
        return pl.lit(None, pl.Float64).alias("label"), shown
    number = value.cast(pl.Float64)
    return (
        pl.when(number.is_in([0.0, 1.0])).then(number).alias("label"),
        pl.when(number.is_not_nan()).then(shown).alias("shown"),
    )


def _auc(joined: Any) -> tuple[float | None, float | None, float | None]:
    """Area under the ROC curve and its 95 % interval."""
    positives = int(joined["label"].sum())
    negatives = joined.height - positives
    if not positives or not negatives:
        return None, None, None
    value = scores.auc(joined["label"].to_numpy(), joined["prediction"].to_numpy())
    return value, *auc_interval(value, positives, negatives)


def auc_interval(auc: float, positives: int, negatives: int) -> tuple[float, float]:
    """95 % interval of an AUC over so many rows of each class.

    The values theta with |auc - theta| <= z * sqrt(V(theta)), where V is the variance of Hanley and McNeil (Radiology
    143, 1982) with both class sizes replaced by their mean: Newcombe, Statistics in Medicine 25 (2006), method 5.
    Unlike the Wald interval it stays inside [0, 1] and has width at an AUC of 1.
    """
    extra = (positives + negatives) / 2 - 1

    def distance(theta: float) -> float:
        spread = 1 + extra * (1 - theta) / (2 - theta) + extra * theta / (1 + theta)
        variance = theta * (1 - theta) * spread / (positives * negatives)
        return abs(auc - theta) - _Z95 * math.sqrt(variance)

    return _boundary(distance, auc, 0.0), _boundary(distance, auc, 1.0)


def _boundary(distance: Callable[[float], float], inside: float, outside: float) -> float:
    """Where ``distance`` crosses zero between two points, by bisection to machine precision."""
    for _ in range(60):
        middle = (inside + outside) / 2
        if distance(middle) <= 0:
            inside = middle
        else:
            outside = middle
    return inside


METRICS: dict[str, Callable[[Any], tuple[float | None, float | None, float | None]]] = {"auc": _auc}
"""Name -> function of (prediction, label) rows giving value, low and high; None while a class is missing."""
