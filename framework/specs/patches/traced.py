"""Plain data that remembers where each part of it was written, while patches change it. Nothing is changed in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from framework.specs.yaml.paths import Path


class PatchError(Exception):
    """A patch cannot be applied. ``path`` is the place in the Environment that is to blame."""

    def __init__(self, path: Path, message: str, allowed: tuple[str, ...] = (), suggestion: str | None = None) -> None:
        self.path, self.message, self.allowed, self.suggestion = path, message, allowed, suggestion
        super().__init__(message)


class Origin(NamedTuple):
    """Where something was written: at ``path`` of the Environment if ``patched``, else of the object itself."""

    patched: bool
    path: Path
    name: Path | None = None
    """Where its key was written, if that is elsewhere: a JSON patch says it in ``path``, and the value in ``value``."""
    carried: bool = False
    """It came here as a whole, from another place of the object: whatever is wrong inside is told at ``path``."""

    def below(self, key: str | int) -> Origin:
        return self if self.carried else Origin(self.patched, (*self.path, key))


@dataclass(frozen=True)
class Trace:
    """The origins of a value and of everything in it. ``parts`` are those that differ from their surroundings; of a
    list (``listed``) that was changed, all of them."""

    origin: Origin
    parts: Mapping[str | int, Trace] = field(default_factory=dict)
    listed: bool = False
    told: Origin | None = None
    """Where a mistake of the whole is told: at the part that the last patch set first, since it came with that."""

    @property
    def place(self) -> Origin:
        return self.told or self.origin

    def at(self, path: Path) -> Trace:
        """The trace of what ``path`` names; of what is no longer in a list, that of the list."""
        trace = self
        for part in path:
            if part in trace.parts:
                trace = trace.parts[part]
            elif trace.listed:
                return trace
            else:
                trace = Trace(trace.origin.below(part))
        return trace


class Traced(NamedTuple):
    """A value with its trace."""

    value: Any
    trace: Trace

    def part(self, key: str | int) -> Traced:
        return Traced(self.value[key], self.trace.at((key,)))

    def items(self) -> list[Traced]:
        """What a list holds."""
        return [self.part(index) for index in range(len(self.value))]

    def with_keys(self, changed: Mapping[str, Traced], removed: Mapping[str, Origin]) -> Traced:
        """This mapping with other values for some keys. A removed key remembers who removed it."""
        value = {key: old for key, old in self.value.items() if key not in removed}
        value |= {key: new.value for key, new in changed.items()}
        parts: dict[str | int, Trace] = {key: new.trace for key, new in changed.items()}
        parts |= {key: Trace(by) for key, by in removed.items()}
        told = next((part.place for part in parts.values() if part.place.patched), self.trace.told)
        return Traced(value, Trace(self.trace.origin, {**self.trace.parts, **parts}, told=told))

    def with_items(self, items: Sequence[Traced], told: Origin | None) -> Traced:
        """This list with other items."""
        parts: dict[str | int, Trace] = {index: item.trace for index, item in enumerate(items)}
        trace = Trace(self.trace.origin, parts, listed=True, told=told or self.trace.told)
        return Traced([item.value for item in items], trace)

    def told_at_itself(self) -> Traced:
        """The same, where nothing of it was there before a patch wrote it whole."""
        return Traced(self.value, replace(self.trace, told=None))


def patched(value: Any, path: Path, name: Path | None = None) -> Traced:
    """A value as it stands at ``path`` of the Environment."""
    return Traced(value, Trace(Origin(True, path, name)))
