"""What was answered before. Safe to delete at any time; whatever is wrong with it, the libraries are asked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from framework import storage

FILE = "examined.json"
_MOST = 20_000
_MANY = 100
"""Objects of a project, for which it is worth to make a folder whatever command is run."""


Answer = Sequence[Mapping[str, Any]]
"""The mistakes found, each as the libraries' process tells it."""


class AnswerBasis(NamedTuple):
    """What an answer rests on: the library's version, the specs above by Ref and key, and files by path and mark."""

    library: str
    upstream: Mapping[str, str]
    files: Mapping[str, str]


class Memory:
    """What is kept between processes.

    Args:
        folder: where; None: nowhere.
        makes: also where the folder that it is in is not there yet.
    """

    def __init__(self, folder: Path | None = None, *, makes: bool = False) -> None:
        self._file, self._makes = None if folder is None else folder / FILE, makes
        self._answers: dict[str, tuple[AnswerBasis, Answer]] | None = None
        self._news = False

    def answer(self, name: str) -> tuple[AnswerBasis, Answer] | None:
        """The answer of that name, and what it rests on."""
        return self._known.get(name)

    def keep(self, name: str, seen: AnswerBasis, answer: Answer) -> None:
        self._known.pop(name, None)
        self._known[name] = seen, answer
        self._news = True

    def save(self, objects: int) -> None:
        """Of a project with so many. The oldest go where there are too many."""
        if self._news and self._file is not None:
            kept = dict(list(self._known.items())[-_MOST:])
            with suppress(OSError):
                storage.make_cache(self._file.parent, parents=self._makes or objects >= _MANY)
                storage.write_sealed(str(self._file), kept)
        self._news = False

    @property
    def _known(self) -> dict[str, tuple[AnswerBasis, Answer]]:
        if self._answers is None:
            self._answers = self._read()
        return self._answers

    def _read(self) -> dict[str, tuple[AnswerBasis, Answer]]:
        if self._file is None:
            return {}
        try:
            found = storage.read_json(str(self._file)) or {}
            return {name: (AnswerBasis(*seen), answer) for name, (seen, answer) in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
