"""Pins: an operator's word about which commit is in force."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controllers.revision.acceptance import Terms
from framework.api.errors import ConfigurationError, SpecError
from framework.backends.memory.faults import FaultInjector
from framework.ports import Pin
from tests.controllers.test_source import events, governed, in_force
from tests.controllers.test_windows import NOON_TO_TWO
from tests.world import ANOTHER, BETTER, TRAINING, World, environment


def pinned(spec: str = "") -> tuple[World, str, str]:
    """A world that went from a first commit to a second and was then pinned to the first."""
    world = governed(spec)
    first = world.head
    served = world.served()
    world.commit(classifier=BETTER)
    world.now += timedelta(hours=4)
    world.run()
    world.ports.state.set_pin(Pin(commit=first, over=world.head, actor="ana", time=world.now, message="errors rise"))
    world.ports.calls.clear()
    world.run()
    assert world.served() == served
    return world, first, served


def test_a_pin_puts_an_earlier_commit_in_force_without_training() -> None:
    world, first, _ = pinned()
    assert in_force(world) == first
    assert world.ports.calls.subjects("runs.submit") == ()
    (told,) = [event for event in events(world) if event.reason == "PinInForce"]
    assert "ana" in told.message
    assert "errors rise" in told.message
    assert "ana pinned commit" in world.source.note
    world.restart(world.ports)
    world.pass_()
    assert in_force(world) == first
    assert world.reasons().count("PinInForce") == 1
    assert world.ports.state.revisions(1)[0].commit == first


def test_a_pin_passes_through_a_window() -> None:
    world = governed(NOON_TO_TWO)
    first = world.head
    world.now += timedelta(hours=3)
    world.commit(classifier=BETTER)
    world.run()
    world.now = world.now.replace(hour=12) + timedelta(days=1)
    world.ports.state.set_pin(Pin(commit=first, over=world.head, actor="ana", time=world.now))
    world.pass_()
    assert in_force(world) == first


def test_a_newer_commit_ends_the_pin_unless_it_asks_for_the_same() -> None:
    world, first, _ = pinned()
    world.commit(classifier=f"# words\n{BETTER}")
    world.pass_()
    assert in_force(world) == first, "git asks for nothing new"
    world.commit(classifier=ANOTHER)
    world.run()
    assert in_force(world) == world.head
    assert world.ports.state.pin() is None
    assert world.reasons().count("PinEnded") == 1
    assert world.standing().converged


def test_a_bad_newer_commit_does_not_end_the_pin() -> None:
    world, first, _ = pinned()
    world.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    world.pass_()
    assert in_force(world) == first
    assert world.ports.state.pin() is not None
    assert world.ports.state.revisions(1)[0].commit == world.head


def test_the_merged_revert_ends_the_pin_and_nothing_happens() -> None:
    world, _, _ = pinned()
    world.ports.calls.clear()
    world.commit(classifier=TRAINING)
    world.run()
    assert in_force(world) == world.head
    assert world.ports.state.pin() is None
    assert not world.changed()


def test_a_pin_taken_back_puts_git_in_force_again() -> None:
    world, _, _ = pinned()
    world.ports.state.set_pin(None)
    world.run()
    assert in_force(world) == world.head
    assert world.reasons().count("PinEnded") == 1


def test_a_pin_on_what_cannot_be_read_is_told_and_changes_nothing() -> None:
    world = governed()
    before = in_force(world)
    world.ports.state.set_pin(Pin(commit="f" * 40, over=world.head, actor="ana", time=world.now))
    for _ in range(3):
        world.pass_()
    assert in_force(world) == before
    assert world.reasons().count("PinRefused") == 1


def test_a_pin_is_followed_once_the_repository_that_was_gone_is_back() -> None:
    world = governed()
    first = world.head
    world.commit(classifier=BETTER)
    world.run()
    faults = FaultInjector()
    world.restart(faults.around(world.ports))
    world.pass_()
    world.ports.state.set_pin(Pin(commit=first, over=world.head, actor="ana", time=world.now))
    world.source.terms = Terms(signed=True)
    faults.fail_on("source.signature", ConfigurationError("no git repository"), times=2)
    world.pass_()
    world.pass_()
    assert in_force(world) != first
    world.source.terms = Terms()
    world.pass_()
    assert in_force(world) == first
    assert world.reasons().count("PinRefused") == 1


def test_under_a_pin_the_newest_environment_governs() -> None:
    world, first, _ = pinned()
    world.commit(local=environment("suspend: true"), classifier=BETTER)
    world.pass_()
    assert world.source.rules.suspend
    assert first != in_force(world), "git asks for something else: the pin is over"
    with pytest.raises(SpecError):
        world.read(world.commit(local=environment("suspend: maybe")))
