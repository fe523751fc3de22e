"""Whose a Serve application or a job is, on a Ray that several environments may use. Pure.

Names carry the environment, for people and so that environments of one project keep apart. That two projects have
environments of the same name is told by the mark that everything bears: the environment and the id of its state store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from framework.api.errors import TerminalError
from framework.api.names import own_name, shared_name

PRIVATE = "private"
"""The owner on a Ray that belongs to one project alone: names are enough there, and a lost state is no matter."""

OWNER_VARIABLE = "MLOPS_RAY_OWNER"


@dataclass(frozen=True)
class Tenant:
    """One environment on a Ray. ``owner`` is an id of its state store; ``storage`` tells what versions before the
    marks made: neither their names nor anything else of them carries an environment, but their files lie somewhere."""

    environment: str
    storage: str
    owner: str = PRIVATE

    @property
    def mark(self) -> dict[str, str]:
        return {"environment": self.environment, "owner": self.owner}

    def wire(self, name: str) -> str:
        """``name`` as Ray knows it."""
        return shared_name(self.environment, name)

    def may_have_named(self, name: str) -> bool:
        """Whether ``name`` is one of this environment's, or from before names carried theirs."""
        within = own_name(name)
        return name in (within, self.wire(within))

    def owns(self, thing: Thing) -> bool:
        """Where it bears no mark, where its files lie decides; where that is not told either, somebody changed it by
        hand, and the name has to do."""
        if thing.mark is not None:
            return thing.mark == self.mark
        if thing.storage is not None:
            return thing.storage == self.storage
        return thing.name.startswith(self.wire(""))


@dataclass(frozen=True)
class Thing:
    """An application or a job on Ray. ``mark`` and ``storage`` are None where it does not tell."""

    what: str
    name: str
    mark: Mapping[str, Any] | None = None
    storage: str | None = None

    @property
    def owner(self) -> str:
        """Whose it is, for a sentence."""
        files = f", whose files lie in {self.storage}" if self.storage else ""
        if self.mark:
            return f"the environment {self.mark.get('environment')} of the owner {self.mark.get('owner')}{files}"
        return f"another environment{files}" if self.storage else "somebody else than mlopsctl"


def foreign(thing: Thing, tenant: Tenant) -> TerminalError:
    """What to say where something that is not ours has the name of something that is to be."""
    message = f"{thing.what} {thing.name} is there already and belongs to {thing.owner}; it is left as it is"
    if thing.mark and thing.mark.get("environment") == tenant.environment and thing.mark.get("owner") != PRIVATE:
        message += (
            f". Give one of the two environments another name; or, if it is this one from before it lost its state, "
            f"start once with {OWNER_VARIABLE}={thing.mark.get('owner')}"
        )
    return TerminalError("NotOurs", message)
