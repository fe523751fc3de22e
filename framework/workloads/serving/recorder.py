"""Profiles and the prediction log, off the request path.

A request costs one append. One thread per replica takes what was appended every flush interval and writes one whylogs
profile and one Parquet file of predictions under a name that nobody else uses, so nothing is ever overwritten and
readers merge. A crash loses one interval at most; what did not fit the buffer is counted in the metadata of the next
profile.
"""

from __future__ import annotations

import io
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from framework.answers import Matrix, ModelOutput
from framework.storage import write_bytes
from framework.workloads import profiling

logger = logging.getLogger("ray.serve")

MAX_PENDING = 100_000
"""What may wait for the consumer, in rows; one of more than ROW_BYTES counts for as many as it fills. Beyond, whole
requests are dropped and counted."""

ROW_BYTES = 1024

CLOSE_SECONDS = 15.0
"""How long a stopping replica waits for its last flush; Serve's own patience is 20 s by default."""


@dataclass(frozen=True)
class Destination:
    """Where one replica's files go, and how they are named.

    ``replica`` must be unique over replicas and restarts. ``output`` says what of an answer is profiled and logged.
    """

    profiles: str
    predictions: str
    replica: str
    output: ModelOutput


Rows = Sequence[Mapping[str, Any]]


class RecordedRequest(NamedTuple):
    """One answered request: the model's inputs, keys and predictions, row by row."""

    time: datetime
    request_id: str
    keys: Sequence[str | None]
    rows: Rows
    predictions: Matrix
    weight: int


class Recorder:
    """``append`` from one thread (the event loop); everything else happens on the consumer's.

    ``to_frame`` turns the rows of a whole batch into the frame of the model's inputs: in bulk it costs a fraction of
    what it costs request by request, and rows take a fifth of the memory of frames.
    """

    def __init__(
        self,
        destination: Destination,
        to_frame: Callable[[Rows], pl.DataFrame],
        flush: timedelta,
        *,
        max_pending: int = MAX_PENDING,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._destination = destination
        self._to_frame = to_frame
        self._flush_seconds = flush.total_seconds()
        self._limit = max_pending
        self._clock = clock
        self._buffer: deque[RecordedRequest] = deque()
        # Counters that only grow and that one thread each writes, so that no request waits for a lock.
        self._appended = 0  # by weight
        self._settled = 0
        self._refused = 0  # rows
        self._failed = 0
        self._reported = 0
        self._batch: list[RecordedRequest] = []
        self._files = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._consume, name="recorder", daemon=True)
        profiling.warm()
        self._thread.start()

    def append(
        self, request_id: str, keys: Sequence[str | None], rows: Rows, predictions: Matrix, size: int = 0
    ) -> None:
        """Remember one answered request of ``size`` bytes; drop it where the consumer is too far behind."""
        weight = max(len(rows), size // ROW_BYTES)
        if self._appended - self._settled + weight > self._limit:
            self._refused += len(rows)
            return
        self._appended += weight
        self._buffer.append(RecordedRequest(self._clock(), request_id, keys, rows, predictions, weight))

    @property
    def dropped(self) -> int:
        """Rows that were not recorded since the replica started."""
        return self._refused + self._failed

    def close(self) -> None:
        """Write what is left and stop. Idempotent; waits up to CLOSE_SECONDS."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(CLOSE_SECONDS)

    def _consume(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stop.wait(self._flush_seconds)
            self._flush(final=stopping)

    def _flush(self, final: bool) -> None:
        # Appends go on meanwhile: what is here now is taken, the rest waits for the next round.
        for _ in range(len(self._buffer)):
            self._batch.append(self._buffer.popleft())
        if not self._batch:
            return
        rows = sum(len(item.rows) for item in self._batch)
        dropped = self.dropped
        try:
            self._publish(self._batch, dropped - self._reported, final)
        except OSError as error:
            # The batch stays and is written under the same name next time, so a half that got through is replaced.
            logger.warning("cannot write profiles and predictions (%d rows wait): %s", rows, error)
            return
        except Exception:
            logger.exception("cannot profile %d rows; they are left out", rows)
            self._failed += rows
        else:
            self._files += 1
            self._reported = dropped
        self._settled += sum(item.weight for item in self._batch)
        self._batch.clear()

    def _publish(self, batch: Sequence[RecordedRequest], dropped: int, final: bool) -> None:
        to, first = self._destination, batch[0].time
        name = f"{int(first.timestamp() * 1000)}-{to.replica}-{self._files}"
        predictions = np.concatenate([item.predictions for item in batch])
        inputs = self._to_frame([row for item in batch for row in item.rows])
        metadata = {"replica": to.replica, "dropped": str(dropped), "final": str(final).lower()}
        profile = profiling.profile_bytes(inputs.with_columns(to.output.profiled(predictions)), first, metadata)
        write_bytes(f"{to.predictions}/{name}.parquet", _parquet(batch, predictions, to.output))
        write_bytes(f"{to.profiles}/{name}.bin", profile)  # last: readers may rely on a profile never changing


def _parquet(batch: Sequence[RecordedRequest], predictions: Matrix, output: ModelOutput) -> bytes:
    """``prediction`` is one number a row; ``answer`` the whole of it where it has several."""
    log = pl.DataFrame(
        {
            "request_id": [item.request_id for item in batch for _ in item.predictions],
            "key": [key for item in batch for key in item.keys],
            "time": [item.time for item in batch for _ in item.predictions],
            "prediction": output.number(predictions),
        },
        schema={
            "request_id": pl.String,
            "key": pl.String,
            "time": pl.Datetime("us", "UTC"),
            "prediction": pl.Float64,
        },
    )
    if output.width is not None:
        log = log.with_columns(pl.Series("answer", predictions.tolist(), dtype=pl.List(pl.Float64)))
    stream = io.BytesIO()
    log.write_parquet(stream)
    return stream.getvalue()
