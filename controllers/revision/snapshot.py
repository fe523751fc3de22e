"""What a commit asks for, as controllers pass it on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.grammar import snapshot
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.kind import Kind

Snapshot = snapshot.Snapshot[EnvironmentSpec]

Read = Callable[[str], Snapshot]
"""Reads one commit. Raises SpecError with every problem in it."""

Examine = Callable[[Snapshot | None, Snapshot], tuple[Problem, ...]]
"""What speaks against a commit that is valid as it reads, compared with what is in force."""


def unexamined(before: Snapshot | None, after: Snapshot) -> tuple[Problem, ...]:
    return ()


def files_of(
    desired: Mapping[Ref, Desired[Any]], kinds: Mapping[str, Kind], specs: str
) -> tuple[frozenset[str], frozenset[str]]:
    """What of the project ``desired`` comes from: paths of data, which may have wildcards, and files and folders of
    specs and code."""
    code = {item.code.folder for item in desired.values() if item.code is not None}
    data = {read.path for item in desired.values() for read in kinds[item.ref.kind].data(item.spec)}
    return frozenset(data), frozenset({specs, *code})
