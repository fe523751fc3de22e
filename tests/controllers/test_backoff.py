from datetime import timedelta

from controllers.runtime.backoff import Backoff
from framework.api.meta import Ref

A, B = Ref("FeatureView", "a"), Ref("FeatureView", "b")


def test_waits_double_up_to_a_bound_and_success_starts_over() -> None:
    backoff = Backoff(lambda: 1.0, timedelta(seconds=1), timedelta(seconds=5))
    assert [backoff.failed(A).total_seconds() for _ in range(5)] == [1, 2, 4, 5, 5]
    assert backoff.failed(B).total_seconds() == 1
    backoff.succeeded(A)
    assert backoff.failed(A).total_seconds() == 1


def test_jitter_spreads_over_the_upper_half() -> None:
    assert Backoff(lambda: 0.0, timedelta(seconds=4)).failed(A) == timedelta(seconds=2)


def test_a_thousand_failures_do_not_overflow() -> None:
    backoff = Backoff(lambda: 1.0)
    for _ in range(1000):
        longest = backoff.failed(A)
    assert longest == timedelta(minutes=1)
