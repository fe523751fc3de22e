"""What serves in one environment is pinned in another, by a commit that changes nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest

from controllers.commands.promote import PromotionSide, default_branch, promotion, propose
from controllers.revision.snapshot import Snapshot
from framework.api.errors import ConfigurationError, ConflictError, SpecError
from framework.api.meta import Ref
from framework.backends.memory import MemoryPorts, memory_ports
from framework.kinds import KINDS
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.admission.promotion import Item, Promotion, PromotionCourse
from framework.ports import Proposed
from framework.render.promotion import diff, promotion_json, promotion_text, proposed_text
from framework.specs.read import read_snapshot
from tests.world import DEPLOYMENT, ENDPOINT, PROJECT, TRAINING, World, environment

PROD = """\
# Ask before you touch production.
apiVersion: mlops/v1alpha1
kind: Environment
metadata: {name: prod}
spec:
  storage: .mlops/prod   # its own disk
  patches:
    - target: {kind: ModelDeployment, name: delay}   # more of everything
      patch: {serving: {replicas: {max: 4}}}
"""

FILE = "mlops_specs/prod.yaml"
FILES = {**PROJECT, "mlops_specs/local.yaml": environment(""), FILE: PROD}


def read(world: World, commit: str, environment: str, ports: MemoryPorts) -> Snapshot:
    snapshot = read_snapshot(
        ports.source, commit, "mlops_specs", environment, KINDS, root="/project", storage=ports.storage
    )
    return replace(snapshot, subject="a commit")


@dataclass
class Both:
    """A world that serves, and an environment beside it of which only the state is there."""

    world: World
    prod: MemoryPorts
    readable: bool = True

    def sides(self, commit: str | None = None) -> tuple[PromotionSide, PromotionSide]:
        world = self.world
        here = PromotionSide("local", world.ports, read(world, world.head, "local", world.ports))
        there = PromotionSide(
            "prod", self.prod, read(world, commit or world.head, "prod", self.prod), readable=lambda uri: self.readable
        )
        return here, there

    def promotion(self, *named: Ref) -> Promotion:
        return promotion(*self.sides(), named)

    def propose(self, branch: str | None = None) -> tuple[Promotion, Proposed]:
        found = self.promotion()
        return found, propose(found, self.world.ports.source, branch, "ann@host", self.prod)

    @property
    def serving(self) -> str:
        version: str = self.world.served()
        return version


def both(files: dict[str, str] | None = None) -> Both:
    world = World(files or FILES)
    world.run()
    assert world.standing().converged, world.message(ENDPOINT)
    prod = replace(memory_ports(world.clock, storage="memory://prod"), source=world.ports.source)
    return Both(world, prod)


def only(found: Promotion) -> Item:
    assert len(found.items) == 1
    return found.items[0]


def test_the_version_that_serves_is_pinned_by_a_patch_of_the_target() -> None:
    pair = both()
    found, proposed = pair.propose()
    assert (only(found).course, only(found).version, only(found).before) == (
        PromotionCourse.PINS,
        pair.serving,
        "latest",
    )
    source = pair.world.ports.source
    before, after = source.files(pair.world.head), source.files(proposed.commit)
    assert [path for path in after if after[path] != before.get(path)] == [FILE]
    text = str(after[FILE])
    for kept in ("# Ask before you touch production.", "# its own disk", "# more of everything", "max: 4"):
        assert kept in text
    assert source.parent(proposed.commit) == pair.world.head
    assert source.resolve("main") == pair.world.head
    merged = read(pair.world, proposed.commit, "prod", pair.prod)
    assert merged.desired[ENDPOINT].spec.model.version == pair.serving
    assert merged.desired[ENDPOINT].spec.serving.replicas.max == 4
    unchanged = read(pair.world, proposed.commit, "local", pair.world.ports)
    assert unchanged.digest == pair.sides()[0].loaded.digest


def test_the_target_learns_of_a_version_that_it_can_read() -> None:
    pair = both()
    assert pair.prod.registry.get("classifier", pair.serving) is None
    found, _ = pair.propose()
    assert only(found).adopt is not None
    assert pair.prod.registry.get("classifier", pair.serving) == pair.world.ports.registry.get(
        "classifier", pair.serving
    )


def test_looking_changes_nothing_anywhere() -> None:
    pair = both()
    pair.world.ports.calls.clear()
    pair.prod.calls.clear()
    pair.promotion()
    assert not pair.world.ports.calls.made
    assert not pair.prod.calls.made


def test_a_promotion_that_was_merged_has_nothing_left_to_do() -> None:
    pair = both()
    _, proposed = pair.propose()
    pair.world.ports.source.point("main", proposed.commit)
    pair.world.head = proposed.commit
    found = pair.promotion()
    assert only(found).course is PromotionCourse.SAME
    assert (found.pins, found.text, found.refused) == ((), "", ())


def test_the_next_promotion_changes_the_version_alone() -> None:
    pair = both()
    _, proposed = pair.propose()
    pair.world.files[FILE] = str(pair.world.ports.source.files(proposed.commit)[FILE])
    pair.world.commit(classifier=TRAINING.replace("rounds: 50", "rounds: 80"))
    pair.world.run()
    found = pair.promotion()
    changed = [row for row in diff(found) if row.startswith(("+ ", "- "))]
    assert [row[0] for row in changed] == ["-", "+"]
    assert pair.serving in changed[1]


def test_the_same_promotion_again_finds_its_commit() -> None:
    pair = both()
    (found, first), (_, second) = pair.propose(), pair.propose()
    assert first == second
    assert first.branch == default_branch(found)
    assert first.branch.startswith("mlopsctl/promote-prod-")


def test_a_branch_of_ones_own_and_one_that_is_somebody_elses() -> None:
    pair = both()
    assert pair.propose("release/next")[1].branch == "release/next"
    pair.world.ports.source.commit({"other.txt": "theirs"}, branch="taken", parent=pair.world.head)
    with pytest.raises(ConflictError):
        pair.propose("taken")


def test_a_promotion_onto_a_branch_starts_from_what_that_says() -> None:
    pair = both()
    source = pair.world.ports.source
    ahead = source.change({"mlops_specs/delay.yaml": DEPLOYMENT.replace("minRequests: 100", "minRequests: 200")})
    source.point("release", ahead)
    source.point("main", pair.world.head)
    found = promotion(*pair.sides(ahead), ())
    proposed = propose(found, source, "release", "ann", pair.prod)
    assert (source.parent(proposed.commit), source.resolve("release")) == (ahead, proposed.commit)


def test_a_version_in_a_rollout_is_not_promoted() -> None:
    pair = both()
    world = pair.world
    world.commit(classifier=TRAINING.replace("rounds: 50", "rounds: 80"))
    while 10 not in world.weights().values():
        world.pass_()
        world.advance()
    assert only(pair.promotion()).course is PromotionCourse.SKIPPED
    named = only(pair.promotion(ENDPOINT))
    assert (named.course, "rollout" in named.message) == (PromotionCourse.REFUSED, True)


def test_a_rejected_candidate_leaves_the_stable_version_to_be_promoted() -> None:
    pair = both()
    world, stable = pair.world, pair.serving
    app = world.state(ENDPOINT)["stable"]["app"]
    world.error_rate = lambda name: 0.0 if name == app else 0.5
    world.commit(classifier=TRAINING.replace("rounds: 50", "rounds: 80"))
    world.run()
    assert only(pair.promotion()).version == stable


def test_a_version_that_the_target_has_needs_no_files() -> None:
    pair = both()
    pair.readable = False
    model = pair.world.ports.registry.get("classifier", pair.serving)
    assert model is not None
    pair.prod.registry.adopt(model)
    item = only(pair.promotion())
    assert (item.course, item.adopt) == (PromotionCourse.PINS, None)


def test_a_version_that_failed_the_gates_there_is_refused() -> None:
    pair = both()
    model = pair.world.ports.registry.get("classifier", pair.serving)
    assert model is not None
    pair.prod.registry.adopt(model.model_copy(update={"deployable": False}))
    item = only(pair.promotion())
    assert (item.course, "failed its gates in prod" in item.message) == (PromotionCourse.REFUSED, True)


def test_a_version_that_the_target_trains_itself_needs_no_files() -> None:
    pair = both()
    pair.readable = False
    item = only(pair.promotion())
    assert (item.course, "trains itself" in item.message, item.adopt) == (PromotionCourse.PINS, True, None)


def test_a_version_that_the_target_cannot_get_is_refused_with_the_way_out() -> None:
    other = PROD + (
        "    - target: {kind: TrainingJob, name: classifier}\n      patch: {trainer: {lightgbm: {rounds: 500}}}\n"
    )
    pair = both({**FILES, FILE: other})
    pair.readable = False
    found = pair.promotion()
    assert only(found).course is PromotionCourse.REFUSED
    assert "copy memory://store/models/classifier/" in only(found).message
    assert found.text == ""


def test_a_cluster_elsewhere_does_not_read_this_machines_disk() -> None:
    pair = both()
    model = pair.world.ports.registry.get("classifier", pair.serving)
    assert model is not None
    side = pair.sides()[1]
    local = model.model_copy(update={"artifact": "/store/model.txt"})
    assert side.reads(local)
    elsewhere = EnvironmentSpec.model_validate({"ray": {"address": "http://head:8265"}})
    remote = replace(side, loaded=replace(side.loaded, environment=elsewhere))
    assert not remote.reads(local)
    assert remote.reads(model.model_copy(update={"artifact": "s3://bucket/model.txt"}))


def test_a_deployment_of_another_job_is_told() -> None:
    second = TRAINING.replace("name: classifier", "name: regressor")
    other = PROD + "    - target: {kind: ModelDeployment}\n      patch: {model: {training: regressor}}\n"
    pair = both({**FILES, "mlops_specs/second.yaml": second, FILE: other})
    item = only(pair.promotion(ENDPOINT))
    assert (item.course, "'regressor'" in item.message) == (PromotionCourse.REFUSED, True)


def test_a_pin_that_makes_the_target_wrong_is_refused_with_its_place() -> None:
    rule = "  policies: [{kind: ModelDeployment, forbid: [model.version], message: production follows latest}]\n"
    pair = both({**FILES, FILE: PROD.replace("  patches:", f"{rule}  patches:")})
    with pytest.raises(SpecError, match="production follows latest"):
        pair.promotion()


def test_an_environment_that_nobody_declared_has_no_file_to_pin_in() -> None:
    pair = both(PROJECT)
    world = pair.world
    side = PromotionSide("local", world.ports, read(world, world.head, "local", world.ports))
    with pytest.raises(ConfigurationError, match="not declared"):
        promotion(side, replace(side, ports=pair.prod, readable=lambda uri: True), ())


def test_a_deployment_that_nobody_has_is_told_with_those_that_are_there() -> None:
    with pytest.raises(ConfigurationError, match="it has ModelDeployment/delay"):
        both().promotion(Ref("ModelDeployment", "dleay"))


def test_a_promotion_is_told_to_people_and_programs() -> None:
    pair = both()
    found, proposed = pair.propose()
    text = promotion_text(found)
    assert f"+++ b/{FILE}" in text
    assert f"classifier@{pair.serving}" in text
    document = json.loads(promotion_json(found, proposed))
    assert document["deployments"][0]["adopts"] is True
    assert document["proposed"] == {"branch": proposed.branch, "commit": proposed.commit, "pushed": False}
    assert json.loads(promotion_json(found, None))["proposed"] is None
    assert f"git merge {proposed.branch}" in proposed_text(proposed)
    assert "pull request" in proposed_text(replace(proposed, pushed=True))
