"""Send the real flights of a period to an endpoint, as they would have been asked about at their scheduled departure.

python -m examples.flights.replay --url http://127.0.0.1:8000/delay --from 2013-04-01 --to 2013-04-08 --rate 100
"""

from __future__ import annotations

import argparse
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import yaml

from framework.workloads.features.transform import compute
from framework.workloads.training.as_of import join_as_of
from framework.workloads.training.dataset import midnight

_JOINS: Mapping[str, tuple[timedelta, timedelta | None]] = {
    "carrier-delays": (timedelta(days=1), None),
    "weather-hourly": (timedelta(hours=3), timedelta(hours=1)),
}
"""View -> (maxAge, delay), as the TrainingJob of the second commit joins them."""


def requests_for(root: Path, start: date, end: date, specs: Path | None = None) -> list[dict[str, Any]]:
    """One instance per flight scheduled in [start, end) UTC, in order of departure, with what the feature views knew
    then: the code that joins the training set joins the requests. ``plane_year`` is only there where the register has
    it.

    Args:
        root: the project's folder with ``data/``.
        specs: the spec folder, default ``root/mlops_specs``.
    """
    views = {name: _view(root, specs or root / "mlops_specs", name) for name in ("departures", *_JOINS)}
    departures, frame = views["departures"]
    moment = departures["timestamp"]
    rows = frame.filter(pl.col(moment) >= midnight(start), pl.col(moment) < midnight(end)).drop("delayed")
    for name, (max_age, delay) in _JOINS.items():
        spec, features = views[name]
        keys = [*spec["entities"], spec["timestamp"]]
        rows = join_as_of(
            rows,
            features,
            by=spec["entities"],
            spine_time=moment,
            feature_time=spec["timestamp"],
            columns=[column for column in features.columns if column not in keys],
            max_age=max_age,
            delay=delay,
        )
    flights = pl.read_parquet(root / "data" / "flights.parquet", columns=["flight_id", "tailnum"])
    planes = pl.read_parquet(root / "data" / "planes.parquet", columns=["tailnum", "year"]).rename(
        {"year": "plane_year"}
    )
    rows = rows.join(flights, on="flight_id", how="left", maintain_order="left")
    rows = rows.join(planes, on="tailnum", how="left", maintain_order="left").drop(moment)
    return [
        {name: value for name, value in row.items() if name != "plane_year" or value is not None}
        for row in rows.to_dicts()
    ]


def _view(root: Path, specs: Path, name: str) -> tuple[dict[str, Any], pl.DataFrame]:
    spec = yaml.safe_load((specs / "features" / f"{name}.yaml").read_text())["spec"]
    return spec, compute(spec, str(root))


@dataclass
class Tally:
    """What came back. ``failures`` counts everything that was not answered with 200, ``broken`` those without any
    answer. ``seconds`` are round trips of answered requests, ``apps`` counts answers by the app that gave them."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    apps: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def failures(self) -> int:
        """Requests that did not get a prediction."""
        return self.sent - self.statuses[200]

    def quantile(self, q: float) -> float:
        """Round trip in seconds at quantile ``q``; NaN before the first answer."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("nan")

    def note(self, status: int | None, seconds: float, app: str, problem: str) -> None:
        """Count one request; called from every connection's thread."""
        with self._lock:
            self.sent += 1
            if status is None:
                self.broken[problem] += 1
                return
            self.statuses[status] += 1
            self.seconds.append(seconds)
            if app:
                self.apps[app] += 1

    def __str__(self) -> str:
        answers = [f"{count:,} x {status}" for status, count in sorted(self.statuses.items())]
        answers += [f"{count:,} x {name}" for name, count in sorted(self.broken.items())]
        return (
            f"{self.sent:,} requests, {self.failures:,} failed ({', '.join(answers) or 'no answer'}), "
            f"p50 {self.quantile(0.5) * 1000:.0f} ms, p95 {self.quantile(0.95) * 1000:.0f} ms"
        )


def replay(
    url: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    connections: int = 8,
    rate: float = 100.0,
    count: int | None = None,
    batch: int = 1,
    timeout: float = 10.0,
    stop: threading.Event | None = None,
    tally: Tally | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Tally:
    """POST ``batch`` rows per request over ``connections`` kept-open connections, at most ``rate`` requests a second
    altogether.

    Args:
        count: how many requests; more than the rows give starts over, None sends each row once.
        stop: set it to end early, from any thread.
        tally: one to add to, so that another thread can watch it.
    """
    target, found, ended = urlsplit(url), tally or Tally(), stop or threading.Event()
    total, started = -(-len(rows) // batch) if count is None else count, clock()
    numbers, lock = iter(range(total)), threading.Lock()

    def send(connection: http.client.HTTPConnection, instances: Sequence[Mapping[str, Any]]) -> None:
        began = clock()
        try:
            body = json.dumps({"instances": instances})
            connection.request("POST", target.path, body, {"content-type": "application/json"})
            response = connection.getresponse()
            response.read()
            found.note(response.status, clock() - began, response.headers.get("x-mlops-app", ""), "")
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            found.note(None, clock() - began, "", type(error).__name__)

    def work() -> None:
        connection = http.client.HTTPConnection(target.hostname or "127.0.0.1", target.port, timeout=timeout)
        while not ended.is_set():
            with lock:
                number = next(numbers, None)
            if number is None or ended.wait(max(0.0, started + number / rate - clock())):
                break
            first = number * batch % len(rows)
            send(connection, rows[first : first + batch])
        connection.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def land_labels(root: Path, start: date, end: date) -> int:
    """The outcomes of flights scheduled in [start, end) UTC become known: one new file in ``data/arrivals/``. Flights
    that have landed before are left out, so landing twice is harmless.

    Returns:
        How many labels were new.
    """
    folder = root / "data" / "arrivals"
    known = pl.scan_parquet(folder / "*.parquet").select("flight_id")
    landed = (
        pl.scan_parquet(root / "data" / "flights.parquet")
        .filter(
            pl.col("scheduled") >= midnight(start),
            pl.col("scheduled") < midnight(end),
            pl.col("arr_delay").is_not_null(),
        )
        .join(known, on="flight_id", how="anti")
        .select(
            "flight_id",
            (pl.col("scheduled") + pl.duration(minutes=pl.col("dep_delay") + pl.col("air_time"))).alias("landed"),
            "carrier",
            "arr_delay",
        )
        .collect()
    )
    if landed.height:
        number = len(list(folder.glob("*.parquet")))
        path = folder / f"{number:04}-{start}-{end}.parquet"
        draft = path.with_name(f".{path.name}")
        landed.write_parquet(draft)
        draft.replace(path)
    return landed.height


def main() -> None:
    """Parse the command line, replay, print the tally."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8000/delay")
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--from", dest="start", type=date.fromisoformat, default=date(2013, 4, 1))
    parser.add_argument("--to", dest="end", type=date.fromisoformat, default=date(2013, 4, 8))
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--count", type=int, help="default: each flight once")
    parser.add_argument("--land", action="store_true", help="land the labels of the period afterwards")
    options = parser.parse_args()
    rows = requests_for(options.root, options.start, options.end)
    print(f"{len(rows):,} flights from {options.start} to {options.end}")
    print(replay(options.url, rows, connections=options.connections, rate=options.rate, count=options.count))
    if options.land:
        print(
            f"{land_labels(options.root, options.start, options.end):,} labels landed at {datetime.now(UTC):%H:%M:%S}Z"
        )


if __name__ == "__main__":
    main()
