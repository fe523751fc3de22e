"""Going back to an earlier commit: what is left of it, the pin that puts it in force, and the revert for git."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controllers.commands.proposals import propose
from controllers.kinds.model_deployment import job_digest
from controllers.revision import acceptance
from controllers.revision.acceptance import Terms
from controllers.revision.in_force import in_force, revisions
from controllers.revision.loaded import Loaded, Read
from controllers.revision.permits import Permit, say
from framework.api import layout
from framework.api.categories import Category
from framework.api.errors import ConfigurationError, DamagedError, SpecError
from framework.api.meta import Ref
from framework.kinds.model_deployment.observed import DeploymentState
from framework.kinds.model_deployment.target import served, terms
from framework.kinds.model_deployment.transitions import returns_at_once
from framework.kinds.training_job.gates import judge
from framework.planning.admission.restore import Kept, Prospect, changing, restore
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.remembered import state_of, status_of
from framework.ports import ModelVersion, Pin, Ports, Proposal, Proposed, SpecWriter
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
        kept = _Leftovers(then.desired, self.ports)
        returns = restore(
            asked, then.desired, {ref: kept.of(then.desired[ref]) for ref in changing(asked, then.desired)}
        )
        return Prospect(
            environment=self.environment,
            commit=source.info(then.commit),
            over=source.info(over),
            returns=returns,
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

    def _in_force(self, newest: Loaded | None, pin: Pin | None) -> Loaded | None:
        if pin is not None and newest is not None and pin.over == newest.commit:
            return self._readable(pin.commit)
        accepted = in_force(self.ports.state)
        if accepted is None:
            return newest
        return self._readable(accepted.commit) or newest

    def _readable(self, commit: str) -> Loaded | None:
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


class _Leftovers:
    """What is left of what each resource built at an earlier commit."""

    def __init__(self, then: Mapping[Ref, Desired[Any]], ports: Ports) -> None:
        self._then, self._ports = then, ports

    def of(self, asked: Desired[Any]) -> Kept:
        match asked.ref.kind:
            case "FeatureView":
                return self._table(asked)
            case "TrainingJob":
                return self._model(asked)
            case "ModelDeployment":
                return self._deployment(asked)
            case "ModelMonitor":
                return self._baseline(asked)
            case _:
                return Kept(True, "as it was")

    def _table(self, asked: Desired[Any]) -> Kept:
        table = self._ports.tables.describe(layout.feature_table(self._ports.storage, asked.ref.name, asked.recipe))
        if table is None:
            return Kept(False, "its table is gone: it is computed again", Category.MATERIALIZE)
        return Kept(True, f"table of build {table.name}, version {table.version}, {table.rows:,} rows")

    def _model(self, asked: Desired[Any]) -> Kept:
        models = self._ports.registry.builds(asked.ref.name, asked.identity)
        if not models:
            message = f"no build of {asked.ref.name} {asked.identity} is in the registry: it is trained again"
            return Kept(False, message, Category.RETRAIN)
        passing = next((model for model in models if not _failed_gates(asked, model)), None)
        if passing is None:
            name, failed = f"{asked.ref.name}@{models[0].version}", _failed_gates(asked, models[0])
            return Kept(False, f"{name} failed its gates: {'; '.join(failed)}", blocked=True)
        return Kept(True, f"{asked.ref.name}@{passing.version}", version=passing.version)

    def _deployment(self, asked: Desired[Any]) -> Kept:
        model, problem = self._asked_model(asked)
        if model is None:
            return problem
        try:
            state = state_of(status_of(self._ports.state.load(asked.ref)), DeploymentState)
        except DamagedError as error:
            return Kept(False, f"{error}; nothing is done about it until it can be", blocked=True)
        version, canary = served(asked, model), asked.spec.strategy.canary
        rejected = state.rejected(version.identity)
        if state.stable is not None and state.stable.identity == version.identity:
            return Kept(True, f"{version.label} serves")
        if rejected is not None and rejected.stands(terms(asked, job_digest(asked, self._ports))):
            message = (
                f"{version.label} was turned down here ({rejected.reason}) and is not tried again "
                f"before: mlopsctl rollout retry {asked.ref.name}"
            )
            return Kept(False, message, blocked=True)
        if canary is not None and returns_at_once(state, canary, version.identity):
            return Kept(True, f"{version.label} served before: it takes over as soon as it runs, without analysis")
        return Kept(True, f"{version.label} is rolled out like a new version")

    def _asked_model(self, asked: Desired[Any]) -> tuple[ModelVersion | None, Kept]:
        """The model that a deployment would serve, or why there is none."""
        training, version = asked.spec.model.training, asked.spec.model.version
        job = Ref("TrainingJob", training)
        if version == "latest":
            left = self._model(self._then[job])
            if not left.there:
                return None, Kept(False, f"waits for {job}")
            version = left.version
        model = self._ports.registry.get(training, version)
        if model is None or (asked.spec.model.version != "latest" and not model.deployable):
            why = "is not in the registry" if model is None else "failed its gates"
            return None, Kept(False, f"{training}@{version} {why}", blocked=True)
        return model, Kept(True, "")

    def _baseline(self, asked: Desired[Any]) -> Kept:
        deployment = self._then[Ref("ModelDeployment", asked.spec.deployment)]
        model, _ = self._asked_model(deployment)
        if model is None:
            return Kept(False, f"waits for {deployment.ref}")
        name = f"{model.training}@{model.version}"
        if asked.spec.drift is not None and self._ports.profiles.reference(model.profile) is None:
            return Kept(False, f"the training profile of {name} is gone: drift cannot be judged", blocked=True)
        return Kept(True, f"baseline: the training profile of {name}")


def _failed_gates(asked: Desired[Any], model: ModelVersion) -> list[str]:
    known = model.lineage
    rows = judge(
        asked.spec.evaluation,
        model.metrics,
        known.get("champion_metrics"),
        known.get("slices", ()),
        known.get("champion_problem"),
    )
    return [row["message"] for row in rows if not row["passed"]]
