"""Dependency order. Pure, iterative (a chain of ten thousand resources is fine) and deterministic."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Mapping

from framework.api.meta import Ref


class CycleError(ValueError):
    """Resources that wait for each other. ``cycle`` starts and ends with the same Ref."""

    def __init__(self, cycle: tuple[Ref, ...]) -> None:
        self.cycle = cycle
        super().__init__(" -> ".join(str(ref) for ref in cycle))


def topological(upstreams: Mapping[Ref, Iterable[Ref]]) -> tuple[Ref, ...]:
    """Every resource after its upstreams; among equals by name. Upstreams that are no key of the mapping are left out.

    Raises:
        CycleError: some resources wait for each other.
    """
    waits_for = _known(upstreams)
    downstreams: dict[Ref, list[Ref]] = {ref: [] for ref in waits_for}
    for ref, above in waits_for.items():
        for upstream in above:
            downstreams[upstream].append(ref)
    missing = {ref: len(above) for ref, above in waits_for.items()}
    ready = [ref for ref, count in missing.items() if count == 0]
    heapq.heapify(ready)
    ordered: list[Ref] = []
    while ready:
        ref = heapq.heappop(ready)
        ordered.append(ref)
        for downstream in downstreams[ref]:
            missing[downstream] -= 1
            if missing[downstream] == 0:
                heapq.heappush(ready, downstream)
    if len(ordered) < len(waits_for):
        raise CycleError(cycles(upstreams)[0])
    return tuple(ordered)


def cycles(upstreams: Mapping[Ref, Iterable[Ref]]) -> tuple[tuple[Ref, ...], ...]:
    """One shortest cycle of each group of resources that wait for each other, each starting with its first name."""
    waits_for = _known(upstreams)
    found: list[tuple[Ref, ...]] = []
    for group in _components(waits_for):
        first = min(group)
        if len(group) > 1 or first in waits_for[first]:
            found.append(_shortest(waits_for, first, group))
    return tuple(sorted(found))


def _known(upstreams: Mapping[Ref, Iterable[Ref]]) -> dict[Ref, tuple[Ref, ...]]:
    return {ref: tuple(sorted({one for one in above if one in upstreams})) for ref, above in sorted(upstreams.items())}


def _components(waits_for: Mapping[Ref, tuple[Ref, ...]]) -> list[frozenset[Ref]]:
    """Strongly connected components, without recursion: R. Tarjan, Depth-first search and linear graph algorithms,
    SIAM J. Comput. 1 (1972)."""
    index: dict[Ref, int] = {}
    low: dict[Ref, int] = {}
    path: list[Ref] = []
    on_path: set[Ref] = set()
    groups: list[frozenset[Ref]] = []
    for start in waits_for:
        if start in index:
            continue
        work = [(start, iter(waits_for[start]))]
        while work:
            ref, rest = work[-1]
            if ref not in index:
                index[ref] = low[ref] = len(index)
                path.append(ref)
                on_path.add(ref)
            descended = False
            for upstream in rest:
                if upstream not in index:
                    work.append((upstream, iter(waits_for[upstream])))
                    descended = True
                    break
                if upstream in on_path:
                    low[ref] = min(low[ref], index[upstream])
            if descended:
                continue
            work.pop()
            if work:
                parent = work[-1][0]
                low[parent] = min(low[parent], low[ref])
            if low[ref] == index[ref]:
                group = {path.pop()}
                while ref not in group:
                    group.add(path.pop())
                groups.append(frozenset(group))
                on_path -= group
    return groups


def _shortest(waits_for: Mapping[Ref, tuple[Ref, ...]], first: Ref, group: frozenset[Ref]) -> tuple[Ref, ...]:
    came_from: dict[Ref, Ref] = {}
    queue = deque([first])
    while queue:
        ref = queue.popleft()
        for upstream in waits_for[ref]:
            if upstream == first:
                steps = [first, ref]
                while steps[-1] != first:
                    steps.append(came_from[steps[-1]])
                return tuple(reversed(steps))
            if upstream in group and upstream not in came_from:
                came_from[upstream] = ref
                queue.append(upstream)
    raise AssertionError("a strongly connected group has a cycle through each of its members")
