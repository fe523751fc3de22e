"""A run that reports is never lost, whatever the clocks say, and one that does not is, sooner or later."""

from __future__ import annotations

from datetime import datetime, timedelta

from framework.backends.ray.silence import CONFIRMED_SECONDS, Silence
from tests.builders import NOW

LIMIT = timedelta(minutes=10)


class Watch:
    def __init__(self) -> None:
        self.wall, self.seconds = NOW, 0.0
        self.silence = Silence(LIMIT, lambda: self.wall, lambda: self.seconds)

    def pass_(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.seconds += seconds

    def lost(self, heard: datetime, report: object = None) -> bool:
        return heard < self.silence.since("run-1", {"time": heard.isoformat(), "report": report})


def test_one_that_has_been_silent_is_lost_once_that_is_certain() -> None:
    watch = Watch()
    heard = NOW - timedelta(minutes=11)
    assert not watch.lost(heard), "it may report any moment"
    watch.pass_(CONFIRMED_SECONDS)
    assert watch.lost(heard)


def test_one_that_reported_lately_has_all_the_time() -> None:
    watch = Watch()
    for _ in range(9):
        watch.pass_(60.0)
        assert not watch.lost(NOW)
    watch.pass_(120.0)
    assert watch.lost(NOW)


def test_a_clock_that_goes_ahead_loses_nobody_who_reports() -> None:
    watch = Watch()
    assert not watch.lost(watch.wall)
    watch.wall += timedelta(days=365)
    assert not watch.lost(NOW)
    watch.pass_(1.0)
    for number in range(30):
        watch.pass_(1.0)
        assert not watch.lost(watch.wall, number)


def test_a_clock_that_goes_back_hides_nobody_who_is_dead() -> None:
    watch = Watch()
    dead = watch.wall
    watch.wall -= timedelta(days=1)
    assert not watch.lost(dead)
    watch.pass_(599.0)
    assert not watch.lost(dead)
    watch.pass_(2.0)
    assert watch.lost(dead)
