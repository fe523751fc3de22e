"""What is looked at before a ModelDeployment is planned, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import field_serializer

from framework.api.meta import Ref, Stored
from framework.ports import AppArguments, AppState, CodeRef, Json, ModelVersion, OnlinePlace, RouteState, Word
from framework.rollout.analysis.verdict import Verdict
from framework.rollout.state import CanaryState


class ServedVersion(Stored):
    """A model version as it is served: all that its app needs, so that one that was lost can be deployed again.

    Replica counts are not part of it: they follow the spec at any time.
    """

    app: str
    identity: str
    training: str
    version: str
    commit: str
    arguments: AppArguments
    cpus: float
    gpus: float
    batch_size: int
    batch_wait_seconds: float
    code: CodeRef | None = None

    @property
    def label(self) -> str:
        return f"{self.training}@{self.version}"

    @field_serializer("arguments")
    def _as_sent(self, arguments: AppArguments) -> dict[str, Json]:
        return arguments.to_json()


class TrialTerms(Stored):
    """What git said when a version was tried: digests of the deployment and its training job as wholes, and of how a
    version is judged."""

    digest: str = ""
    strategy: str = ""


class Rollout(Stored):
    """A version on its way to become stable. ``exposed``: callers have met it."""

    version: ServedVersion
    canary: CanaryState
    terms: TrialTerms = TrialTerms()
    exposed: bool = False


class Retiring(Stored):
    """An app that left service. ``generation`` is the traffic table that first does without it: once every router has
    acknowledged that one and ``delay`` has passed, the app is deleted. None until such a table is in force."""

    app: str
    since: datetime
    delay: timedelta = timedelta(0)
    generation: int | None = None


class Quarantine(Stored):
    """A version that was rejected, and the numbers that say why. It is not tried again under the same terms.
    ``exposed``: callers met it, or a person turned it away."""

    identity: str
    label: str
    reason: str
    message: str
    time: datetime
    verdicts: tuple[Verdict, ...] = ()
    terms: TrialTerms = TrialTerms()
    exposed: bool = True

    def stands(self, terms: TrialTerms) -> bool:
        """Whether it holds under ``terms``. A version that did not even start is tried again when anything about the
        deployment or its training job changes, one that failed in service only when it would be judged otherwise."""
        if not self.terms.digest:  # from before terms were kept
            return True
        return self.terms.strategy == terms.strategy if self.exposed else self.terms.digest == terms.digest


class Degraded(Stored):
    """The stable version fails its callers. ``told`` is when the numbers in ``message`` were last looked up."""

    app: str
    since: datetime
    told: datetime
    message: str


class DeploymentState(Stored):
    stable: ServedVersion | None = None
    stable_since: datetime | None = None
    """When the stable version took over."""
    stable_lost: datetime | None = None
    """Since when the stable version does not answer; None while it does."""
    rollout: Rollout | None = None
    retiring: tuple[Retiring, ...] = ()
    quarantined: tuple[Quarantine, ...] = ()
    promoted: tuple[str, ...] = ()
    """Identities that became stable, oldest first; the last is the stable one. Going back to one of them takes those
    that came after it off the list: they were left for a reason."""
    generation: int = 0
    """Of the traffic table last asked for; 0 before the first."""
    table: str = ""
    """Digest of that table, so that a hand-made change shows up."""
    table_since: datetime | None = None
    digests: dict[str, str] = {}  # noqa: RUF012 (pydantic copies it)
    """AppSpec digest last asked for, by app."""
    repaired: datetime | None = None
    """When a failed stable app was last deployed again."""
    degraded: Degraded | None = None
    heard: str = ""
    """The operator's word that was acted upon, until it was taken back."""

    @property
    def members(self) -> tuple[ServedVersion, ...]:
        """The versions that must run."""
        return tuple(item for item in (self.stable, self.rollout.version if self.rollout else None) if item is not None)

    @property
    def identities(self) -> frozenset[str]:
        """Of all versions that are remembered."""
        served, rejected = (item.identity for item in self.members), (item.identity for item in self.quarantined)
        return frozenset((*served, *rejected, *self.promoted))

    def rejected(self, identity: str) -> Quarantine | None:
        return next((item for item in self.quarantined if item.identity == identity), None)


@dataclass(frozen=True)
class DeploymentObserved:
    """``target`` is the version that the spec resolves to now; where there is none, ``target_reason`` says why.
    ``job`` is the digest of the training job as it was last looked at, ``word`` what an operator says about the
    rollout; both only where there is a rollout, or was one that failed. ``held`` is the router that serves another
    deployment at the path that this one asks for, or, once it is removed, had. ``found`` is the version
    that serves although no status remembers one."""

    ref: Ref
    target: ModelVersion | None
    target_reason: str
    apps: Mapping[str, AppState]
    route: RouteState | None
    found: ServedVersion | None = None
    job: str = ""
    word: Word | None = None
    held: RouteState | None = None
    online: OnlinePlace | None = None
    """Where what it looks up is, once all of it is there; until then ``online_reason`` says what is waited for."""
    online_reason: str = ""
