"""What a controller says of itself: when everything was looked at, what is wrong, and that it has ended."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from controllers.commands.project import Project
from controllers.host.heartbeat import Beats, looks_of
from controllers.host.passes import lead
from controllers.runtime.looks import MOST_LATE, Ages, Looks
from controllers.runtime.pulse import Pulse
from framework.api.errors import ConflictError, SpecError, TransientError
from framework.api.meta import Ref
from framework.ports import Heartbeat, Outage
from tests.builders import NOW
from tests.controllers.test_passes import MINUTE, NoCluster, at_work, project, real_time, world
from tests.waiting import until
from tests.world import ENDPOINT, JOB, TRAINING, VIEW, World

__all__ = ["world"]

REFS = tuple(Ref("FeatureView", f"v{number:02}") for number in range(30))


@dataclass
class Stopwatch:
    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Clock:
    """Looks with the time in a test's hand."""

    watch: Stopwatch = field(default_factory=Stopwatch)

    def looks(self, before: Ages | None = None) -> Looks:
        return Looks(self.watch, timedelta(seconds=10), before)

    def see(self, looks: Looks, *refs: Ref, then: float = 0.0) -> None:
        for ref in refs:
            looks.saw(ref)
        self.watch.seconds += then


# ------------------------------------------------------------------- looks


def test_the_oldest_look_is_that_of_everything() -> None:
    clock = Clock()
    looks = clock.looks()
    clock.see(looks, *REFS[:10], then=4)
    clock.see(looks, *REFS[10:], then=1)
    assert looks.ages(REFS) == Ages(5.0, {}, 5.0)
    clock.see(looks, *REFS[:10])
    assert looks.ages(REFS).rest == 1.0


def test_the_few_that_are_late_are_named_and_the_others_are_not_judged_by_them() -> None:
    clock = Clock()
    looks = clock.looks()
    clock.see(looks, *REFS, then=1)
    assert looks.ages(REFS) == Ages(1.0, {}, 1.0)
    clock.watch.seconds += 99
    clock.see(looks, *REFS[2:], then=3)
    assert looks.ages(REFS).late == {REFS[0]: 103.0, REFS[1]: 103.0}
    assert looks.ages(REFS).rest == 3.0


def test_where_many_are_late_all_of_them_count() -> None:
    clock = Clock()
    looks = clock.looks()
    clock.see(looks, *REFS, then=1)
    looks.ages(REFS)
    clock.watch.seconds += 99
    found = looks.ages(REFS)
    assert (found.rest, len(found.late)) == (100.0, MOST_LATE)


def test_what_was_never_looked_at_is_so_old_that_it_comes_first() -> None:
    clock = Clock()
    looks = clock.looks()
    clock.see(looks, *REFS[1:], then=2)
    assert looks.ages(REFS) == Ages(2.0, {REFS[0]: None}, 0.0)
    assert clock.looks().ages(REFS).rest is None, "more than can be named"


def test_what_is_not_asked_for_any_more_counts_no_more() -> None:
    clock = Clock()
    looks = clock.looks()
    clock.see(looks, *REFS, then=50)
    clock.see(looks, *REFS[1:], then=1)
    assert looks.ages(REFS[1:]) == Ages(1.0, {}, 51.0)
    assert looks.ages(REFS).late == {REFS[0]: None}, "it is new when it comes back"
    assert looks.ages(()) == Ages(0.0, {}, 51.0)


def test_what_the_controller_before_looked_at_counts_until_it_is_looked_at_anew() -> None:
    clock = Clock()
    looks = clock.looks(Ages(3.0, {REFS[0]: 40.0, REFS[1]: None}))
    clock.watch.seconds += 2
    clock.see(looks, REFS[2], then=1)
    assert looks.ages(REFS[:4]) == Ages(6.0, {REFS[0]: 43.0, REFS[1]: None}, 0.0)


def test_a_round_takes_as_long_as_it_takes_to_come_by_everything() -> None:
    clock = Clock()
    looks = clock.looks()
    for _ in range(3):
        for ref in REFS:
            clock.see(looks, ref, then=2)
        found = looks.ages(REFS)
    assert found.round == 60.0
    assert found.late == {}, "two rounds of such a length are not over"


# ------------------------------------------------------------------- pulse


def test_a_pulse_is_felt_at_once_and_last_when_it_ends() -> None:
    said: list[bool] = []
    first = threading.Event()

    def say(last: bool) -> None:
        said.append(last)
        first.set()

    with Pulse(say, seconds=3600):
        assert first.wait(10)
    assert said == [False, True]


@pytest.mark.parametrize("error", [TransientError("locked"), ValueError("a bug"), ConflictError("another leads")])
def test_a_pulse_goes_on_whatever_goes_wrong_and_says_so_once(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    calls = threading.Semaphore(0)

    def say(last: bool) -> None:
        calls.release()
        raise error

    with Pulse(say, seconds=0.001):
        assert all(calls.acquire(timeout=10) for _ in range(5))
    told = [record for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == (0 if isinstance(error, ConflictError) else 1)


# ------------------------------------------------------------------- what is said


def last(world: World) -> Heartbeat:
    found = world.ports.state.heartbeat()
    assert found is not None
    return found


def test_a_pass_says_that_it_has_ended_and_when_everything_was_looked_at(world: World) -> None:
    began = real_time()
    lead(project(world), wait=True, timeout=MINUTE, listen=lambda result: None)
    beat = last(world)
    assert beat.ended is not None
    assert beat.ended == beat.time >= beat.started >= began
    assert beat.late == {}
    assert beat.seen is not None
    assert began <= beat.seen <= beat.ended
    assert (beat.commit, beat.newest, beat.note) == (world.head, world.head, "")
    assert (beat.source, beat.cluster, beat.loop) == (None, None, None)


def test_a_pass_writes_no_heartbeat_for_a_look(world: World) -> None:
    """What a converged pass writes does not grow with what there is."""
    lead(project(world), wait=True, timeout=MINUTE, listen=lambda result: None)
    world.ports.calls.clear()
    lead(project(world), wait=True, timeout=MINUTE, listen=lambda result: None)
    assert [call for call in world.ports.calls.made if call.verb.startswith("state.")] == []


def test_a_controller_at_work_is_heard_of_until_it_ends(world: World) -> None:
    with at_work(project(world, "controller")):
        until(lambda: world.ports.state.heartbeat() is not None)
        beat = last(world)
        assert (beat.holder, beat.ended) == ("controller", None)
    assert last(world).ended is not None


def test_a_commit_that_is_wrong_is_told_although_nothing_is_in_force(world: World) -> None:
    wrong = world.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    with pytest.raises(SpecError):
        lead(project(world), wait=True, timeout=MINUTE, listen=lambda result: None)
    beat = last(world)
    assert (beat.newest, beat.commit) == (wrong, "")
    assert "ruonds" in beat.note


@dataclass
class Broken(NoCluster):
    message: str = ""

    def trouble(self) -> str:
        return self.message


def beats(made: Project, world: World) -> Beats:
    from controllers.host import passes

    manager, source = passes._manager(made, made.leadership(), poll=MINUTE, listen=lambda result: None)
    return Beats(made, manager, source, lambda: world.token)


def test_an_outage_lasts_from_when_it_was_first_seen_whatever_it_says_of_itself() -> None:
    world, cluster, now = World(), Broken("no answer"), [NOW]
    made = replace(project(world), cluster=cluster, clock=lambda: now[0])
    say = beats(made, world)
    say(False)
    now[0] += MINUTE
    cluster.message = "connection refused"
    say(False)
    assert last(world).cluster == Outage(since=NOW, message="connection refused")
    cluster.message = ""
    say(False)
    assert last(world).cluster is None
    cluster.message = "no answer"
    say(False)
    assert last(world).cluster == Outage(since=NOW + MINUTE, message="no answer")


def test_what_the_last_controller_looked_at_is_taken_over_and_what_cannot_be_true_is_not() -> None:
    world = World()
    made = replace(project(world), clock=lambda: NOW)
    assert looks_of(made).ages([VIEW]).late == {VIEW: None}, "there was none"
    left = Heartbeat(
        holder="a",
        started=NOW,
        time=NOW,
        every=5,
        resync=10,
        seen=NOW - timedelta(seconds=7),
        late={str(JOB): NOW - timedelta(hours=1), str(ENDPOINT): NOW + timedelta(days=365), "junk": None},
    )
    world.ports.state.beat(left, world.token)
    found = looks_of(made).ages([VIEW, JOB, ENDPOINT])
    assert found.rest == pytest.approx(7.0, abs=1)
    assert found.late[JOB] == pytest.approx(3600.0, abs=1)
    assert found.late[ENDPOINT] is None
