"""An operator's word that one commit may do what commits may not: kept like a pin until it is acted upon."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum

from framework.ports import StateStore, Word

ALLOW = "allow"


class Permit(StrEnum):
    PRUNE = "prune"
    """Remove as large a share of the environment as it likes."""
    REWRITE = "rewrite"
    """Follow on something else than what is in force."""


def say(state: StateStore, permits: Collection[Permit], commit: str, actor: str, now: datetime) -> None:
    """To whichever controller leads, now or later."""
    for permit in permits:
        state.say(Word(subject=_subject(permit, commit), verb=ALLOW, actor=actor, time=now))


def said(state: StateStore, commit: str) -> Mapping[Permit, Word]:
    """What was said of ``commit`` and has not been acted upon yet."""
    subjects = {_subject(permit, commit): permit for permit in Permit}
    return {subjects[word.subject]: word for word in state.words() if word.subject in subjects and word.verb == ALLOW}


class Permits:
    """What was said of commits, for the one who decides about them."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self._heard: dict[str, Mapping[Permit, Word]] = {}

    def of(self, commit: str) -> Mapping[Permit, Word]:
        """What is to be taken into account now."""
        self._heard[commit] = said(self._state, commit)
        return self._heard[commit]

    def unheard(self, commit: str) -> bool:
        """Whether something was said of it that was not taken into account yet."""
        return not said(self._state, commit).items() <= self._heard.get(commit, {}).items()

    def settle(self, token: int, *, refused: Collection[str], in_force: str) -> None:
        """What was said of commits that were decided upon is over. What came too late for a refusal stands."""
        over = [word for commit in refused for word in self._heard.get(commit, {}).values()]
        for word in (*over, *said(self._state, in_force).values()):
            self._state.take_back(word, token)
        self._heard.clear()


def _subject(permit: Permit, commit: str) -> str:
    return f"{permit}/{commit}"
