"""What an operator says about a rollout, beside git. Pure.

A word is acted upon once: the state that came of it remembers it, and only when that was saved is the word taken back.
So a controller that is killed in between neither loses a word nor acts on it twice.
"""

from __future__ import annotations

from datetime import datetime

from framework.kinds.model_deployment.naming import named
from framework.kinds.model_deployment.observed import DeploymentState, ServedVersion
from framework.kinds.model_deployment.transitions import Moved, reject, with_canary
from framework.planning.grammar import reasons
from framework.planning.grammar.changes import NewEvent
from framework.ports import Word
from framework.rollout.canary import go_on
from framework.rollout.state import Course, Decision, Reason
from framework.rollout.strategies import Canary

PROMOTE, ABORT, RETRY, PAUSE, RESUME = "promote", "abort", "retry", "pause", "resume"
VERBS = (PROMOTE, ABORT, RETRY, PAUSE, RESUME)
_SAID = {PROMOTE: reasons.PROMOTION_CALLED, PAUSE: reasons.ROLLOUT_PAUSED, RESUME: reasons.ROLLOUT_RESUMED}
FULLY = "fully"
"""In the data of a word: not only past the step that it waits in, but past all of them."""


def subject(deployment: str) -> str:
    """What a word on the rollout of ``deployment`` is about."""
    return f"rollout/{deployment}"


def key(word: Word) -> str:
    """Tells one word from every other."""
    return f"{word.verb} {word.time.isoformat()}"


def heed(
    state: DeploymentState, wanted: ServedVersion | None, canary: Canary, word: Word | None, now: datetime
) -> Moved:
    """Act on ``word``, if it is new. ``wanted`` is what git asks for. A word names the version that it is about, so
    that it does nothing to a later one."""
    if word is None:
        return Moved(state.model_copy(update={"heard": ""}))
    if key(word) == state.heard:
        return Moved(state)
    moved = _act(state, wanted, canary, word, now)
    return Moved(moved.state.model_copy(update={"heard": key(word)}), moved.events)


def _act(state: DeploymentState, wanted: ServedVersion | None, canary: Canary, word: Word, now: datetime) -> Moved:
    about = word.data.get("identity")
    if word.verb == RETRY:
        entry = state.rejected(wanted.identity) if wanted is not None and wanted.identity == about else None
        if entry is None:
            return _ignored(state, word, "what git asks for was not turned away")
        kept = tuple(item for item in state.quarantined if item.identity != about)
        lifted = _told(reasons.QUARANTINE_LIFTED, entry.label, word)
        return Moved(state.model_copy(update={"quarantined": kept}), (lifted,))
    rollout = state.rollout
    if rollout is None or rollout.version.identity != about:
        return _ignored(state, word, "that candidate is no longer on its way")
    label, at = named(rollout.version, state.stable), rollout.canary
    if word.verb == ABORT:
        message = f"{word.actor} turned it away" + (f": {word.data['message']}" if word.data.get("message") else "")
        return reject(state, rollout, canary, Decision(Course.ABORT, Reason.ABORTED, message, at.verdicts), now)
    if word.verb == PROMOTE:
        ahead = at.model_copy(update={"called": word.actor, "held": ""}) if word.data.get(FULLY) else go_on(canary, at)
        if ahead is None:
            return _ignored(state, word, "it waits in no step")
    elif word.verb in (PAUSE, RESUME):
        ahead = at.model_copy(update={"held": word.actor if word.verb == PAUSE else ""})
    else:
        return _ignored(state, word, f"nobody knows what {word.verb!r} means")
    told = _SAID[word.verb]
    return Moved(with_canary(state, rollout, ahead), (_told(told, label, word),))


def _told(reason: reasons.Reason, label: str, word: Word) -> NewEvent:
    said = f"{label}: {word.actor} said {word.verb}"
    message = f"{said}: {word.data['message']}" if word.data.get("message") else said
    return NewEvent(reason, message, {"actor": word.actor, "verb": word.verb, "said": word.time.isoformat()})


def _ignored(state: DeploymentState, word: Word, why: str) -> Moved:
    message = f"{word.actor} said {word.verb}, but {why}"
    return Moved(state, (NewEvent(reasons.WORD_IGNORED, message, {"actor": word.actor}),))
