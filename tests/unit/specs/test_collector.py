"""The collector is off for as long as many objects are built, and no longer."""

from __future__ import annotations

import gc
import weakref

import pytest

from framework.specs.cache import collector


class Node:
    other: Node | None = None


def test_it_is_off_inside_and_on_again_whatever_happens() -> None:
    def build() -> None:
        with collector.paused():
            assert not gc.isenabled()
            raise ValueError("half way")

    assert gc.isenabled()
    with pytest.raises(ValueError, match="half way"):
        build()
    assert gc.isenabled()


def test_who_turned_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with collector.paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_cycles_that_were_built_meanwhile_are_found_later() -> None:
    with collector.paused():
        node = Node()
        node.other = node
        alive = weakref.ref(node)
        del node
    assert alive() is not None
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert alive() is None
