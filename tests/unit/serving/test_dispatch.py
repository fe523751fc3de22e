"""One request in the router: choice, shield, deadline, counts, acknowledgement."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime

import pytest

from framework.ports import LATENCY_BOUNDS
from framework.workloads.serving.counters import Counters
from framework.workloads.serving.dispatch import Dispatcher, OverloadedError, Reply
from tests.unit.serving.tables import table

TO_CANDIDATE, TO_STABLE = 0.0, 0.999
BAD = {"type": "BadRequest", "message": "x is missing; Int8 is required", "where": ""}
KEY_ERROR = {"type": "KeyError", "message": "'x'", "where": "serving.py:3, in tidy"}
VALUE_ERROR = {"type": "ValueError", "message": "no", "where": "serving.py:9, in tidy"}


class World:
    """Apps that behave as told, and the dispatcher in front of them."""

    def __init__(self, **behaviour):
        self.behaviour = behaviour
        self.calls: list[str] = []
        self.release = asyncio.Event()
        self.counters = Counters()
        self.dispatcher = Dispatcher(self.call, self.counters)
        self.dispatcher.apply(table())

    async def call(self, app, body, request_id):
        self.calls.append(app)
        kind = self.behaviour.get(app, "fine")
        if kind == "broken":
            raise ValueError("a secret of the model")
        if kind == "gone":
            raise ConnectionError("no such app")
        if kind == "full":
            raise OverloadedError
        if kind == "hanging":
            await asyncio.sleep(60)
        if kind == "waiting":
            await self.release.wait()
        if isinstance(kind, int):
            return {"status": kind, "body": b'{"error": {}}', "failure": BAD}
        if isinstance(kind, dict):
            return {"status": 500, "body": b"", "failure": kind}
        return {"status": 200, "body": body}

    async def ask(self, draw=TO_STABLE, seconds=0.2) -> Reply:
        with self.dispatcher.admit():
            return await self.dispatcher.answer(b"{}", {}, "id", time.monotonic() + seconds, draw)

    def counts(self, app):
        versions = self.counters.snapshot("1-1", 1, datetime.now(UTC))["versions"]
        found = versions.get(app)
        return found and (found["requests"], found["errors"], found["shielded"], sum(found["latency_buckets"]))

    def refused(self, app):
        return self.counters.snapshot("1-1", 1, datetime.now(UTC))["versions"][app]["refused"]

    def failures(self, app):
        found = self.counters.snapshot("1-1", 1, datetime.now(UTC))["versions"][app]["failures"]
        return [(failure["type"], failure["message"], failure["count"]) for failure in found]

    def seconds(self, app):
        """Where in the latencies its requests lie: the upper bounds of their buckets."""
        buckets = self.counters.snapshot("1-1", 1, datetime.now(UTC))["versions"][app]["latency_buckets"]
        return [LATENCY_BOUNDS[index] for index, count in enumerate(buckets) for _ in range(count)]


def run(scenario):
    return asyncio.run(asyncio.wait_for(scenario(), 10))


def error_of(answer):
    return json.loads(answer.body)["error"]


def test_nothing_is_admitted_before_the_first_table():
    dispatcher = Dispatcher(World().call, Counters())
    with pytest.raises(OverloadedError), dispatcher.admit():
        pass


def test_an_answer_is_counted_and_timed():
    async def scenario():
        world = World()
        answer = await world.ask(TO_CANDIDATE)
        assert (answer.status, answer.app, answer.retry_after) == (200, "candidate", None)
        assert world.counts("candidate") == (1, 0, 0, 1)
        assert world.calls == ["candidate"]

    run(scenario)


@pytest.mark.parametrize("kind", ["broken", "hanging", "gone", 500, 503])
def test_a_failing_candidate_is_shielded_and_counted(kind):
    async def scenario():
        world = World(candidate=kind)
        started = time.monotonic()
        answer = await world.ask(TO_CANDIDATE)
        assert (answer.status, answer.app) == (200, "stable")
        assert time.monotonic() - started < 0.2
        assert world.counts("candidate") == (1, 1, 1, 1)
        assert world.counts("stable") == (1, 0, 0, 1)

    run(scenario)


def test_stable_answers_within_the_same_deadline():
    async def scenario():
        world = World(candidate="hanging", stable="hanging")
        started = time.monotonic()
        answer = await world.ask(TO_CANDIDATE, seconds=0.3)
        assert 0.28 < time.monotonic() - started < 0.6
        assert answer.status == 504

    run(scenario)


def test_when_stable_fails_too_nothing_was_shielded():
    async def scenario():
        world = World(candidate="broken", stable="broken")
        answer = await world.ask(TO_CANDIDATE)
        assert (answer.status, answer.app) == (500, "stable")
        assert world.counts("candidate") == (1, 1, 0, 1)
        assert world.counts("stable") == (1, 1, 0, 1)

    run(scenario)


@pytest.mark.parametrize(("kind", "status"), [("broken", 500), ("hanging", 504), (503, 503)])
def test_without_a_shield_the_failure_is_the_answer(kind, status):
    async def scenario():
        world = World(candidate=kind)
        world.dispatcher.apply(table(shield=False))
        answer = await world.ask(TO_CANDIDATE)
        assert (answer.status, answer.app, answer.retry_after) == (status, "candidate", None)
        assert world.calls == ["candidate"]
        assert world.counts("candidate") == (1, 1, 0, 1)

    run(scenario)


def test_a_failure_counts_with_the_time_that_it_took_and_a_timeout_with_all_of_it():
    async def scenario():
        world = World(candidate="hanging", stable="hanging")
        await world.ask(TO_CANDIDATE, seconds=0.1)
        assert world.seconds("candidate")[0] >= table().timeout_seconds, "the half that a shield leaves it is no answer"
        assert world.seconds("stable")[0] >= table().timeout_seconds
        world = World(candidate=KEY_ERROR)
        await world.ask(TO_CANDIDATE)
        assert world.seconds("candidate")[0] < 0.1

    run(scenario)


def test_an_error_names_its_kind_but_not_what_the_model_said():
    async def scenario():
        answer = await World(stable="broken").ask()
        assert error_of(answer) == {"type": "failed", "message": "the model failed (ValueError)"}
        answer = await World(stable="hanging").ask()
        assert error_of(answer) == {"type": "timeout", "message": "no answer within 0.2 s"}

    run(scenario)


@pytest.mark.parametrize("status", [400, 404, 422, 499])
def test_what_the_candidate_refuses_and_stable_answers_is_the_candidates_failure(status):
    async def scenario():
        world = World(candidate=status)
        answer = await world.ask(TO_CANDIDATE)
        assert (answer.status, answer.app, world.calls) == (200, "stable", ["candidate", "stable"])
        assert world.counts("candidate") == (1, 1, 1, 1)
        assert world.failures("candidate") == [("Refused", BAD["message"], 1)]
        assert (world.refused("candidate"), world.counts("stable")) == (0, (1, 0, 0, 1))

    run(scenario)


@pytest.mark.parametrize("candidate", [422, KEY_ERROR, "broken", "hanging"])
def test_what_stable_refuses_as_well_is_the_callers_mistake_and_nobodys_request(candidate):
    async def scenario():
        world = World(candidate=candidate, stable=422)
        answer = await world.ask(TO_CANDIDATE)
        assert (answer.status, answer.app) == (422, "stable")
        assert world.counts("candidate") == world.counts("stable") == (0, 0, 0, 0)
        assert (world.refused("candidate"), world.refused("stable")) == (1, 1)

    run(scenario)


def test_stable_refusing_alone_counts_as_no_request():
    async def scenario():
        world = World(stable=422)
        assert (await world.ask()).status == 422
        assert (world.counts("stable"), world.refused("stable")) == ((0, 0, 0, 0), 1)

    run(scenario)


def test_a_request_that_both_fail_on_in_the_same_way_does_not_speak_against_the_candidate():
    async def scenario():
        world = World(candidate=KEY_ERROR, stable={**KEY_ERROR, "message": "'y'"})
        answer = await world.ask(TO_CANDIDATE)
        assert (answer.status, error_of(answer)["message"]) == (500, "the model failed (KeyError)")
        assert world.counts("candidate") is None
        assert world.counts("stable") == (1, 1, 0, 1)

    run(scenario)


@pytest.mark.parametrize("stable", [VALUE_ERROR, "gone", "hanging", 500])
def test_a_request_that_both_fail_on_in_other_ways_does(stable):
    async def scenario():
        world = World(candidate=KEY_ERROR, stable=stable)
        assert (await world.ask(TO_CANDIDATE)).status >= 500
        assert world.counts("candidate") == (1, 1, 0, 1)
        assert world.failures("candidate") == [("KeyError", "'x'", 1)]

    run(scenario)


def test_what_the_candidate_refuses_while_stable_has_no_room_is_left_open():
    async def scenario():
        world = World(candidate=422, stable="full")
        answer = await world.ask(TO_CANDIDATE)
        assert (answer.status, answer.retry_after) == (503, 1)
        assert (world.counts("candidate"), world.refused("candidate")) == ((0, 0, 0, 0), 1)

    run(scenario)


def test_without_a_shield_a_refusal_is_the_answer_and_counts_apart():
    async def scenario():
        world = World(candidate=422)
        world.dispatcher.apply(table(shield=False))
        answer = await world.ask(TO_CANDIDATE)
        assert (answer.status, answer.app, world.calls) == (422, "candidate", ["candidate"])
        assert (world.counts("candidate"), world.refused("candidate")) == ((0, 0, 0, 0), 1)
        assert world.failures("candidate") == [("BadRequest", BAD["message"], 1)]

    run(scenario)


def test_a_caller_that_hangs_up_while_stable_is_asked_does_not_undo_the_candidates_failure():
    async def scenario():
        world = World(candidate=KEY_ERROR, stable="waiting")
        asked = asyncio.create_task(world.ask(TO_CANDIDATE, seconds=5))
        await asyncio.sleep(0.01)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert world.counts("candidate") == (1, 1, 0, 1)

    run(scenario)


@pytest.mark.parametrize("shield", [True, False])
def test_a_full_candidate_hands_over_to_stable_without_an_error(shield):
    async def scenario():
        world = World(candidate="full")
        world.dispatcher.apply(table(shield=shield))
        answer = await world.ask(TO_CANDIDATE)
        assert (answer.status, answer.app) == (200, "stable")
        assert world.counts("candidate") is None
        assert world.counts("stable") == (1, 0, 0, 1)

    run(scenario)


def test_overload_of_both_is_503_with_retry_after_and_counts_for_nobody():
    async def scenario():
        world = World(candidate="full", stable="full")
        for draw, calls in ((TO_CANDIDATE, ["candidate", "stable"]), (TO_STABLE, ["stable"])):
            world.calls.clear()
            answer = await world.ask(draw)
            assert (answer.status, answer.retry_after, error_of(answer)["type"]) == (503, 1, "overloaded")
            assert world.calls == calls
        assert world.counts("candidate") is None
        assert world.counts("stable") is None

    run(scenario)


def test_more_than_max_queued_in_flight_is_refused():
    async def scenario():
        world = World(stable="waiting")
        world.dispatcher.apply(table(max_queued=2))
        waiting = [asyncio.create_task(world.ask(seconds=5)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await world.ask()
        world.release.set()
        assert [answer.status for answer in await asyncio.gather(*waiting)] == [200, 200]
        assert (await world.ask()).status == 200

    run(scenario)


def test_a_generation_is_acknowledged_when_the_last_old_request_has_ended():
    async def scenario():
        world = World(candidate="waiting")
        assert world.dispatcher.acknowledged == 1
        old = asyncio.create_task(world.ask(TO_CANDIDATE, seconds=5))
        await asyncio.sleep(0)
        world.dispatcher.apply(table(generation=2, weights={"stable": 100}))
        assert world.dispatcher.acknowledged == 1
        assert (await world.ask(TO_CANDIDATE)).app == "stable"
        assert world.dispatcher.acknowledged == 1, "a request on the new table says nothing about the old one"
        world.release.set()
        assert (await old).app == "candidate"
        assert world.dispatcher.acknowledged == 2

    run(scenario)


def test_the_old_stable_is_in_use_while_a_request_may_still_fall_back_on_it():
    async def scenario():
        world = World(candidate="waiting")
        old = asyncio.create_task(world.ask(TO_CANDIDATE, seconds=5))
        await asyncio.sleep(0)
        world.dispatcher.apply(table(generation=2, weights={"candidate": 100}, stable="candidate"))
        assert world.dispatcher.acknowledged == 1
        world.release.set()
        await old
        assert world.dispatcher.acknowledged == 2

    run(scenario)


def test_a_change_of_weights_alone_is_acknowledged_at_once():
    async def scenario():
        world = World(candidate="waiting")
        old = asyncio.create_task(world.ask(TO_CANDIDATE, seconds=5))
        await asyncio.sleep(0)
        world.dispatcher.apply(table(generation=2, weights={"stable": 50, "candidate": 50}))
        assert world.dispatcher.acknowledged == 2
        world.release.set()
        await old

    run(scenario)


def test_a_caller_that_hangs_up_leaves_nothing_in_flight():
    async def scenario():
        world = World(candidate="waiting")
        world.dispatcher.apply(table(max_queued=1))
        gone = asyncio.create_task(world.ask(TO_CANDIDATE, seconds=5))
        await asyncio.sleep(0)
        world.dispatcher.apply(table(generation=2, weights={"stable": 100}, max_queued=1))
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert world.dispatcher.acknowledged == 2
        assert (await world.ask()).status == 200
        assert world.counts("candidate") is None

    run(scenario)
