"""Going back to an earlier commit: what is left of it, the pin that puts it in force, and the revert for git."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from controllers.commands.proposals import propose
from controllers.kinds.observer import Observer
from controllers.revision import acceptance
from controllers.revision.acceptance import Terms
from controllers.revision.in_force import in_force, revisions
from controllers.revision.permits import Permit, say
from controllers.revision.snapshot import Read, Snapshot
from framework.api.errors import ConfigurationError, SpecError
from framework.planning.admission.restore import Prospect, changing, restore
from framework.ports import Pin, Ports, Proposal, Proposed, SpecWriter
from framework.render.wording import short


@dataclass(frozen=True)
class Rollbacks:
    """Of one environment. ``revision`` is what is followed, ``specs`` the folder of the specs."""

    environment: str
    ports: Ports
    read: Read
    revision: str
    specs: str
    clock: Callable[[], datetime]
    observers: Mapping[str, Observer]
    allow_prune: bool = False

    def prospect(self, revision: str) -> Prospect:
        """What rolling back to ``revision`` would do. Changes nothing.

        Raises:
            SpecError: that commit is wrong for this environment, or would remove too large a share of it.
            ConfigurationError: there is no such commit.
        """
        source, state = self.ports.source, self.ports.state
        then = self.read(source.resolve(revision))
        over = source.resolve(self.revision)
        newest = self._readable(over)
        pin = state.pin()
        now = self._in_force(newest, pin)
        known = state.recorded()
        recorded = [*(record.ref for record in known.readable), *known.unreadable]
        remedy = f"mlopsctl rollback {short(then.commit)} --allow-prune"
        refused = acceptance.prune_refusal(now, then, recorded, Terms(allow_prune=self.allow_prune), remedy)
        if refused:
            raise SpecError(acceptance.problems(refused, then.commit, then))
        asked = now.desired if now else {}
        kept = {
            ref: self.observers[ref.kind].left(then.desired[ref], then.desired, self.ports)
            for ref in changing(asked, then.desired)
        }
        return Prospect(
            environment=self.environment,
            commit=source.info(then.commit),
            over=source.info(over),
            returns=restore(asked, then.desired, kept),
            same=newest is not None and newest.digest == then.digest,
            accepted=any(item.accepted and item.commit == then.commit for item in revisions(state)),
            standing=pin,
        )

    def pin(self, prospect: Prospect, actor: str, message: str) -> None:
        """Put the commit in force, whether a controller runs or not: the next one to look takes it up. Done twice, the
        first word stays."""
        if prospect.pinned:
            return
        commit, now = prospect.commit.sha, self.clock()
        if self.allow_prune:
            say(self.ports.state, {Permit.PRUNE}, commit, actor, now)
        self.ports.state.set_pin(Pin(commit=commit, over=prospect.over.sha, actor=actor, time=now, message=message))

    def end(self) -> Pin | None:
        """Let the newest commit take effect again; the pin that stood until now."""
        pin = self.ports.state.pin()
        self.ports.state.set_pin(None)  # one that cannot be read goes, too
        return pin

    def revert(
        self, prospect: Prospect, writer: SpecWriter, branch: str | None, actor: str, message: str
    ) -> Proposed | None:
        """A commit on a branch of its own, on top of the newest, that asks for what the earlier one asked for; None
        where git does so already. One that was prepared before is found again.

        Raises:
            ConflictError: the branch exists and says something else.
        """
        if prospect.same:
            return None
        commit, over = prospect.commit, prospect.over
        name = branch or f"mlopsctl/rollback-{short(commit.sha)}"
        folders = self._folders(commit.sha, over.sha)
        proposal = Proposal(over.sha, name, _message(prospect, actor, message), folders=folders)
        return propose(proposal, writer, self.ports.source)

    def _folders(self, commit: str, over: str) -> dict[str, str]:
        """The specs, and the code that the specs of either commit name, as far as the earlier one has it."""
        named = {self.specs}
        for loaded in (self._readable(commit), self._readable(over)):
            named |= {asked.code.folder for asked in loaded.desired.values() if asked.code} if loaded else set()
        outermost = {one for one in named if not any(one.startswith(f"{other}/") for other in named)}
        there = [one for one in sorted(outermost) if self.ports.source.tree_digest(commit, one) is not None]
        return dict.fromkeys(there, commit)

    def _in_force(self, newest: Snapshot | None, pin: Pin | None) -> Snapshot | None:
        if pin is not None and newest is not None and pin.over == newest.commit:
            return self._readable(pin.commit)
        accepted = in_force(self.ports.state)
        if accepted is None:
            return newest
        return self._readable(accepted.commit) or newest

    def _readable(self, commit: str) -> Snapshot | None:
        try:
            return self.read(commit)
        except (SpecError, ConfigurationError):
            return None


def _message(prospect: Prospect, actor: str, message: str) -> str:
    commit, over = prospect.commit, prospect.over
    named = f": {commit.subject}" if commit.subject else ""
    why = f"{message.strip()}\n\n" if message.strip() else ""
    return (
        f"Roll back to {short(commit.sha)}{named}\n\n{why}"
        f"Environment: {prospect.environment}\nBy: {actor}\n"
        f"From: {over.sha} {over.subject}\nTo: {commit.sha} {commit.subject}\n"
    )
