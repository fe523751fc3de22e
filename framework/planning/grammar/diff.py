"""Field-level differences between two versions of a spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from framework.api.categories import Category, category_of
from framework.api.credentials import redacted_value
from framework.planning.grammar.changes import FieldDiff


def diff(
    before: Mapping[str, Any] | None, after: Mapping[str, Any], categories: Mapping[str, Category]
) -> tuple[FieldDiff, ...]:
    """Leaves that differ, by dotted path in order. Lists are compared as wholes: an inserted step is one change. What
    looks like a credential is hidden: an earlier commit may hold one."""
    return tuple(
        FieldDiff(path, _told(path, old), _told(path, new), category_of(path, categories))
        for path, old, new in _leaves("", dict(before or {}), dict(after))
    )


def _told(path: str, value: Any) -> Any:
    return redacted_value(value, path.rpartition(".")[2])


def _leaves(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _leaves(f"{path}.{key}" if path else str(key), before.get(key), after.get(key))
    else:
        yield path, before, after


def highest(diffs: tuple[FieldDiff, ...], default: Category = Category.NOOP) -> Category:
    """The dearest category among the differences."""
    return max((item.category for item in diffs), default=default)
