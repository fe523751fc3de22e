"""The router and the model server on a real Serve, under concurrent HTTP traffic."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from framework.api.layout import prediction_folder, profile_folder, traffic_folder
from framework.backends.ray.rest import RayRest
from framework.backends.ray.serve import RayServe
from framework.backends.ray.tenancy import Tenant
from framework.ports import AppArguments, AppPhase, AppSpec, Failure, RouteSpec, VersionCounters
from tests.unit.serving.models import arguments, body

pytest_plugins = ["tests.ray_cluster"]
pytestmark = pytest.mark.ray

DEPLOYMENT = "workload"
TRANSFORMERS = "tests.unit.serving.models"
NONE = VersionCounters()


def named(short: str) -> str:
    return f"{DEPLOYMENT}-{short}"


class World:
    """One deployment with its router. Tables get the next generation each."""

    def __init__(self, backend: RayServe, storage: Path):
        self.backend = backend
        self.storage = str(storage)
        self.traffic = traffic_folder(self.storage, DEPLOYMENT)
        self.generation = 0
        self.url = ""

    def app(self, short: str, **changes: Any) -> AppSpec:
        name = named(short)
        more = {
            "profiles": profile_folder(self.storage, DEPLOYMENT, name),
            "predictions": prediction_folder(self.storage, DEPLOYMENT, name),
        }
        sent = arguments(Path(self.storage), name, **more, **changes)
        return AppSpec(name, DEPLOYMENT, AppArguments.from_json(sent), cpus=0.1)

    def await_running(self, *shorts: str) -> None:
        def running() -> bool:
            apps = self.backend.apps(DEPLOYMENT)
            for short in shorts:
                assert apps[named(short)].phase is not AppPhase.FAILED, apps[named(short)].message
            return all(apps[named(short)].phase is AppPhase.RUNNING for short in shorts)

        wait_for(running, 120)

    def set(self, weights: Mapping[str, int], stable: str, **changes: Any) -> int:
        """Put this table in force without waiting; returns its generation."""
        self.generation += 1
        table = {named(short): weight for short, weight in weights.items()}
        self.backend.set_route(
            RouteSpec(
                DEPLOYMENT, f"/{DEPLOYMENT}", table, named(stable), self.generation, traffic=self.traffic, **changes
            )
        )
        return self.generation

    def acknowledged(self, generation: int) -> bool:
        state = self.backend.route(DEPLOYMENT, self.traffic)
        if state is None or state.phase is not AppPhase.RUNNING or not state.replicas:
            return False
        self.url = state.url
        return all(replica.generation >= generation for replica in state.replicas)

    def route(self, weights: Mapping[str, int], stable: str, **changes: Any) -> float:
        """Put this table in force; seconds until every router replica had acknowledged it."""
        started = time.monotonic()
        generation = self.set(weights, stable, **changes)
        wait_for(lambda: self.acknowledged(generation), 60)
        return time.monotonic() - started

    def counts(self) -> Callable[[str], VersionCounters]:
        """What is counted from now on, by short name, once it is written."""
        before = self._counters()

        def since(short: str) -> VersionCounters:
            time.sleep(1.0)  # counters are written every half second
            now, then = self._counters().get(named(short), NONE), before.get(named(short), NONE)
            return VersionCounters(
                now.requests - then.requests,
                now.errors - then.errors,
                now.shielded - then.shielded,
                (sum(now.latency_buckets) - sum(then.latency_buckets),),
                now.refused - then.refused,
            )

        return since

    def failures(self, short: str) -> tuple[Failure, ...]:
        """How a version failed so far, by short name."""
        return self._counters()[named(short)].failures

    def _counters(self) -> Mapping[str, VersionCounters]:
        time.sleep(1.0)
        state = self.backend.route(DEPLOYMENT, self.traffic)
        assert state is not None
        (replica,) = state.replicas
        return replica.versions


@pytest.fixture(scope="module")
def world(ray_rest: RayRest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    storage = tmp_path_factory.mktemp("storage")
    world = World(RayServe(ray_rest, lambda: Tenant("local", str(storage))), storage)
    apps = [
        world.app("one"),
        world.app("two", flip=True),
        world.app("flaky", transformer=f"{TRANSFORMERS}:broken_at_random"),
        world.app("deadly", transformer=f"{TRANSFORMERS}:deadly"),
        replace(
            world.app("slow", transformer=f"{TRANSFORMERS}:slow"), target_ongoing_requests=1, max_queued_requests=1
        ),
        replace(world.app("batched"), batch_size=8, batch_wait_seconds=0.5),
    ]
    for app in apps:
        world.backend.deploy(app, None)
    world.await_running(*(app.name.partition("-")[2] for app in apps))
    world.route({"one": 100}, "one")
    yield world
    world.backend.delete_route(DEPLOYMENT)
    for name in world.backend.apps(DEPLOYMENT):
        world.backend.delete(name)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds:g} s"
        time.sleep(0.05)


@contextmanager
def traffic(url: str, threads: int = 4) -> Iterator[list[tuple[int, str, bool]]]:
    """Requests without a pause; yields (status, app, whether the prediction is that app's) as they come."""
    seen: list[tuple[int, str, bool]] = []
    stop = threading.Event()

    def ask(thread: int) -> None:
        with httpx.Client(trust_env=False, timeout=10) as client:
            number = 0
            while not stop.is_set():
                number += 1
                content = body(0.1, flight=number * threads + thread)
                try:
                    answer = client.post(url, content=content)
                except httpx.HTTPError as error:
                    seen.append((0, repr(error), False))
                    continue
                app = answer.headers.get("x-mlops-app", "")
                late = answer.json()["predictions"][0] > 0.5 if answer.is_success else None
                seen.append((answer.status_code, app, late == (app == named("two"))))

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(ask, thread) for thread in range(threads)]
        try:
            yield seen
        finally:
            stop.set()
    for future in running:
        future.result()


def test_weights_change_in_place_and_an_acknowledged_app_goes_without_a_failed_request(world: World) -> None:
    """The whole rollout: start, rising weights, promotion, deletion of what was stable, and back by a new app."""
    world.route({"one": 100, "two": 0}, "one")
    state = world.backend.route(DEPLOYMENT, world.traffic)
    assert state is not None
    process = state.replicas[0].replica
    took: list[float] = []
    with traffic(world.url) as seen:
        for weight in (10, 50):
            took.append(world.route({"one": 100 - weight, "two": weight}, "one"))
            start = len(seen)
            wait_for(lambda start=start: len(seen) >= start + 150, 60)
            share = sum(app == named("two") for _, app, _ in seen[start:]) / len(seen[start:])
            assert abs(share - weight / 100) < 0.2
        took.append(world.route({"two": 100}, "two"))
        promoted = len(seen) + 4
        world.backend.delete(named("one"))
        wait_for(lambda: named("one") not in world.backend.apps(DEPLOYMENT), 60)
        wait_for(lambda: len(seen) >= promoted + 100, 60)
        world.backend.deploy(world.app("one"), None)
        world.await_running("one")
        took.append(world.route({"one": 100}, "one"))
        back = len(seen) + 4
        wait_for(lambda: len(seen) >= back + 50, 60)
    print(f"{len(seen)} requests; seconds to acknowledgement: {', '.join(f'{seconds:.2f}' for seconds in took)}")
    assert [entry for entry in seen if entry[0] != 200 or not entry[2]] == []
    assert {app for _, app, _ in seen[promoted : promoted + 100]} == {named("two")}
    assert {app for _, app, _ in seen[back:]} == {named("one")}
    state = world.backend.route(DEPLOYMENT, world.traffic)
    assert state is not None
    assert state.replicas[0].replica == process, "a new table must not restart the router"


def test_a_version_that_fails_its_trial_does_not_start_and_says_why(world: World) -> None:
    rows = {"rows": [{"temp": 0.1, "month": 3}]}
    app = world.app("untried", transformer=f"{TRANSFORMERS}:misspelt", trial=rows)
    world.backend.deploy(app, None)
    wait_for(lambda: world.backend.apps(DEPLOYMENT)[app.name].phase is AppPhase.FAILED, 120)
    message = world.backend.apps(DEPLOYMENT)[app.name].message
    assert "TrialFailed: KeyError: 'does_not_exist' (tests/unit/serving/models.py:" in message
    assert "row 1 of 1 that serving.trial names" in message
    world.backend.delete(app.name)


def test_why_requests_failed_is_counted_with_its_place(world: World) -> None:
    world.route({"flaky": 100}, "flaky")
    for number in range(3):
        answer = httpx.post(world.url, content=body(0.1, flight=10 * number), trust_env=False)
        assert answer.json()["error"] == {"type": "failed", "message": "the model failed (RuntimeError)"}
    (failure,) = world.failures("flaky")
    assert (failure.type, failure.message, failure.count >= 3) == ("RuntimeError", "no such plane", True)
    assert failure.where.startswith("tests/unit/serving/models.py:")
    assert failure.where.endswith(", in broken_at_random")


def test_a_route_gets_to_another_deployment_without_a_failed_request(world: World) -> None:
    world.route({"one": 100}, "one")
    path, heir = f"/{DEPLOYMENT}", f"{DEPLOYMENT}-heir"
    before = world.backend.routed(path)
    assert before is not None
    world.generation += 1
    table = RouteSpec(
        heir, path, {named("two"): 100}, named("two"), world.generation, traffic=traffic_folder(world.storage, heir)
    )

    def taken_over() -> bool:
        state = world.backend.route(heir, "")
        return state is not None and all(item.generation >= table.generation for item in state.replicas)

    with traffic(world.url) as seen:
        wait_for(lambda: len(seen) >= 50, 60)
        world.backend.set_route(table)
        wait_for(taken_over, 60)
        handed = len(seen) + 4
        assert world.backend.route(DEPLOYMENT, world.traffic) is None
        wait_for(lambda: len(seen) >= handed + 50, 60)
    print(f"{len(seen)} requests over a handover")
    assert [entry for entry in seen if entry[0] != 200] == []
    assert {app for _, app, _ in seen[handed:]} == {named("two")}
    after = world.backend.routed(path)
    assert after is not None
    assert [item.replica for item in after.replicas] == [item.replica for item in before.replicas]
    world.route({"one": 100}, "one")
    assert world.backend.route(heir, "") is None


def test_a_failing_candidate_is_shielded_and_its_errors_counted(world: World) -> None:
    world.route({"one": 50, "flaky": 50}, "one")
    since = world.counts()
    with traffic(world.url) as seen:
        wait_for(lambda: len(seen) >= 400, 60)
    assert {status for status, _, _ in seen} == {200}
    flaky, one = since("flaky"), since("one")
    print(f"{len(seen)} requests, candidate {flaky}, stable {one}")
    assert flaky.requests > 100
    assert flaky.errors == flaky.shielded
    assert 0.15 < flaky.errors / flaky.requests < 0.45
    assert one.errors == 0
    assert one.requests + flaky.requests - flaky.errors == len(seen)
    assert flaky.latency_buckets == (flaky.requests,), "those that failed took their time, too"


def test_without_a_shield_the_candidates_failure_is_the_answer(world: World) -> None:
    world.route({"one": 0, "flaky": 100}, "one", shield=False)
    answer = httpx.post(world.url, content=body(0.1, flight=1), trust_env=False)
    assert (answer.status_code, answer.headers["x-mlops-app"]) == (500, named("flaky"))
    assert answer.json()["error"]["type"] == "failed"


def test_a_candidate_that_dies_is_shielded_within_the_deadline(world: World) -> None:
    world.route({"one": 0, "deadly": 100}, "one", timeout_seconds=4.0)
    since = world.counts()
    for number in range(3):
        started = time.monotonic()
        answer = httpx.post(world.url, content=body(0.1, flight=number), trust_env=False, timeout=10)
        assert (answer.status_code, answer.headers["x-mlops-app"]) == (200, named("one"))
        assert time.monotonic() - started < 4.0
    deadly = since("deadly")
    assert (deadly.requests, deadly.errors, deadly.shielded) == (3, 3, 3)
    world.route({"one": 100}, "one")
    world.backend.delete(named("deadly"))


def test_an_app_in_the_table_that_does_not_exist_is_shielded(world: World) -> None:
    world.route({"one": 0, "never": 100}, "one")
    since = world.counts()
    answer = httpx.post(world.url, content=body(0.1), trust_env=False)
    assert (answer.status_code, answer.headers["x-mlops-app"]) == (200, named("one"))
    assert since("never").shielded == 1


def test_bad_input_names_the_field_and_is_nobodys_error(world: World) -> None:
    world.route({"one": 100}, "one")
    since = world.counts()
    with httpx.Client(trust_env=False) as client:
        wrong = client.post(world.url, content=body(0.1, "hot"))
        assert wrong.status_code == 422
        assert wrong.json()["error"]["message"].startswith("instances[1].temp must be Float64")
        huge = b'{"instances": [{"temp": 1' + b"0" * 400 + b', "month": 1}]}'
        for content in (b"{", b'{"instances": [{"temp": NaN, "month": 1}]}', huge):
            answer = client.post(world.url, content=content)
            assert (answer.status_code, answer.json()["error"]["type"]) == (400, "bad_request")
        assert client.post(world.url, content=b"x" * (8 * 1024 * 1024 + 1)).status_code == 413
        assert client.post(f"{world.url}/elsewhere", content=body(0.1)).status_code == 404
        answer = client.post(world.url, content=body(0.1), headers={"x-request-id": "mine-1"})
        assert answer.headers.get_list("x-request-id") == ["mine-1"]
        assert json.loads(client.get(world.url).content)["weights"] == {named("one"): 100}
    one = since("one")
    assert (one.requests, one.errors, one.refused, one.latency_buckets) == (1, 0, 4, (1,))


def test_overload_is_503_with_retry_after_and_passes(world: World) -> None:
    world.route({"slow": 100}, "slow", timeout_seconds=20.0)
    since = world.counts()

    def ask(number: int) -> httpx.Response:
        return httpx.post(world.url, content=body(0.1, flight=number), trust_env=False, timeout=30)

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(ask, range(24)))
    statuses = Counter(answer.status_code for answer in answers)
    print(f"24 at once: {dict(statuses)}")
    assert set(statuses) == {200, 503}
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 503)
    assert ask(99).status_code == 200
    slow = since("slow")
    assert (slow.requests, slow.errors) == (statuses[200] + 1, 0)


def test_a_full_candidate_hands_over_to_stable(world: World) -> None:
    world.route({"one": 0, "slow": 100}, "one", timeout_seconds=20.0)
    with ThreadPoolExecutor(24) as pool:
        answers = list(
            pool.map(lambda n: httpx.post(world.url, content=body(0.1), trust_env=False, timeout=30), range(24))
        )
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["x-mlops-app"] for answer in answers} == {named("one"), named("slow")}


def test_batched_requests_get_their_own_predictions(world: World) -> None:
    world.route({"one": 100}, "one", timeout_seconds=20.0)
    temps = [number / 16 for number in range(16)]

    def ask(temp: float) -> list[float]:
        answer = httpx.post(world.url, content=body(temp), trust_env=False, timeout=30)
        predictions: list[float] = answer.json()["predictions"]
        return predictions

    alone = [ask(temp) for temp in temps]
    world.route({"batched": 100}, "batched", timeout_seconds=20.0)
    ask(0.5)
    started = time.monotonic()
    ask(0.5)
    assert time.monotonic() - started > 0.5, "a request on its own waits for others to share its call"
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, temps)) == alone


def test_an_app_that_is_deleted_leaves_every_prediction_behind(world: World) -> None:
    world.route({"two": 100}, "two")
    folder = Path(prediction_folder(world.storage, DEPLOYMENT, named("two")))
    profiles = Path(profile_folder(world.storage, DEPLOYMENT, named("two")))
    for number in range(10):
        answer = httpx.post(
            world.url, content=body(0.1, flight=number), headers={"x-request-id": f"last-{number}"}, trust_env=False
        )
        assert answer.status_code == 200
    world.route({"one": 100}, "one")
    world.backend.delete(named("two"))
    wait_for(lambda: named("two") not in world.backend.apps(DEPLOYMENT), 60)
    log = pl.concat([pl.read_parquet(file) for file in folder.iterdir()])
    last = log.filter(pl.col("request_id").str.starts_with("last-"))
    assert sorted(last["request_id"]) == [f"last-{number}" for number in range(10)]
    assert sorted(last["key"]) == [str(number) for number in range(10)]
    assert {file.stem for file in profiles.iterdir()} == {file.stem for file in folder.iterdir()}
