"""The flight-delay project on all 336,776 flights: inputs, views without leaks, specs that fit, and the replay."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from examples.flights import story
from examples.flights.features import carrier_delays, departures
from examples.flights.prepare import prepare
from examples.flights.replay import land_labels, replay, requests_for
from examples.flights.serving import enrich, tidy
from examples.flights.stage import DemoError, Stage, spread
from framework.kinds import KINDS
from framework.workloads.features.expectations import check, require
from framework.workloads.features.transform import compute
from tests.lying import digest

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "mlops_specs"
NOW = datetime(2013, 12, 31, 23, tzinfo=UTC)
ROWS = {"departures": 327_346, "weather-hourly": 26_115, "carrier-delays": 140_096, "arrivals": 0}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("flights")
    prepare(root)
    return root


def documents(folder: Path) -> list[Any]:
    found = [yaml.safe_load(path.read_text()) for path in sorted(folder.rglob("*.yaml"))]
    assert found
    return found


def view(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load((SPECS / "features" / f"{name}.yaml").read_text())["spec"]
    return spec


def test_all_flights_are_there_and_preparing_again_changes_nothing(project: Path) -> None:
    path = project / "data" / "flights.parquet"
    before = path.stat().st_mtime_ns
    rows = prepare(project)
    assert rows["flights.parquet"] == 336_776
    assert rows["weather.parquet"] == 26_115
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize("folder", ["mlops_specs", "examples/flights/commits"])
def test_every_spec_fits_its_kind_and_uses_nothing_unsupported(folder: str) -> None:
    for document in documents(ROOT / folder):
        kind = KINDS[document["kind"]]
        spec = kind.spec.model_validate(document["spec"])
        assert kind.unsupported(spec) == (), document["metadata"]["name"]


@pytest.mark.parametrize("name", list(ROWS))
def test_every_view_meets_its_expectations(project: Path, name: str) -> None:
    spec = view(name)
    frame = compute(spec, str(project))
    require(check(frame.lazy(), spec, NOW).findings)
    assert frame.height == ROWS[name]


def test_carrier_delays_know_only_flights_that_have_left(project: Path) -> None:
    flights = pl.read_parquet(project / "data" / "flights.parquet").filter(
        pl.col("carrier") == "UA", pl.col("scheduled") < pl.datetime(2013, 1, 6, time_zone="UTC")
    )
    frame = carrier_delays(flights.lazy()).collect()
    left = flights.drop_nulls("dep_delay").with_columns(left=pl.col("scheduled") + pl.duration(minutes="dep_delay"))
    for hour in (datetime(2013, 1, 2, 15, tzinfo=UTC), datetime(2013, 1, 4, 3, tzinfo=UTC)):
        known = left.filter(pl.col("left") < hour, pl.col("left") >= hour - timedelta(hours=24))
        (row,) = frame.filter(pl.col("hour") == hour).to_dicts()
        assert row["mean_delay_24h"] == pytest.approx(known["dep_delay"].mean())
        assert row["late_share_24h"] == pytest.approx((known["dep_delay"] > 15).mean())
        recent = known.filter(pl.col("left") >= hour - timedelta(hours=3))
        assert row["mean_delay_3h"] == (pytest.approx(recent["dep_delay"].mean()) if recent.height else None)


def test_the_outcome_moves_nothing_but_the_label(project: Path) -> None:
    flights = pl.scan_parquet(project / "data" / "flights.parquet")
    other = pl.when(pl.col("arr_delay").is_not_null()).then(pl.lit(999)).alias("arr_delay")
    one, two = (departures(frame).collect() for frame in (flights, flights.with_columns(other)))
    assert one.drop("delayed").equals(two.drop("delayed"))
    assert not one["delayed"].equals(two["delayed"])


def test_requests_are_json_and_know_what_the_training_set_knows(project: Path) -> None:
    rows = requests_for(project, date(2013, 4, 1), date(2013, 4, 8), SPECS)
    assert len(rows) == 6_561
    assert "delayed" not in rows[0]
    json.dumps(rows[:100], allow_nan=False)
    (training,) = documents(ROOT / "examples" / "flights" / "commits" / "1-weather-and-delays")
    wanted = set(training["spec"]["dataset"]["columns"])
    for feature in training["spec"]["dataset"]["features"]:
        spec = view(feature["view"])
        wanted |= {column["name"] for column in spec["columns"]} - {*spec["entities"], spec["timestamp"]}
    assert wanted <= set(rows[0])


def test_one_transformer_serves_all_requests_and_the_other_fails_one_in_six(project: Path) -> None:
    rows = requests_for(project, date(2013, 4, 1), date(2013, 4, 3), SPECS)
    assert tidy([{"carrier": " ua ", "distance": 3}]) == [{"carrier": "UA", "distance": 3}]
    assert tidy(rows) == rows
    failed = 0
    for row in rows:
        try:
            enrich([row])
        except KeyError:
            failed += 1
    assert 0.10 < failed / len(rows) < 0.30


def test_labels_land_once(project: Path) -> None:
    spec = view("arrivals")
    before = digest(spec["sources"], project)
    assert land_labels(project, date(2013, 4, 1), date(2013, 4, 3)) == 1_945
    assert digest(spec["sources"], project) != before
    assert land_labels(project, date(2013, 4, 1), date(2013, 4, 3)) == 0
    assert land_labels(project, date(2013, 4, 2), date(2013, 4, 4)) > 0
    frame = compute(spec, str(project))
    require(check(frame.lazy(), spec, NOW).findings)
    truth = compute(view("departures"), str(project)).select("flight_id", pl.col("delayed").alias("truth"))
    joined = frame.join(truth, on="flight_id")
    assert joined.height == frame.height
    assert (joined["delayed"] == joined["truth"]).all()


def test_the_story_replaces_specs_that_exist(tmp_path: Path) -> None:
    for commit in (story.BETTER_MODEL, story.BROKEN_CANDIDATE):
        (written,) = commit.apply(tmp_path)
        original = SPECS / written.relative_to(tmp_path)
        assert original.exists()
        assert written.read_text() != original.read_text()


class Endpoint(BaseHTTPRequestHandler):
    """Answers 200, except 503 for every fifth flight; every ninth breaks the connection."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        (row,) = json.loads(self.rfile.read(int(self.headers["content-length"])))["instances"]
        if row["flight_id"] % 9 == 8:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        body = b"{}"
        self.send_response(503 if row["flight_id"] % 5 == 4 else 200)
        self.send_header("x-mlops-app", "delay-1")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/delay"
    server.shutdown()
    server.server_close()


def test_the_replay_counts_every_answer(endpoint: str) -> None:
    rows = [{"flight_id": number} for number in range(45)]
    tally = replay(endpoint, rows, connections=4, rate=5_000, count=90)
    assert tally.sent == 90
    assert tally.broken.total() == 10
    assert tally.statuses == {200: 64, 503: 16}
    assert tally.failures == 26
    assert tally.apps == {"delay-1": 80}
    assert len(tally.seconds) == 80
    assert 0 < tally.quantile(0.5) <= tally.quantile(0.95)


def test_the_replay_keeps_its_rate_and_can_be_stopped(endpoint: str) -> None:
    stop = threading.Event()
    timer = threading.Timer(0.5, stop.set)
    timer.start()
    tally = replay(endpoint, [{"flight_id": 0}], connections=4, rate=100, count=1_000_000, stop=stop)
    timer.join()
    assert 5 <= tally.sent <= 60


def test_the_demo_removes_no_folder_that_it_did_not_make(tmp_path: Path) -> None:
    treasure = tmp_path / "thesis.txt"
    treasure.write_text("three years of work")
    with pytest.raises(DemoError, match="not a demo's"):
        Stage(tmp_path, ROOT).prepare()
    assert treasure.read_text() == "three years of work"


def test_every_stretch_of_the_traffic_covers_the_whole_period() -> None:
    rows = [{"flight_id": number} for number in range(1000)]
    spread_out = [row["flight_id"] for row in spread(rows)]
    assert sorted(spread_out) == list(range(1000))
    assert all(max(part) - min(part) > 900 for part in (spread_out[start : start + 50] for start in range(0, 1000, 50)))
