"""What moves with the clock: every instant that durations are measured from, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import Field

from framework.api.conditions import transition
from framework.api.meta import Stored
from framework.kinds import KINDS
from framework.planning.grammar.changes import Status
from framework.planning.grammar.instants import DatedElsewhere, dated, moved

T = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)

STAYS = {
    ("FeatureView", "published.at"), ("FeatureView", "looked"), ("FeatureView", "online.written"),
    ("FeatureView", "online.checked"), ("TrainingJob", "triggers.handled"),
}  # fmt: skip
"""Instants in what a kind remembers that are read anew at each look, from where they come, and times of the calendar.
Everything else moves."""


def test_of_every_kind_it_is_decided_what_moves() -> None:
    found = {(name, path): moves for name, kind in KINDS.items() for path, moves in dated(kind.state)}
    assert {place for place, moves in found.items() if not moves} == STAYS
    assert len(found) > 10


class Part(Stored):
    since: datetime
    payload: dict[str, Any] = Field(default_factory=dict)


class State(Stored):
    begun: datetime | None = None
    at: DatedElsewhere | None = None
    parts: tuple[Part, ...] = ()
    named: dict[str, Part] = Field(default_factory=dict)
    text: str = "2026-03-01T12:00:00Z"


def status(state: dict[str, Any]) -> dict[str, Any]:
    conditions = transition(None, T, ready=True, reason="Ready")
    made = Status(
        commit="c", identity="i", digest="d", conditions=conditions, state=state, spec={"from": T.isoformat()}
    )
    return made.model_dump(mode="json")


@pytest.mark.parametrize("by", [DAY, -DAY, timedelta(days=365), timedelta(minutes=6)])
def test_instants_of_state_and_conditions_move_and_nothing_else_does(by: timedelta) -> None:
    part = Part(since=T, payload={"since": T.isoformat()})
    state = State(begun=T, at=T, parts=(part,), named={"a": part}).model_dump(mode="json")
    later = moved(status({**state, "of a newer version": T.isoformat()}), State, by)
    assert later is not None
    found = Status.model_validate(later)
    known = State.model_validate(found.state)
    gone = part.model_copy(update={"since": T + by})
    assert (known.begun, known.at, known.text) == (T + by, T, "2026-03-01T12:00:00Z")
    assert (known.parts, known.named) == ((gone,), {"a": gone})
    assert known.parts[0].payload == {"since": T.isoformat()}
    assert found.state["of a newer version"] == T.isoformat()
    assert {condition.since for condition in found.conditions.all()} == {T + by}
    assert found.spec == {"from": T.isoformat()}
    assert moved(later, State, -by) == status({**state, "of a newer version": T.isoformat()})


@pytest.mark.parametrize(
    ("status", "by"),
    [({}, DAY), ({"state": 7}, DAY), (status({"begun": "never"}), DAY), (status({}), timedelta(days=3_000_000))],
)
def test_what_cannot_be_read_or_moved_is_left_as_it_is(status: dict[str, Any], by: timedelta) -> None:
    assert moved(status, State, by) is None
