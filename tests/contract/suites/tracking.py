"""What every TrackingMirror promises."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from framework.api.errors import TransientError
from framework.ports import TrackedVersion, TrackingMirror

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILES = {"model.txt": b"tree\n" * 10, "README.md": "# delay – ready\n".encode(), "card.html": b"<html></html>"}


def tracked(build: str, training: str = "delay", **more: object) -> TrackedVersion:
    found = TrackedVersion(
        training,
        build,
        "c0ffee" * 6,
        NOW,
        {"auc": 0.75, "validation_auc": 0.5},
        {"depth": "3", "layers": "[8, 4]"},
        {"mlops.training": training, "mlops.build": build, "mlops.format": "lightgbm-text"},
        FILES,
    )
    return replace(found, **more)  # type: ignore[arg-type]


@dataclass(frozen=True)
class MirrorWorld:
    """``open`` gives the mirror as a fresh process has it; the others say what is there: versions by the label of what
    was put, in the order in which they came, and the builds by alias of a training job."""

    open: Callable[[], TrackingMirror]
    versions: Callable[[], Sequence[TrackedVersion]]
    aliases: Callable[[str], Mapping[str, str]]
    break_down: Callable[[pytest.MonkeyPatch], None]
    """From now on nothing is answered."""

    @property
    def labels(self) -> list[str]:
        return [version.label for version in self.versions()]


class TrackingMirrorContract:
    """Subclass it and provide a fixture ``world``."""

    def test_a_version_is_there_with_all_that_is_known_of_it(self, world: MirrorWorld) -> None:
        world.open().put(tracked("0a1b2c3d4e"))
        (found,) = world.versions()
        assert found == tracked("0a1b2c3d4e")

    def test_what_is_said_again_is_there_once(self, world: MirrorWorld) -> None:
        mirror = world.open()
        for _ in range(2):
            mirror.put(tracked("0a1b2c3d4e"))
        world.open().put(tracked("0a1b2c3d4e"))
        assert world.labels == ["delay@0a1b2c3d4e"]

    def test_versions_of_several_jobs_keep_their_order(self, world: MirrorWorld) -> None:
        mirror = world.open()
        put = [("a" * 10, "delay"), ("b" * 10, "delay"), ("a" * 10, "other")]
        for number, (build, training) in enumerate(put):
            mirror.put(tracked(build, training, created=NOW + timedelta(hours=number)))
        assert world.labels == [f"{training}@{build}" for build, training in put]

    def test_an_alias_moves_and_goes(self, world: MirrorWorld) -> None:
        mirror = world.open()
        for build in ("a" * 10, "b" * 10):
            mirror.put(tracked(build))
        for _ in range(2):
            mirror.name("delay", {"champion": "a" * 10, "proven": "a" * 10})
        assert world.aliases("delay") == {"champion": "a" * 10, "proven": "a" * 10}
        mirror.name("delay", {"champion": "b" * 10})
        world.open().name("delay", {"proven": None, "never": None})
        assert world.aliases("delay") == {"champion": "b" * 10}

    def test_an_alias_of_nothing_that_is_there_is_left_out(self, world: MirrorWorld) -> None:
        mirror = world.open()
        mirror.name("delay", {"champion": None, "challenger": "a" * 10})
        mirror.put(tracked("b" * 10))
        mirror.name("delay", {"challenger": "a" * 10, "champion": "b" * 10})
        assert world.aliases("delay") == {"champion": "b" * 10}

    def test_odd_values_stop_nothing(self, world: MirrorWorld) -> None:
        metrics = {"ndcg@10": 0.5, "été / x": 1.0, "nan": math.nan, "large": math.inf}
        odd = tracked("0a1b2c3d4e", metrics=metrics, parameters={"": "x" * 100_000, "a b@c": ""}, files={})
        world.open().put(odd)
        (found,) = world.versions()
        assert (len(found.metrics), len(found.parameters), found.files) == (4, 2, {})

    def test_many_values_are_told(self, world: MirrorWorld) -> None:
        many = {f"m{number:04}": float(number) for number in range(1100)}
        world.open().put(tracked("0a1b2c3d4e", metrics=many, parameters=dict.fromkeys(list(many)[:210], "1")))
        (found,) = world.versions()
        assert (found.metrics, len(found.parameters)) == (many, 210)

    def test_what_is_down_says_so_in_a_line(self, world: MirrorWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        mirror = world.open()
        world.break_down(monkeypatch)
        for say in (lambda: mirror.put(tracked("a" * 10)), lambda: mirror.name("delay", {"champion": None})):
            with pytest.raises(TransientError) as told:
                say()
            assert "\n" not in str(told.value)
