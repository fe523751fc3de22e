"""Performance once labels have arrived: the prediction log joined with a version of a label table."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from framework.api.errors import TerminalError, TransientError
from framework.ports import LabelledWindow, TableState
from framework.storage import list_files, read_bytes

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
    """Only the newest prediction per (request id, key) counts, and only labels that are not null.

    Predictions without a key are counted as made, but can never be labelled.

    Raises:
        TerminalError: "UnknownMetric", "ColumnMissing", "LabelNotBinary".
        TransientError: the storage does not answer.
    """
    if metric not in METRICS:
        raise TerminalError("UnknownMetric", f"{metric!r} cannot be computed from labels (known: {', '.join(METRICS)})")
    made = _predictions(log)
    keyed = made.drop_nulls("key").unique(subset=["request_id", "key"], keep="last", maintain_order=True)
    joined = keyed.join(_labels(labels, key, column), on="key", how="inner")
    value, low, high = METRICS[metric](joined)
    return LabelledWindow(log.app, keyed.height + made["key"].null_count(), joined.height, metric, value, low, high)


def _predictions(log: LogWindow) -> Any:
    """The log's rows in the window as a Polars frame, oldest first."""
    import polars as pl

    text, time, number = pl.String(), pl.Datetime("us", "UTC"), pl.Float64()
    schema = pl.Schema([("request_id", text), ("key", text), ("time", time), ("prediction", number)])
    frames = [pl.DataFrame(schema=schema)]
    try:
        for uri in _in_reach(list_files(log.folder), log):
            data = read_bytes(uri)
            if data is not None:
                frames.append(pl.read_parquet(io.BytesIO(data), columns=list(schema)).match_to_schema(schema))
    except OSError as error:
        raise TransientError(f"cannot read the prediction log {log.folder}: {error}") from error
    return pl.concat(frames).filter(pl.col("time").is_between(log.since, log.until, closed="left")).sort("time")


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


def _labels(labels: TableState, key: str, column: str) -> Any:
    """A Polars frame with key (text) and label (0 or 1), one row per key: the last where the table has several."""
    import polars as pl
    from deltalake.exceptions import DeltaError

    try:
        table = pl.scan_delta(labels.uri, version=labels.version)
        missing = [name for name in (key, column) if name not in table.collect_schema().names()]
        if missing:
            raise TerminalError("ColumnMissing", f"the label table {labels.uri} has no column {', '.join(missing)}")
        truth = (
            table.select(pl.col(key).cast(pl.String).alias("key"), pl.col(column).cast(pl.Float64).alias("label"))
            .drop_nulls()
            .unique(subset="key", keep="last", maintain_order=True)
            .collect()
        )
    except pl.exceptions.InvalidOperationError as error:
        raise TerminalError("LabelNotBinary", f"{column} of {labels.uri} is not 0 or 1: {error}") from error
    except (DeltaError, OSError) as error:
        raise TransientError(f"cannot read labels at {labels.uri} version {labels.version}: {error}") from error
    other = truth.filter(~pl.col("label").is_in([0.0, 1.0]))
    if other.height:
        found = other["label"][0]
        raise TerminalError("LabelNotBinary", f"{column} of {labels.uri} holds {found:g}; 0 and 1 are needed")
    return truth


def _auc(joined: Any) -> tuple[float | None, float | None, float | None]:
    """Area under the ROC curve as the Mann-Whitney statistic with mid-ranks for ties (exact), and its 95 % interval."""
    positives = int(joined["label"].sum())
    negatives = joined.height - positives
    if not positives or not negatives:
        return None, None, None
    ranks = joined["prediction"].rank("average").filter(joined["label"] == 1.0)
    value = (float(ranks.sum()) - positives * (positives + 1) / 2) / (positives * negatives)
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
