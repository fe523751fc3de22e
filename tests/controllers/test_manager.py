"""The manager with its real threads: what is looked at, when, and what it costs when there is nothing to do."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from hypothesis import example, given
from hypothesis import strategies as st

from controllers.loop.manager import Manager
from controllers.loop.reconciler import Reconciler, Result
from controllers.revision.snapshot import Snapshot
from controllers.runtime.backoff import Backoff
from controllers.runtime.round import Round
from framework.api.errors import TransientError
from framework.api.meta import Ref
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.admission.rules import Rules
from framework.planning.grammar.changes import Desired
from framework.ports import Record
from tests.builders import desired, feature_view_spec

SPEC = feature_view_spec()
MINUTE = timedelta(minutes=1)


def view(name: str, digest: str = "d1", **more: Any) -> Desired[Any]:
    return desired(Ref("FeatureView", name), SPEC, digest=digest, **more)


def loaded(*resources: Desired[Any], commit: str = "1") -> Snapshot:
    return Snapshot(commit, commit, {item.ref: item for item in resources}, EnvironmentSpec())


@dataclass
class Source:
    """Commits as a test hands them out: what is in force, and what is to be looked at because of it."""

    ready: list[tuple[Snapshot, tuple[Ref, ...]] | Exception] = field(default_factory=list)
    loaded: Snapshot | None = None
    rules: Rules = field(default_factory=Rules)
    polls: int = 0
    problem: Exception | None = None
    unreachable: str = ""

    @property
    def desired(self) -> Any:
        return self.loaded.desired if self.loaded else {}

    def poll(self) -> tuple[Ref, ...] | None:
        self.polls += 1
        if not self.ready:
            return None
        found = self.ready.pop(0)
        if isinstance(found, Exception):
            raise found
        self.loaded = found[0]
        return found[1]


@dataclass
class Looks:
    """A reconciler that notes who is looked at and answers as a test says."""

    answer: Callable[[Ref], Result] = lambda ref: Result(ref, None)
    seen: list[Ref] = field(default_factory=list)
    reads: int = 0

    @property
    def ports(self) -> Any:
        return self

    @property
    def state(self) -> Any:
        return self

    def records(self) -> Sequence[Record]:
        self.reads += 1
        return ()

    def reconcile(self, ref: Ref, asked: Any) -> Result:
        self.seen.append(ref)
        return self.answer(ref)


def manager(
    looks: Looks,
    source: Source,
    *,
    poll: float = 0.02,
    resync: timedelta | None = None,
    steady: Callable[[], float] = time.monotonic,
) -> Manager:
    return Manager(
        cast(Reconciler, looks),
        source,
        Backoff(lambda: 1.0, timedelta(milliseconds=10), timedelta(milliseconds=20)),
        workers=2,
        poll=timedelta(seconds=poll),
        resync=resync,
        steady=steady,
    )


class Steps:
    """A manager on a clock that is set: each step comes ``seconds`` after the one before."""

    def __init__(self, looks: Looks, source: Source, **more: Any) -> None:
        self.now = 7.0
        self.manager = manager(looks, source, steady=lambda: self.now, **more)

    def go(self, seconds: float, count: int = 1) -> timedelta | None:
        for _ in range(count):
            self.now += seconds
            soonest = self.manager.step()
        return soonest


def run(made: Manager, until: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    made.run(lambda _: until() or time.monotonic() > deadline)
    assert until(), "it did not come about in time"


def test_with_ten_thousand_resources_a_poll_without_news_costs_nothing_per_resource() -> None:
    everything = loaded(*(view(f"v{number}") for number in range(10_000)))
    source, looks = Source([(everything, tuple(everything.desired))]), Looks()
    made = manager(looks, source, poll=0.005)
    run(made, lambda: made.all_seen(), 60)
    assert Counter(looks.seen).most_common(1)[0][1] == 1
    assert len(looks.seen) == 10_000
    looks.seen.clear()
    again = manager(looks, Source([(everything, ())]), poll=0.005)
    quiet = cast(Source, again._source)
    started = time.monotonic()
    run(again, lambda: quiet.polls >= 50)
    assert time.monotonic() - started < 5
    assert (looks.seen, looks.reads) == ([], 0)


def test_a_new_commit_has_only_what_it_changes_looked_at() -> None:
    a, b = view("a"), view("b")
    changed = view("b", "d2", commit="e" * 40)
    first, second = loaded(a, b), loaded(view("a", commit="e" * 40), changed, commit="2")
    source, looks = Source([(first, (a.ref, b.ref))]), Looks()
    made = manager(looks, source)
    stage = iter(["first", "second"])
    state = {"at": next(stage)}

    def done() -> bool:
        if state["at"] == "first" and made.all_seen():
            assert sorted(looks.seen) == [a.ref, b.ref]
            looks.seen.clear()
            source.ready.append((second, (b.ref,)))
            state["at"] = next(stage)
            return False
        return state["at"] == "second" and bool(looks.seen) and made.all_seen()

    run(made, done)
    assert looks.seen == [b.ref]


def test_what_an_unchanged_commit_leaves_unseen_is_seen_although_its_words_are_new() -> None:
    """A resource may be in work just when a commit comes that does not change it: that look counts."""
    a = view("a")
    first, second = loaded(a), loaded(view("a", commit="e" * 40), commit="2")
    source, started, go_on = Source([(first, (a.ref,))]), threading.Event(), threading.Event()

    def slow(ref: Ref) -> Result:
        started.set()
        assert go_on.wait(10)
        return Result(ref, None)

    made = manager(Looks(slow), source)

    def done() -> bool:
        if started.is_set() and source.loaded is first:
            source.ready.append((second, ()))
        if source.loaded is second:
            go_on.set()
        return source.loaded is second and made.all_seen()

    run(made, done)


def test_a_knock_ends_the_wait_for_the_next_poll() -> None:
    source = Source()
    made = manager(Looks(), source, poll=60)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while source.polls < 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        made.wake()
        while source.polls < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        made.stop()
        thread.join(5)
    assert not thread.is_alive(), "it does not wait out its minute"


def test_a_source_in_trouble_is_asked_again() -> None:
    a = view("a")
    source = Source([TransientError("no answer"), (loaded(a), (a.ref,))])
    made = manager(Looks(), source)
    run(made, lambda: made.all_seen())


def test_what_was_written_wakes_those_below_and_room_wakes_those_that_wait_for_it() -> None:
    above, waiting = view("above"), view("waiting")
    below = desired(Ref("TrainingJob", "below"), SPEC, upstream={above.ref: "x"})
    everything = loaded(above, waiting, below)
    seen: list[Ref] = []

    def answer(ref: Ref) -> Result:
        seen.append(ref)
        first = seen.count(ref) == 1
        if ref == above.ref:
            return Result(ref, None, timedelta(seconds=0.2) if first else None, wrote=not first, made_room=not first)
        return Result(ref, None, lacks_room=ref == waiting.ref and first)

    made = manager(Looks(answer), Source([(everything, tuple(everything.desired))]))
    run(made, lambda: Counter(seen) == {above.ref: 2, waiting.ref: 2, below.ref: 2})


def test_on_a_clock_that_is_set_the_source_is_polled_and_looks_are_made_when_they_are_due() -> None:
    a, b = view("a"), view("b")
    source, looks = Source([(loaded(a), (a.ref,))]), Looks()
    looks.answer = lambda ref: Result(ref, None, requeue_after=MINUTE if ref == a.ref else None)
    made = Steps(looks, source, poll=10.0)
    assert made.go(0.0) == MINUTE
    source.ready.append((loaded(a, b, commit="2"), (b.ref,)))
    made.go(5.0)
    assert looks.seen == [a.ref]
    made.go(6.0)
    assert looks.seen == [a.ref, b.ref]
    made.go(50.0)
    assert looks.seen == [a.ref, b.ref, a.ref]


def test_failures_are_tried_again_after_a_wait() -> None:
    a = view("a")
    looks = Looks()
    looks.answer = lambda ref: Result(ref, None, retry=len(looks.seen) < 4)
    made = Steps(looks, Source([(loaded(a), (a.ref,))]))
    waits = [made.go(0.0), made.go(0.011), made.go(0.021), made.go(0.021)]
    assert [None if wait is None else round(wait.total_seconds(), 3) for wait in waits] == [0.01, 0.02, 0.02, None]
    assert len(looks.seen) == 4


def test_what_is_changed_by_hand_is_looked_for_in_the_time_of_a_resync() -> None:
    everything = loaded(*(view(f"v{number}") for number in range(40)))
    looks = Looks()
    made = Steps(looks, Source([(everything, ())]), resync=timedelta(seconds=60))
    made.go(1.0, 30)
    assert 18 <= len(looks.seen) <= 22
    made.go(1.0, 31)
    assert set(looks.seen) == set(everything.desired)
    assert max(Counter(looks.seen).values()) <= 2


def test_what_is_looked_at_all_the_time_anyway_is_not_looked_for() -> None:
    busy, idle = view("busy"), view("idle")
    everything, looks = loaded(busy, idle), Looks()
    again = timedelta(seconds=0.05)
    looks.answer = lambda ref: Result(ref, None, requeue_after=again if ref == busy.ref else None)
    made = manager(looks, Source([(everything, (busy.ref, idle.ref))]), resync=timedelta(seconds=0.5))
    asked: list[Ref] = []
    add = made._queue.add

    def added(ref: Ref, after: timedelta = timedelta(0)) -> None:
        if not after:
            asked.append(ref)
        add(ref, after)

    made._queue.add = added  # type: ignore[method-assign]
    run(made, lambda: asked.count(idle.ref) >= 4)
    assert asked.count(busy.ref) == 1, "when it came"


# ------------------------------------------------------------------- the round


def turns(count: int, steps: Sequence[float], interval: float = 60.0, cost: float = 0.0) -> list[tuple[Ref, ...]]:
    resources = {Ref("FeatureView", f"v{number}"): None for number in range(count)}
    made, moment, found = Round(timedelta(seconds=interval), 7.0), 7.0, []
    for step in steps:
        moment += step
        found.append(made.due(resources, moment, cost))
    return found


def test_ten_thousand_are_spread_evenly_over_the_interval() -> None:
    found = turns(10_000, [1.0] * 60)
    assert max(len(turn) for turn in found) <= 10_000 / 60 + 1
    seen = Counter(ref for turn in found for ref in turn)
    assert set(seen.values()) == {1}
    assert len(seen) >= 9_999


def test_where_looks_would_take_more_than_a_tenth_of_a_core_the_round_is_longer() -> None:
    """10,000 looks of 2 ms are 20 s of CPU, a tenth of 200 s."""
    found = turns(10_000, [1.0] * 200, interval=10.0, cost=0.002)
    assert max(len(turn) for turn in found) * 0.002 <= 0.1 + 0.002
    seen = Counter(ref for turn in found for ref in turn)
    assert set(seen.values()) == {1}
    assert len(seen) >= 9_999
    assert all(len(turn) == 4 for turn in turns(40, [1.0] * 20, interval=10.0, cost=0.002)), (
        "few are looked at as asked"
    )


@example(count=1, steps=[1.0, 1.0, 1.0, 60.0, 59.0, 60.0, 59.0])
@given(count=st.integers(1, 50), steps=st.lists(st.floats(0.01, 90.0), max_size=40))
def test_everyone_comes_up_once_an_interval_however_the_turns_fall(count: int, steps: list[float]) -> None:
    found = Counter(ref for turn in turns(count, steps) for ref in turn)
    rounds = sum(min(step, 60.0) for step in steps) / 60.0
    for number in range(count):
        assert abs(found[Ref("FeatureView", f"v{number}")] - rounds) <= 2.0


def test_an_empty_environment_does_no_harm() -> None:
    assert turns(0, [1.0, 30.0]) == [(), ()]
