"""Dependency order, cycles, and what lies downstream."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.api.meta import Ref
from framework.planning.grammar.graph import CycleError, cycles, topological


def graph(text: str) -> dict[Ref, list[Ref]]:
    """``"a: b c, b:"`` as the upstreams of each resource."""
    pairs = (part.split(":") for part in text.split(",") if part.strip())
    return {Ref("K", name.strip()): [Ref("K", one) for one in above.split()] for name, above in pairs}


def names(refs: object) -> str:
    return "".join(ref.name for ref in refs)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("", ""),
        ("b:, a:", "ab"),
        ("a: b, b: c, c:", "cba"),
        ("d: b c, b: a, c: a, a:", "abcd"),
        ("a: z, b:", "ab"),  # an upstream that is no key
        ("a: b b, b:", "ba"),
        ("a:, b: z, c: a, z:", "aczb"),
    ],
)
def test_upstreams_come_first_and_then_by_name(text: str, order: str) -> None:
    assert names(topological(graph(text))) == order


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: b, b:", []),
        ("a: a", ["aa"]),
        ("b: a, a: b", ["aba"]),
        ("a: b, b: c, c: a", ["abca"]),
        ("a: b c, b: c, c: a", ["aca"]),  # the shortest
        ("a: b, b: a, c: d, d: c, e: a", ["aba", "cdc"]),
        ("a: b, b: c, c: b", ["bcb"]),  # what only leads into a cycle is not in it
        ("a: zz, b: b", ["bb"]),
        ("a: c b, b: a, c: a", ["aba"]),  # of equally short ones the first by name
    ],
)
def test_cycles_are_shortest_and_start_at_their_first_name(text: str, found: list[str]) -> None:
    assert [names(cycle) for cycle in cycles(graph(text))] == found
    if found:
        with pytest.raises(CycleError) as error:
            topological(graph(text))
        assert names(error.value.cycle) == found[0]
        assert str(error.value) == " -> ".join(f"K/{one}" for one in found[0])


def test_long_chains_need_no_recursion() -> None:
    refs = [Ref("K", f"{number:05}") for number in range(20_000)]
    chain = {ref: [above] for above, ref in itertools.pairwise(refs)} | {refs[0]: []}

    assert topological(chain) == tuple(refs)
    assert cycles(chain) == ()
    (found,) = cycles({**chain, refs[0]: [refs[-1]]})
    assert len(found) == 20_001


edges = st.dictionaries(st.integers(0, 8), st.sets(st.integers(0, 8), max_size=4), max_size=9)


@given(edges)
def test_an_order_exists_exactly_where_no_cycle_does(edges: dict[int, set[int]]) -> None:
    upstreams = {Ref("K", str(ref)): [Ref("K", str(one)) for one in above] for ref, above in edges.items()}
    found = cycles(upstreams)
    if found:
        for cycle in found:
            assert cycle[0] == cycle[-1] == min(cycle)
            assert len(set(cycle)) == len(cycle) - 1
            assert all(above in upstreams[ref] for ref, above in itertools.pairwise(cycle))
        with pytest.raises(CycleError):
            topological(upstreams)
        return
    order = topological(upstreams)
    assert sorted(order) == sorted(upstreams)
    assert topological(dict(reversed(upstreams.items()))) == order
    for ref, above in upstreams.items():
        assert all(order.index(one) < order.index(ref) for one in above if one in upstreams)
