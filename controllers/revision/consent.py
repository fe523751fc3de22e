"""Whether a commit may be trusted at all, and what an operator lets it do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from controllers.revision import acceptance
from controllers.revision.acceptance import Terms
from controllers.revision.commits import Commits
from controllers.revision.permits import Permit, Permits
from controllers.revision.snapshot import Snapshot
from framework.api.meta import Ref
from framework.planning.grammar.changes import Refusal


@dataclass(frozen=True)
class Consent:
    """``always`` is what the operator allows every commit, ``permits`` what was said of one."""

    environment: str
    always: Callable[[], Terms]
    permits: Permits
    commits: Commits
    actor: str
    _distrusted: set[str] = field(default_factory=set, init=False)
    """Refused before they were read: for who signed them or what they follow on, which may change."""

    def terms(self, commit: str) -> Terms:
        permits, always = self.permits.of(commit), self.always()
        return replace(
            always,
            allow_prune=always.allow_prune or Permit.PRUNE in permits,
            allow_force_push=always.allow_force_push or Permit.REWRITE in permits,
        )

    def distrust(self, commit: str, base: str | None, terms: Terms) -> tuple[Refusal, ...]:
        """Why ``commit``, which follows on ``base``, is not even read."""
        descends = base is None or terms.allow_force_push or self.commits.descends(commit, base)
        signature = self.commits.signature(commit) if terms.signed else None
        doubts = acceptance.distrust(self.environment, commit, base, descends, signature, terms)
        (self._distrusted.add if doubts else self._distrusted.discard)(commit)
        return doubts

    def changed(self, commit: str, base: str | None) -> bool:
        """Whether something has changed that the refusal of ``commit`` came from: an operator's word, or who may
        sign."""
        if self.permits.unheard(commit):
            return True
        return commit in self._distrusted and not self.distrust(commit, base, self.terms(commit))

    def given(self, before: Snapshot | None, candidate: Snapshot, stake: Sequence[Ref]) -> tuple[str, ...]:
        """What ``candidate`` could not do without an operator's word, in a sentence each. ``stake``: what is on record,
        where it removes something of it."""
        words, always = self.permits.of(candidate.commit), self.always()
        found = []
        if acceptance.prune_refusal(before, candidate, stake, replace(always, allow_prune=False)):
            found.append((Permit.PRUNE, "remove as much as it does"))
        if Permit.REWRITE in words and not always.allow_force_push:
            found.append((Permit.REWRITE, "follow on something else than what was in force"))
        return tuple(
            f"{words[permit].actor if permit in words else self.actor} let commit {candidate.commit[:7]} {what}"
            for permit, what in found
        )

    def settle(self, token: int, *, refused: Collection[str], in_force: str) -> None:
        """What was said of commits that were decided upon is over."""
        self.permits.settle(token, refused=refused, in_force=in_force)
        self._distrusted.intersection_update(refused)
