"""Refused by plan is refused by the controller: a plan says of a commit what the controller is going to say."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from controllers.commands import plans
from controllers.commands.project import Project
from controllers.revision.acceptance import Terms, told, unfollowed_message
from controllers.revision.permits import Permit, say
from controllers.revision.snapshot import Snapshot
from framework.api.errors import Problem, SpecError
from framework.kinds import KINDS
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.grammar.changes import Plan
from framework.planning.grammar.reasons import PIN_IN_FORCE, WAITS_FOR_WINDOW
from framework.planning.plan.breaking import ACKNOWLEDGE
from framework.ports import Pin, Signature
from tests.controllers.test_passes import project
from tests.fuzzing import seeds
from tests.world import DEPARTURES, DEPLOYMENT, JOB, PROJECT, TRAINING, World, environment

WIDE = DEPARTURES + "    - {name: origin, dtype: String}\n"
RETYPED = DEPARTURES.replace("{name: distance, dtype: Float64}", "{name: distance, dtype: Int64}")
UNKNOWN_TO_LIBRARIES = 66
"""Rounds of a trainer that the libraries of these tests know to be wrong."""
POLICY = "policies: [{kind: TrainingJob, deny: [Retrain], message: training is frozen}]"
ENVIRONMENTS = (
    "", "suspend: true", "quotas: {cpus: 4}", POLICY, "deletion: {prune: false}", "deletion: {maxShare: 1}",
    f"deletion: {{prune: false}}, {POLICY}", "deletion: {maxShare: 0.1}", "windows: [{deny: '* 12-13 * * *'}]",
    "storage: .mlops/elsewhere", "ray: {address: 'http://elsewhere:8265'}", "state: 'sqlite:///.mlops/other.db'",
    "storage: .mlops/elsewhere, deletion: {prune: false}",
)  # fmt: skip


def trained(rounds: int) -> str:
    return TRAINING.replace("rounds: 50", f"rounds: {rounds}")


def examine(before: Snapshot | None, after: Snapshot) -> tuple[Problem, ...]:
    """What the libraries say, of what is asked for otherwise."""
    asked = after.desired.get(JOB)
    wrong = asked is not None and asked.spec.trainer.lightgbm.rounds == UNKNOWN_TO_LIBRARIES
    same = before is not None and asked is not None and JOB in before.desired
    if not wrong or (same and before is not None and before.desired[JOB].digest == asked.digest):  # type: ignore[union-attr]
        return ()
    return (Problem("mlops_specs/classifier.yaml", 14, 22, "spec.trainer.lightgbm.rounds", "unlucky"),)


@dataclass
class Court:
    """A controller at work on a world in memory, and whoever asks for a plan beside it."""

    draw: random.Random
    signed: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)
    """Commits, oldest first."""
    spoken_of: set[str] = field(default_factory=set)
    """Commits that an operator's word was about."""

    def __post_init__(self) -> None:
        draw = self.draw
        self.world = World({**PROJECT, "mlops_specs/local.yaml": environment(draw.choice(("", *ENVIRONMENTS[:9])))})
        self.terms = Terms(
            allow_prune=draw.random() < 0.2, allow_force_push=draw.random() < 0.3, signed=draw.random() < 0.3
        )
        self.world.ports.source.signature = self.signature  # type: ignore[method-assign]
        self.begin()

    def signature(self, commit: str) -> Signature:
        return Signature(True, "ana") if commit in self.signed else Signature(False, problem="is not signed")

    def begin(self) -> None:
        """Another process of the controller, opened with the first Environment."""
        self.world.restart(self.world.ports)
        self.world.source = replace(self.world.source, terms=self.terms, wired=EnvironmentSpec(), examine=examine)

    def project(self) -> Project:
        made = project(self.world, "somebody else")
        settings = replace(
            made.settings,
            allow_prune=self.terms.allow_prune,
            allow_force_push=self.terms.allow_force_push,
            allowed_signers=Path("/etc/signers") if self.terms.signed else None,
        )
        return replace(made, settings=settings, clock=self.world.clock, environment=EnvironmentSpec(), examine=examine)

    # ------------------------------------------------------------------- what people do

    def commits(self) -> None:
        draw, world = self.draw, self.world
        choices: dict[str, tuple[str | None, ...]] = {
            "departures": (DEPARTURES, WIDE, RETYPED, self.acknowledged(), None),
            "classifier": (TRAINING, trained(80), trained(81), trained(UNKNOWN_TO_LIBRARIES), f"# why\n{TRAINING}",
                           TRAINING.replace("rounds", "ruonds"), None),
            "delay": (DEPLOYMENT, DEPLOYMENT.replace("/delay", "/late"), None, None),
            "local": tuple(map(environment, ENVIRONMENTS)),
        }  # fmt: skip
        names = draw.sample(sorted(choices), draw.choice((1, 1, 2, 3)))
        if draw.random() < 0.15:
            names = ["departures", "classifier", "delay"]
            choices = dict.fromkeys(names, (None,))
        for name in names:
            text, path = draw.choice(choices[name]), f"mlops_specs/{name}.yaml"
            if text is None:
                world.files.pop(path, None)
            else:
                world.files[path] = text
        parent = draw.choice(self.seen) if self.seen and draw.random() < 0.2 else None
        world.head = world.ports.source.commit(world.files, parent=parent, message=f"commit {len(self.seen)}")
        self.seen.append(world.head)
        if draw.random() < 0.7:
            self.signed.add(world.head)

    def acknowledged(self) -> str:
        """With the word that the retyped column wants, once a plan has said which."""
        loaded = self.world.source.loaded
        if loaded is None:
            return RETYPED
        files = {**PROJECT, "mlops_specs/departures.yaml": RETYPED}
        try:
            after = self.world.read(self.world.ports.source.commit(files, branch="elsewhere"))
        except SpecError:
            return RETYPED
        wanted = plans.between("local", loaded, after, KINDS, self.world.now).refusals
        token = next((one.message.partition(f'{ACKNOWLEDGE}: "')[2][:10] for one in wanted), "")
        return RETYPED.replace("{name: departures}", f"{{name: departures, annotations: {{{ACKNOWLEDGE}: '{token}'}}}}")

    def goes_back(self) -> None:
        """Somebody moves the branch to an earlier commit."""
        self.world.head = self.draw.choice(self.seen)
        self.world.ports.source.point("main", self.world.head)
        self.world.files = {path: str(text) for path, text in self.world.ports.source.files(self.world.head).items()}

    def pins(self) -> None:
        """Somebody goes back to an earlier commit, or lets git have its way again."""
        head = self.world.head
        earlier = [commit for commit in self.seen if commit != head]
        pin = Pin(commit=self.draw.choice(earlier), over=head, actor="ana", time=self.world.now) if earlier else None
        self.world.ports.state.set_pin(None if self.draw.random() < 0.3 else pin)
        self.controller_looks()

    def speaks(self) -> None:
        permits = self.draw.choice(({Permit.PRUNE}, {Permit.REWRITE}, set(Permit)))
        say(self.world.ports.state, permits, self.world.head, "ana", self.world.now)
        self.spoken_of.add(self.world.head)

    def waits(self) -> None:
        self.world.now += timedelta(hours=self.draw.choice((1, 3, 23)))
        for _ in range(self.draw.randint(0, 5)):
            self.controller_looks()
            self.world.advance(5)

    # ------------------------------------------------------------------- what is said

    def controller_looks(self) -> None:
        with suppress(SpecError):  # nothing was ever in force
            self.world.pass_()

    def by_the_controller(self) -> tuple[str, tuple[str, ...]]:
        """What it came to, and in which words."""
        source = self.world.source
        if source.loaded is not None and source.loaded.commit == self.world.head:
            return "in force", ()
        if source.problem is not None:
            return "refused", told(source.problem.problems)
        if self.stands_by_its_meaning():
            return "in force", ()
        if source.waiting is not None:
            return WAITS_FOR_WINDOW, (source.note,)
        pin = self.world.ports.state.pin()
        assert pin is not None, "it was not even looked at"
        return PIN_IN_FORCE, (source.note or unfollowed_message(pin),)

    def stands_by_its_meaning(self) -> bool:
        """Whether what is in force is another commit that asks for the same."""
        loaded = self.world.source.loaded
        try:
            return loaded is not None and loaded.commit != self.world.head and loaded.digest == self.asked_for()
        except SpecError:
            return False

    def asked_for(self) -> str:
        return self.world.read(self.world.head).digest

    def by_the_plan(self) -> tuple[str, tuple[str, ...]]:
        asked = self.project()
        try:
            plan = asked.plan()
        except SpecError as error:
            return "refused", told(error.problems)
        if plan.refusals:
            return "refused", self.words(plan)
        held = asked.withheld(self.world.read(self.world.head))
        return (held.reason, (held.message,)) if held is not None else ("in force", ())

    def words(self, plan: Plan) -> tuple[str, ...]:
        files = {}
        if plan.changes:
            files = {ref: asked.file for ref, asked in self.world.read(plan.commit).desired.items()}
        place = f"commit {plan.commit[:7]}"
        return tuple(f"{files.get(one.ref, place)}: {one.ref}: {one.reason}: {one.message}" for one in plan.refusals)


def disagreements(seed: int) -> list[str]:
    """A history of commits, words, pins and restarts; each time that the two did not say the same."""
    court, found = Court(random.Random(seed)), []
    if court.terms.signed:
        court.signed.add(court.world.head)
    court.seen.append(court.world.head)
    deeds: tuple[Callable[[], None], ...] = (
        *(court.commits,) * 8, court.goes_back, court.pins, court.speaks, court.waits, court.waits, court.begin,
    )  # fmt: skip
    court.controller_looks()
    for _ in range(court.draw.randint(3, 10)):
        deed = court.draw.choice(deeds)
        deed()
        planned = court.by_the_plan()
        court.controller_looks()
        done = court.by_the_controller()
        if court.world.ports.state.pin() is not None:
            # Nobody looks at it while a pin stands. It may have been refused before, or would be: one of both is said;
            # and that it would be, though it asks for what is in force, only a plan can say.
            agree = (done[0] == "in force") == (planned[0] == "in force") or court.stands_by_its_meaning()
        else:
            agree = done[0] == planned[0] and sorted(done[1]) == sorted(planned[1])
        if court.world.head in court.spoken_of and done[0] == planned[0] == "refused":
            agree = set(done[1]) <= set(planned[1])  # what the word lifted, which is spent now, comes on top
        if not agree:
            found.append(f"{deed.__name__}: the plan says {planned}, and the controller {done}")
    return found


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", seeds(30))
def test_what_a_plan_says_of_a_commit_the_controller_says_in_the_same_words(seed: int) -> None:
    assert disagreements(seed) == []
