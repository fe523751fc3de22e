"""Rules over thousands of objects look at each a few times, not at each for each."""

from __future__ import annotations

import pytest

from framework.api.meta import Ref
from framework.backends.memory.source import MemorySource
from framework.kinds import KINDS
from framework.planning.grammar import graph
from framework.specs.language import words
from framework.specs.read import check
from tests.unit.specs.conftest import CODE, FILES

pytestmark = pytest.mark.slow

MANY = 1500


def problems(files: dict[str, str]) -> list[str]:
    source = MemorySource()
    commit = source.commit({f"specs/{path}": text for path, text in (FILES | files).items()} | CODE)
    return [problem.message for problem in check(source, commit, ["specs"], KINDS).errors]


def test_a_route_that_many_ask_for_is_told_once_to_each() -> None:
    text = FILES["deployments/late.yaml"]
    found = problems({f"d/{n:04}.yaml": text.replace("{name: late}", f"{{name: d{n:04}}}") for n in range(MANY)})

    assert len(found) == MANY + 1
    assert found.count(f"ModelDeployment/d0000 serves /late already, and so do {MANY - 1} more") == MANY
    assert f"ModelDeployment/d0001 serves /late already, and so do {MANY - 1} more" in found


def test_many_references_to_nothing_are_all_told_and_guessed_at_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    nearest = words.nearest

    def counting(word: str, options: object, cutoff: float = 0.6) -> str | None:
        nonlocal compared
        names = list(options)  # type: ignore[call-overload]
        compared += len(names)
        return nearest(word, names, cutoff)

    monkeypatch.setattr(words, "nearest", counting)
    view = FILES["features/weather.yaml"]
    many = {
        f"v/{n:04}.yaml": view.replace("name: weather", f"name: v{n:04}").replace(
            "{format: csv, path: data/weather.csv}", f"{{featureView: x{n:04}}}"
        )
        for n in range(MANY)
    }
    found = problems(many)

    assert len(found) == MANY
    assert "there is no FeatureView named 'x0000'" in found
    assert 0 < compared < 60_000


def test_a_long_chain_has_no_cycle() -> None:
    """And to find that out takes as many steps as it is long."""
    refs = [Ref("FeatureView", f"v{n:05}") for n in range(20_000)]
    assert graph.cycles({ref: refs[n + 1 : n + 2] for n, ref in enumerate(refs)}) == ()
    closed = {ref: [refs[(n + 1) % len(refs)]] for n, ref in enumerate(refs)}
    assert len(graph.cycles(closed)[0]) == len(refs) + 1
