"""How much a commit may take away at once. Pure."""

from __future__ import annotations

from collections.abc import Collection

from framework.api.meta import Ref
from framework.planning.grammar.changes import Refusal

REASON = "PrunesTooMuch"
WOULD_REMOVE = "this commit would remove"
RECONCILE = "mlopsctl reconcile --once --allow-prune"
_SHOWN = 3


def too_much(
    recorded: Collection[Ref], asked: Collection[Ref], max_share: float, remedy: str = RECONCILE
) -> Refusal | None:
    """A refusal where more than ``max_share`` of what is on record would go, which is more often a mistake (a folder
    that was renamed, a branch that is empty) than a wish. A single resource may always go. ``remedy`` is the command
    that lets it."""
    vanished = sorted(ref for ref in recorded if ref not in asked)
    if len(recorded) <= 1 or len(vanished) <= max_share * len(recorded):
        return None
    shown = ", ".join(map(str, vanished[:_SHOWN])) + (", ..." if len(vanished) > _SHOWN else "")
    message = (
        f"{WOULD_REMOVE} {len(vanished)} of {len(recorded)} resources ({shown}); if that is meant, say so: {remedy}"
    )
    return Refusal(vanished[0], REASON, message)
