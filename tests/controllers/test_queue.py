import threading
from datetime import timedelta
from queue import Queue

from controllers.runtime.queue import WorkQueue
from framework.api.meta import Ref

A, B = Ref("FeatureView", "a"), Ref("FeatureView", "b")
NOTHING = timedelta(0)


class Clock:
    def __init__(self) -> None:
        self.now = 7.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def test_due_work_comes_out_once_however_often_it_was_added() -> None:
    queue = WorkQueue(Clock())
    for _ in range(3):
        queue.add(A)
    assert queue.take(NOTHING) == A
    queue.done(A)
    assert queue.take(NOTHING) is None


def test_of_what_is_due_at_once_the_first_that_was_added_goes_first() -> None:
    queue = WorkQueue(Clock())
    for ref in (B, A):
        queue.add(ref)
    assert [queue.take(NOTHING), queue.take(NOTHING)] == [B, A]


def test_it_says_how_long_nothing_is_due() -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    assert queue.next_in() is None
    queue.add(A, timedelta(seconds=10))
    clock.advance(4)
    assert queue.next_in() == timedelta(seconds=6)
    clock.advance(7)
    assert queue.next_in() == NOTHING


def test_delayed_work_waits_and_an_earlier_wish_wins() -> None:
    clock = Clock()
    queue = WorkQueue(clock)
    queue.add(A, timedelta(seconds=10))
    queue.add(A, timedelta(seconds=60))
    clock.advance(9)
    assert queue.take(NOTHING) is None
    clock.advance(1)
    assert queue.take(NOTHING) == A


def test_one_resource_is_never_worked_on_twice_at_a_time_and_nothing_added_meanwhile_is_lost() -> None:
    queue = WorkQueue(Clock())
    queue.add(A)
    assert queue.take(NOTHING) == A
    queue.add(A)
    queue.add(B)
    assert queue.take(NOTHING) == B
    assert queue.take(NOTHING) is None
    queue.done(A)
    assert queue.take(NOTHING) == A


def test_closing_wakes_those_who_wait() -> None:
    queue = WorkQueue(Clock())
    found: list[Ref | None] = []
    thread = threading.Thread(target=lambda: found.append(queue.take(timedelta(hours=1))))
    thread.start()
    queue.close()
    thread.join(5)
    assert found == [None]


def test_many_waiters_share_what_is_due_and_none_sleeps_while_something_is() -> None:
    """Each of four waits for one; all that is added is taken by somebody at once, whichever of them was woken."""
    queue, taken = WorkQueue(), Queue[Ref | None]()

    def wait() -> None:
        taken.put(queue.take(timedelta(seconds=20)))

    waiters = [threading.Thread(target=wait, daemon=True) for _ in range(4)]
    for waiter in waiters:
        waiter.start()
    names = [Ref("FeatureView", f"v{number}") for number in range(4)]
    queue.add(names[0], timedelta(seconds=0.05))
    queue.add(names[1], timedelta(seconds=0.1))
    queue.add(names[2])
    queue.add(names[3])
    assert sorted(filter(None, (taken.get(timeout=10) for _ in names))) == names
