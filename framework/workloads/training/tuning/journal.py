"""What is kept of each trial while a search goes on, so that another attempt of the run goes on with it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import count, takewhile
from typing import Any

from framework import storage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrialNote:
    """A trial that is over. ``turn`` is how many were over before it, ``asked`` how many combinations had been chosen
    by then: what is chosen next follows from that order. ``elapsed`` are seconds since the search began, those of
    earlier attempts among them."""

    number: int
    parameters: dict[str, Any]
    reports: list[dict[str, Any]]
    error: str | None
    turn: int
    asked: int
    elapsed: float


class TrialJournal:
    """A file for each trial that is over."""

    def __init__(self, folder: str) -> None:
        self._folder = f"{folder}/over"

    def add(self, note: TrialNote) -> None:
        """A search goes on where nothing can be written; another attempt then runs that trial again."""
        try:
            storage.write_sealed(self._file(note.number), asdict(note))
        except OSError as error:
            log.warning("what came of trial %d could not be kept: %s", note.number, error)

    def forget(self, notes: Iterable[TrialNote]) -> None:
        for note in notes:
            storage.delete_file(self._file(note.number))

    def _file(self, number: int) -> str:
        return f"{self._folder}/{number:06d}.json"

    def notes(self) -> list[TrialNote]:
        """In the order in which they ended, as far as that is known without a gap: what came after one that cannot be
        read is forgotten, because that one decided on what was chosen next."""
        files = storage.list_files(self._folder)
        found = [(file, storage.readable_json(file)) for file in files]
        by_turn = {one["turn"]: TrialNote(**one) for _, one in found if one is not None}
        kept = [by_turn[turn] for turn in takewhile(by_turn.__contains__, count())]
        for file, one in found:
            if one is None or one["turn"] >= len(kept):
                storage.delete_file(file)
        return kept
