"""Errors of the framework and how a mistake in a spec is told to its author."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from framework.api.printing import shown


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a spec file, at a place.

    ``line`` and ``column`` count from 1; 0 means "the file as a whole".
    ``path`` is the dotted path inside the object (``spec.strategy.canary.steps[0]``). As text it is one line, whatever
    the names of files and the values of others are. ``secret``: what stands at the place must not be shown, so no
    excerpt of its line is.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    allowed: tuple[str, ...] = ()
    suggestion: str | None = None
    severity: Literal["error", "warning"] = "error"
    secret: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        where = f"{self.path}: " if self.path else ""
        text = f"{place}: {self.severity}: {where}{self.message}"
        if self.suggestion:
            text += f"; did you mean {self.suggestion!r}?"
        if self.allowed:
            text += f" (allowed: {', '.join(self.allowed)})"
        return shown(text)


class FieldError(ValueError):
    """A field's own check refused its value. ``suggestion`` is what was likely meant."""

    def __init__(self, message: str, suggestion: str | None = None) -> None:
        self.suggestion = suggestion
        super().__init__(message)


class MlopsError(Exception):
    """Base of every error that mlopsctl raises on purpose."""


class SpecError(MlopsError):
    """The specs of a commit are wrong. Carries every problem found, not just the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class TransientError(MlopsError):
    """The world was not ready (network, lock, head gone): retry with back-off, condition Reconciling."""


class TerminalError(MlopsError):
    """Trying again cannot help until git or the data changes: condition Stalled."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class ConflictError(MlopsError):
    """Somebody else wrote first (compare-and-set failed, or the lease was lost): read again."""


class DamagedError(MlopsError):
    """Something that was remembered cannot be read. Nothing is done on the strength of it, and everything else goes on.

    ``where`` says what it is, ``problem`` what is wrong with it.
    """

    def __init__(self, where: str, problem: str) -> None:
        self.where, self.problem = where, problem
        super().__init__(f"{where} cannot be read: {problem}")


class ConfigurationError(MlopsError):
    """The operator's settings cannot work (busy port, unwritable store, missing extra): fix and start again."""
