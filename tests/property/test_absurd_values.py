"""Whatever is written into one field of a spec, it is valid or a mistake with a place, and the controller goes on."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from typing import Any

import pytest

from controllers.commands import plans
from framework.api.errors import SpecError
from framework.kinds import KINDS
from framework.render.markdown import plan_markdown
from framework.render.plan import plan_text
from framework.render.plan_document import plan_from_json, plan_json
from framework.specs.cache.parse_cache import ParseCache
from framework.specs.read import check
from tests.absurd import LATER, WHOLE, Absurd, absurdities, texts
from tests.world import World

EVERYTHING: Mapping[str, dict[str, Any]] = {**WHOLE, **LATER}
TIMES = int(os.environ.get("MLOPS_FUZZ", "1"))
"""How many times as many are tried as in the suite."""


def chosen(objects: Mapping[str, dict[str, Any]], number: int) -> list[Absurd]:
    """``number`` of what may be written, other places first: every run of the suite tries the same."""
    dice = random.Random(0)
    groups = absurdities(objects)
    for group in groups:
        dice.shuffle(group)
    dice.shuffle(groups)
    longest = max(map(len, groups))
    rounds = [group[turn] for turn in range(longest) for group in groups if turn < len(group)]
    return rounds[: number * TIMES]


def world_with(objects: Mapping[str, dict[str, Any]]) -> World:
    world = World(texts(objects))
    world.run()
    return world


@pytest.mark.parametrize("objects", [WHOLE, EVERYTHING], ids=["executed", "everything"])
def test_the_specs_to_begin_with_are_valid(objects: Mapping[str, dict[str, Any]]) -> None:
    """Or nothing of what follows would say anything."""
    world = World(texts(objects))

    assert check(world.ports.source, world.head, ["mlops_specs"], KINDS).errors == ()
    assert len(world.read(world.head).desired) == len(objects) - 1


def test_every_mistake_is_told_with_a_place_and_nothing_else_is_raised() -> None:
    world, cache = World(texts(EVERYTHING)), ParseCache()
    before = world.read(world.head)
    for case in chosen(EVERYTHING, 150):
        files = texts(EVERYTHING) | {f"mlops_specs/{case.stem}.yaml": case.text(EVERYTHING)}
        commit = world.ports.source.commit(files)
        report = check(world.ports.source, commit, ["mlops_specs"], KINDS, cache, "local")

        assert all(one.file.startswith("mlops_specs") and one.line for one in report.errors), (case, report.errors)
        if report.errors:
            with pytest.raises(SpecError):
                world.read(commit)
            continue
        loaded = world.read(commit)
        plan = plans.between("local", before, loaded, KINDS, world.now)
        assert plan_from_json(plan_json(plan)) == plan, case
        assert plan_text(plan), case
        assert plan_markdown(plan), case


def test_the_controller_takes_it_up_or_refuses_it_and_takes_up_what_comes_next() -> None:
    """A valid commit is in force, an absurd one comes, and then the valid one again."""
    world = world_with(WHOLE)
    for number, case in enumerate(chosen(WHOLE, 50)):
        stem = f"mlops_specs/{case.stem}.yaml"
        world.head = world.ports.source.commit(texts(WHOLE) | {stem: case.text(WHOLE)})
        world.steps(3, 10)
        refused = world.source.problem
        assert refused is None or all(one.message for one in refused.problems), case
        world.head = world.ports.source.commit(texts(WHOLE) | {"README.md": str(number)})
        world.pass_()
        assert world.source.problem is None, (case, world.source.problem)
