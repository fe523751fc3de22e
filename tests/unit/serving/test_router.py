"""The router replica over HTTP requests, with versions that are not Serve applications."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from starlette.requests import Request

from framework.workloads.serving import router
from framework.workloads.serving.router import MAX_BODY_BYTES, CounterFile, RouterReplica
from tests.unit.serving.tables import user_config


class FakeHandles:
    """Stands for Serve handles: remembers calls, and opens as slowly as told."""

    def __init__(self):
        self.calls: list[tuple[str, bytes, str]] = []
        self.release = asyncio.Event()
        self.release.set()
        self.opening: list[asyncio.Event] = []
        self.kept: list[set[str]] = []

    async def call(self, app, body, request_id):
        self.calls.append((app, body, request_id))
        await self.release.wait()
        return {"status": 200, "body": b'{"predictions": [0.5]}'}

    async def prepare(self, apps, patience):
        if self.opening:
            await self.opening.pop(0).wait()

    def forget(self, keep):
        self.kept.append(set(keep))


def request(parts=(b"{}",), *, path="/delays", method="POST", **headers):
    """An HTTP request; a part of None never arrives."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts if part is not None]
    stalled = None in parts
    received = []

    async def receive():
        if messages:
            received.append(messages[0])
            return messages.pop(0)
        if stalled:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": b"", "more_body": False}

    raw = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "/delays",
        "query_string": b"",
        "headers": raw,
        "server": ("localhost", 80),
        "scheme": "http",
    }
    made = Request(scope, receive)
    made.scope["received"] = received
    return made


def play(folder: Path, scenario, **changes):
    """Run ``scenario(replica, handles)`` on a replica that has its table."""

    async def whole():
        handles = FakeHandles()
        replica = RouterReplica("delay", str(folder), handles)
        await replica.reconfigure(user_config(**changes))
        try:
            await scenario(replica, handles)
        finally:
            replica.__del__()

    asyncio.run(asyncio.wait_for(whole(), 20))


def written(folder: Path):
    (file,) = folder.glob("*.json")
    return json.loads(file.read_text())


def error_of(response):
    return json.loads(response.body)["error"]


@pytest.mark.parametrize("path", ["/delays", "/delays/"])
def test_an_answer_says_who_gave_it(tmp_path, path):
    async def scenario(replica, handles):
        response = await replica(request([b'{"inst', b'ances": []}'], path=path))
        assert (response.status_code, response.body) == (200, b'{"predictions": [0.5]}')
        assert response.headers["x-mlops-app"] == "stable"
        assert response.headers["content-type"] == "application/json"
        assert handles.calls[0][:2] == ("stable", b'{"instances": []}')

    play(tmp_path, scenario, weights={"stable": 100})


@pytest.mark.parametrize(
    ("given", "seen"), [("mine-1", "mine-1"), ("", None), ("a b", None), ("\xe4", None), ("x" * 129, None)]
)
def test_versions_see_the_callers_request_id_unless_it_is_odd(tmp_path, given, seen):
    async def scenario(replica, handles):
        response = await replica(request(x_request_id=given))
        assert "x-request-id" not in response.headers, "Serve's middleware adds it: it would be there twice"
        (_, _, request_id), *_ = handles.calls
        assert request_id == seen if seen else len(request_id) == 32

    play(tmp_path, scenario)


@pytest.mark.parametrize("late", [{"generation": 4}, {"generation": 5}, {"generation": 1, "stable": "candidate"}])
def test_a_table_from_before_the_one_in_force_is_left_alone(tmp_path, late):
    async def scenario(replica, handles):
        await replica.reconfigure(user_config(weights={"stable": 10, "candidate": 90}, **late))
        shown = json.loads((await replica(request(method="GET"))).body)
        assert (shown["generation"], shown["weights"]) == (5, {"stable": 100})
        await replica.reconfigure(user_config(generation=6))
        assert json.loads((await replica(request(method="GET"))).body)["generation"] == 6

    play(tmp_path, scenario, weights={"stable": 100}, generation=5)


def test_callers_see_names_without_the_environment(tmp_path):
    async def scenario(replica, handles):
        response = await replica(request())
        assert response.headers["x-mlops-app"] == "delay-1"
        assert handles.calls[0][0] == "prod_delay-1"
        shown = json.loads((await replica(request(method="GET"))).body)
        assert (shown["stable"], shown["weights"]) == ("delay-1", {"delay-1": 100})

    play(tmp_path, scenario, weights={"prod_delay-1": 100}, stable="prod_delay-1")


def test_get_shows_the_table(tmp_path):
    async def scenario(replica, handles):
        response = await replica(request(method="GET"))
        assert json.loads(response.body) == {
            "deployment": "delay",
            "generation": 1,
            "stable": "stable",
            "weights": {"stable": 90, "candidate": 10},
        }

    play(tmp_path, scenario)


@pytest.mark.parametrize(("method", "path", "status"), [("DELETE", "/delays", 405), ("POST", "/delays/x", 404)])
def test_what_is_not_served_is_said(tmp_path, method, path, status):
    async def scenario(replica, handles):
        response = await replica(request(method=method, path=path))
        assert response.status_code == status
        assert error_of(response)["type"] in ("not_found", "method_not_allowed")
        assert handles.calls == []

    play(tmp_path, scenario)


@pytest.mark.parametrize("declared", [str(MAX_BODY_BYTES + 1), "9" * 5000, "-1", "many"])
def test_a_body_declared_too_large_is_refused_unread(tmp_path, declared):
    async def scenario(replica, handles):
        sent = request(content_length=declared)
        assert (await replica(sent)).status_code == 413
        assert sent.scope["received"] == []
        assert handles.calls == []

    play(tmp_path, scenario)


def test_a_body_that_grows_too_large_is_refused_while_it_is_read(tmp_path):
    async def scenario(replica, handles):
        sent = request([b"x" * (MAX_BODY_BYTES // 2)] * 10)
        assert (await replica(sent)).status_code == 413
        assert len(sent.scope["received"]) == 3
        fits = request([b"x" * MAX_BODY_BYTES])
        assert (await replica(fits)).status_code == 200

    play(tmp_path, scenario, timeout_seconds=5)


def test_a_body_that_does_not_arrive_is_no_versions_fault(tmp_path):
    async def scenario(replica, handles):
        response = await replica(request([b"{", None]))
        assert (response.status_code, error_of(response)["type"]) == (408, "timeout")
        assert handles.calls == []
        assert (await replica(request())).status_code == 200, "its place is free again"

    play(tmp_path, scenario, max_queued=1)
    assert sum(version["requests"] for version in written(tmp_path)["versions"].values()) == 1


def test_the_deadline_starts_when_the_body_is_there(tmp_path):
    async def scenario(replica, handles):
        slow = request()
        receive, handles.release = slow._receive, asyncio.Event()

        async def slowly():
            await asyncio.sleep(0.2)
            return await receive()

        slow._receive = slowly
        asking = asyncio.create_task(replica(slow))
        await asyncio.sleep(0.4)
        handles.release.set()
        assert (await asking).status_code == 200

    play(tmp_path, scenario, timeout_seconds=0.5, weights={"stable": 100})


def test_more_than_max_queued_gets_503_with_retry_after(tmp_path):
    async def scenario(replica, handles):
        handles.release = asyncio.Event()
        first = asyncio.create_task(replica(request()))
        await asyncio.sleep(0.01)
        response = await replica(request())
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert error_of(response)["type"] == "overloaded"
        handles.release.set()
        assert (await first).status_code == 200

    play(tmp_path, scenario, max_queued=1, timeout_seconds=5)


def test_a_bad_table_leaves_the_one_before_in_force(tmp_path):
    async def scenario(replica, handles):
        with pytest.raises(ValueError, match="stable 'gone'"):
            await replica.reconfigure(user_config(generation=2, stable="gone"))
        assert (await replica(request())).status_code == 200
        assert written(tmp_path)["generation"] == 1

    play(tmp_path, scenario)


def test_an_older_table_that_opens_slowly_never_replaces_a_newer_one(tmp_path):
    async def scenario(replica, handles):
        handles.opening = [slow, fast] = [asyncio.Event(), asyncio.Event()]
        fast.set()
        older = asyncio.create_task(replica.reconfigure(user_config(generation=2)))
        await asyncio.sleep(0)
        newer = asyncio.create_task(replica.reconfigure(user_config(generation=3, weights={"stable": 100})))
        await asyncio.sleep(0.05)
        slow.set()
        await asyncio.gather(older, newer)
        assert json.loads((await replica(request(method="GET"))).body)["generation"] == 3
        assert handles.kept[-1] == {"stable"}

    play(tmp_path, scenario)


def test_the_counters_are_written_with_the_table_and_soon_after_a_change(tmp_path, monkeypatch):
    monkeypatch.setattr(router, "WRITE_SECONDS", 0.02)

    async def scenario(replica, handles):
        assert (written(tmp_path)["generation"], written(tmp_path)["versions"]) == (1, {})
        await replica(request())
        await asyncio.sleep(0.2)
        assert sum(version["requests"] for version in written(tmp_path)["versions"].values()) == 1
        await replica.reconfigure(user_config(generation=2))
        assert written(tmp_path)["generation"] == 2

    play(tmp_path, scenario)


def test_an_old_request_that_ends_is_an_acknowledgement_soon_written(tmp_path, monkeypatch):
    monkeypatch.setattr(router, "WRITE_SECONDS", 0.02)

    async def scenario(replica, handles):
        handles.release = asyncio.Event()
        old = asyncio.create_task(replica(request()))
        await asyncio.sleep(0.01)
        await replica.reconfigure(user_config(generation=2, weights={"next": 100}, stable="next", timeout_seconds=5))
        await asyncio.sleep(0.1)
        assert written(tmp_path)["generation"] == 1
        handles.release.set()
        await old
        await asyncio.sleep(0.1)
        assert written(tmp_path)["generation"] == 2

    play(tmp_path, scenario, timeout_seconds=5)


def test_an_idle_replica_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(router, "WRITE_SECONDS", 0.02)
    monkeypatch.setattr(router, "IDLE_WRITE_SECONDS", 0.1)

    async def scenario(replica, handles):
        first = written(tmp_path)["written"]
        await asyncio.sleep(0.3)
        assert written(tmp_path)["written"] > first

    play(tmp_path, scenario)


def test_the_last_counts_are_written_at_an_orderly_stop(tmp_path):
    async def scenario(replica, handles):
        await replica(request())
        assert written(tmp_path)["versions"] == {}

    play(tmp_path, scenario)
    assert sum(version["requests"] for version in written(tmp_path)["versions"].values()) == 1


def test_a_full_disk_stops_no_traffic_and_the_counts_catch_up(tmp_path, monkeypatch):
    monkeypatch.setattr(router, "WRITE_SECONDS", 0.02)
    write = router.write_json

    def full(uri, value):
        raise OSError("no space left on device")

    async def scenario(replica, handles):
        monkeypatch.setattr(router, "write_json", full)
        assert (await replica(request())).status_code == 200
        await asyncio.sleep(0.1)
        assert written(tmp_path)["versions"] == {}
        monkeypatch.setattr(router, "write_json", write)
        await asyncio.sleep(0.1)
        assert sum(version["requests"] for version in written(tmp_path)["versions"].values()) == 1

    play(tmp_path, scenario)


def test_an_older_snapshot_never_replaces_a_newer_one(tmp_path):
    file = CounterFile(f"{tmp_path}/1-1.json")
    assert file.write(2, {"value": "new"})
    assert file.write(1, {"value": "old"})
    assert written(tmp_path) == {"value": "new"}
