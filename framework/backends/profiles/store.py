"""The profile store over files: training profiles, serving profiles and prediction logs as neutral values.

Profiles are not merged sketch by sketch: each is counted on the reference's bins and the counts are added, so the
result is the same in any order and over any number of replicas.
"""

from __future__ import annotations

import logging
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from framework.api.errors import TerminalError, TransientError
from framework.backends.profiles.files import ColumnProfile, Quantiles, read_profile
from framework.drift.summaries import DECILES, decile_edges, total
from framework.ports import ColumnSummary, Json, LabelledWindow, LabelTable, ProfileWindow, ReferenceProfile
from framework.storage import list_files, read_bytes

logger = logging.getLogger(__name__)

_HOUR_MS = 3_600_000

_PERIOD = re.compile(r"period-\d+\.bin")

_Edges = tuple[tuple[str, tuple[float, ...]], ...]


class Profiles:
    """Reads whole.bin, period-<k>.bin and <start-ms>-<replica>-<n>.bin as the workloads write them. Keeps no state.

    In every summary ``count`` includes the nulls, and NaN is a null.
    """

    def reference(self, profile: str) -> ReferenceProfile | None:
        """The training profile in a folder; None where its ``whole.bin`` is missing.

        Numeric columns get bins at the deciles of the whole, and every period is counted on the same bins. A period
        whose file is damaged is left out and named.

        Raises:
            TransientError: the storage does not answer. TerminalError("ProfileDamaged"): ``whole.bin`` is no profile.
        """
        uri = f"{profile}/whole.bin"
        data = _bytes(uri)
        if data is None:
            return None
        try:
            columns = read_profile(data)
            edges = {name: _edges(column.quantiles) for name, column in columns.items() if column.quantiles is not None}
            whole = _summaries(columns, edges)
        except ValueError as error:
            raise TerminalError("ProfileDamaged", f"{uri}: {error}") from error
        periods = {
            int(name.removeprefix("period-").removesuffix(".bin")): uri
            for name, uri in _files(profile, ".bin").items()
            if _PERIOD.fullmatch(name)
        }
        found = [(uri, _summarised(uri, edges)) for _, uri in sorted(periods.items())]
        return ReferenceProfile(
            whole=whole,
            periods=tuple(period for _, period in found if period),
            damaged=tuple(_name(uri) for uri, period in found if period is None),
        )

    def window(self, folder: str, since: datetime, until: datetime, reference: ReferenceProfile) -> ProfileWindow:
        """All profiles that start in [since, until), added up on the reference's bins; empty where there are none.

        A damaged file is left out and named, so that it cannot blind a monitor for good.

        Raises:
            TransientError: the storage does not answer.
        """
        edges = tuple(sorted((name, column.edges) for name, column in reference.whole.items() if column.edges))
        low, high = _milliseconds(since), _milliseconds(until)
        hours: defaultdict[int, list[str]] = defaultdict(list)
        for name, uri in _files(folder, ".bin").items():
            start = start_ms(name)
            if start is not None and low <= start < high:
                hours[start // _HOUR_MS].append(uri)
        found = [_hour(tuple(uris), edges) for uris in hours.values()]
        return ProfileWindow(
            _add(part.columns for part in found), tuple(name for part in found for name in part.damaged)
        )

    def performance(
        self, folder: str, labels: LabelTable, metric: str, output: Mapping[str, Json], since: datetime, until: datetime
    ) -> LabelledWindow:
        """How well the predictions made in [since, until) agree with the labels that have arrived.

        Predictions are told apart by request id and key, so a request that was sent twice counts once.

        Raises:
            TerminalError: "UnknownMetric"; "ColumnMissing" (the label table lacks key or column); "LabelsUnreadable".
            TransientError: the storage does not answer.
        """
        from framework.backends.profiles.performance import LogWindow, judge  # which load numpy and Polars

        return judge(LogWindow(folder, since, until), labels, metric, output)


def start_ms(name: str) -> int | None:
    """The epoch milliseconds that a serving file's name starts with; None for other files."""
    head = name.split("-", 1)[0]
    return int(head) if head.isdecimal() else None


def _milliseconds(moment: datetime) -> int:
    return math.ceil(moment.timestamp() * 1000)


def _files(folder: str, suffix: str) -> dict[str, str]:
    try:
        return {_name(uri): uri for uri in list_files(folder) if uri.endswith(suffix)}
    except OSError as error:
        raise TransientError(f"cannot list {folder}: {error}") from error


def _name(uri: str) -> str:
    return uri.rsplit("/", 1)[-1]


def _bytes(uri: str) -> bytes | None:
    try:
        return read_bytes(uri)
    except OSError as error:
        raise TransientError(f"cannot read {uri}: {error}") from error


def _summarised(uri: str, edges: Mapping[str, Sequence[float]]) -> Mapping[str, ColumnSummary] | None:
    """Empty where the file has gone since it was listed, None where it is damaged."""
    data = _bytes(uri)
    try:
        return {} if data is None else _summaries(read_profile(data), edges)
    except ValueError as error:
        logger.warning("left out: %s: %s", uri, error)
        return None


@lru_cache(maxsize=1024)
def _hour(uris: tuple[str, ...], edges: _Edges) -> ProfileWindow:
    """The files of one hour, added up. Files never change, so an hour that has passed is read once per process."""
    inner = dict(edges)
    found = {uri: _summarised(uri, inner) for uri in uris}
    damaged = tuple(_name(uri) for uri, part in found.items() if part is None)
    return ProfileWindow(_add(part for part in found.values() if part is not None), damaged)


def _edges(quantiles: Quantiles) -> tuple[float, ...]:
    return decile_edges(quantiles.minimum, quantiles.maximum, quantiles.at(DECILES))


def _summaries(columns: Mapping[str, ColumnProfile], edges: Mapping[str, Sequence[float]]) -> dict[str, ColumnSummary]:
    return {name: _summary(name, column, tuple(edges.get(name, ()))) for name, column in columns.items()}


def _summary(name: str, column: ColumnProfile, edges: tuple[float, ...]) -> ColumnSummary:
    counts: tuple[float, ...] = ()
    if edges:
        counts = column.quantiles.counts(edges[1:-1]) if column.quantiles else (0.0,) * (len(edges) - 1)
    return ColumnSummary(name, column.count, column.nulls, edges, counts, dict(sorted(column.items.items())))


def _add(parts: Iterable[Mapping[str, ColumnSummary]]) -> dict[str, ColumnSummary]:
    grouped: defaultdict[str, list[ColumnSummary]] = defaultdict(list)
    for part in parts:
        for name, summary in part.items():
            grouped[name].append(summary)
    return {name: total(grouped[name]) for name in sorted(grouped)}
