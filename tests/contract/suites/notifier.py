"""What every Notifier promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from framework.ports import Alert, Json, Notifier

ALERT = Alert(
    monitor="delay-monitor",
    episode="e1",
    state="firing",
    title="distance drifts",
    evidence={"psi": 0.31, "threshold": 0.2, "columns": ["distance"]},
    report="/store/reports/delay-monitor/index.html",
    time=datetime(2026, 3, 1, 12, tzinfo=UTC),
)


@dataclass(frozen=True)
class NotifierWorld:
    """``open`` gives the notifier as a fresh process has it; ``received`` what arrived at a target, each
    as {monitor, episode, state, title, evidence, report, time (ISO)}; ``targets`` are two different ones."""

    open: Callable[[], Notifier]
    received: Callable[[Mapping[str, Json]], Sequence[Mapping[str, Json]]]
    targets: tuple[Mapping[str, Json], Mapping[str, Json]]

    def told(self, target: Mapping[str, Json]) -> list[tuple[str, str]]:
        return [(item["episode"], item["state"]) for item in self.received(target)]


class NotifierContract:
    """Subclass it and provide a fixture ``world``."""

    def test_an_alert_arrives_with_its_evidence(self, world: NotifierWorld) -> None:
        target = world.targets[0]
        world.open().send(ALERT, target)
        (item,) = world.received(target)
        assert (item["monitor"], item["episode"], item["state"]) == ("delay-monitor", "e1", "firing")
        assert (item["title"], item["report"]) == (ALERT.title, ALERT.report)
        assert item["evidence"] == ALERT.evidence
        assert datetime.fromisoformat(item["time"]) == ALERT.time

    def test_the_same_alert_arrives_once(self, world: NotifierWorld) -> None:
        notifier = world.open()
        for _ in range(3):
            notifier.send(ALERT, world.targets[0])
        notifier.send(replace(ALERT, title="told in other words", evidence={}), world.targets[0])
        assert world.told(world.targets[0]) == [("e1", "firing")]

    def test_its_end_and_the_next_episode_are_told(self, world: NotifierWorld) -> None:
        notifier = world.open()
        for episode in ("e1", "e2"):
            for state in ("firing", "resolved", "firing"):
                notifier.send(replace(ALERT, episode=episode, state=state), world.targets[0])
        notifier.send(replace(ALERT, monitor="other-monitor"), world.targets[0])
        expected = [("e1", "firing"), ("e1", "resolved"), ("e2", "firing"), ("e2", "resolved"), ("e1", "firing")]
        assert world.told(world.targets[0]) == expected

    def test_every_target_is_told(self, world: NotifierWorld) -> None:
        notifier = world.open()
        for target in world.targets:
            notifier.send(ALERT, target)
            notifier.send(ALERT, target)
        assert [world.told(target) for target in world.targets] == [[("e1", "firing")]] * 2

    def test_it_is_not_sent_again_after_a_restart(self, world: NotifierWorld) -> None:
        world.open().send(ALERT, world.targets[0])
        world.open().send(ALERT, world.targets[0])
        assert world.told(world.targets[0]) == [("e1", "firing")]
