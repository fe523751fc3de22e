"""Who makes use of what is known without reading every record, and right whatever came of the deployments meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from controllers.kinds import training_job
from framework.api.errors import DamagedError
from framework.api.meta import Ref
from framework.planning.grammar.changes import Status
from framework.ports import Record
from tests.world import BETTER, DEPARTURES, DEPLOYMENT, ENDPOINT, JOB, TRAINING, World

JUDGED = TRAINING.replace("min: 0.6}", "min: 0.6}, {metric: auc, comparedTo: live, maxDrop: 0.1}")


def many(count: int) -> World:
    files = {"mlops_specs/departures.yaml": DEPARTURES}
    for number in range(count):
        job, endpoint = f"classifier{number}", f"delay{number}"
        files[f"mlops_specs/{job}.yaml"] = JUDGED.replace("name: classifier", f"name: {job}")
        named = DEPLOYMENT.replace("name: delay", f"name: {endpoint}").replace("route: /delay", f"route: /{endpoint}")
        files[f"mlops_specs/{endpoint}.yaml"] = named.replace("training: classifier", f"training: {job}")
    return World(files)


def reads_of_all(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    made: list[str] = []

    def counted(verb: str) -> Callable[[], object]:
        inner = getattr(world.ports.state, verb)

        def asked() -> object:
            made.append(verb)
            return inner()

        return asked

    for verb in ("recorded", "scan"):
        monkeypatch.setattr(world.ports.state, verb, counted(verb))
    return lambda: len(made)


def looked_at(world: World, number: int) -> int:
    """Look at everything once without the reads of the test world itself; how many runs were submitted meanwhile."""
    before = len(world.ports.runs.runs())
    for ref, asked in world.source.desired.items():
        assert world.reconciler.reconcile(ref, asked).change is not None, number
    world.plane.advance(timedelta(0))
    return len(world.ports.runs.runs()) - before


@pytest.mark.parametrize("count", [1, 12])
def test_a_look_reads_no_more_records_however_many_there_are(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = many(count)
    world.source.poll()
    world.keeper.look()
    reads = reads_of_all(world, monkeypatch)
    submitted = sum(looked_at(world, number) for number in range(6))
    assert submitted == 1 + count, "one view, and every job"
    assert reads() <= 1


def test_the_champion_is_what_serves_whatever_the_deployment_asks_for_now() -> None:
    """It asks for another job's model, which is still to be trained: the one that serves stays the bar of its own."""
    world = World({**World().files, "mlops_specs/classifier.yaml": JUDGED})
    world.run()
    serving = world.served()
    other = JUDGED.replace("name: classifier", "name: other").replace("rounds: 50", "rounds: 60")
    world.commit(other=other, delay=DEPLOYMENT.replace("training: classifier", "training: other"))
    world.pass_()
    world.commit(classifier=JUDGED.replace("rounds: 50", "rounds: 70"))
    world.pass_()
    job = next(run for run in world.ports.runs.active() if run.metadata["resource"] == str(JOB))
    assert job.payload["champion"]["version"] == serving


def test_a_gate_says_whose_live_model_is_meant() -> None:
    """Of two deployments one keeps what it serves, for it pins a version."""
    world = World({**World().files, "mlops_specs/classifier.yaml": JUDGED})
    world.run()
    first = world.served()
    other = DEPLOYMENT.replace("name: delay", "name: delay-eu").replace("/delay", "/delay-eu")
    pinned = other.replace("training: classifier", f"training: classifier, version: {first}")
    named = JUDGED.replace("maxDrop: 0.1}", "maxDrop: 0.1, deployment: delay-eu}")
    world.commit(eu=pinned, classifier=named.replace("rounds: 50", "rounds: 60"))
    world.run()
    assert world.served() != first
    world.commit(classifier=named.replace("rounds: 50", "rounds: 70"))
    world.pass_()
    job = next(run for run in world.ports.runs.active() if run.metadata["resource"] == str(JOB))
    assert (job.payload["champion"]["version"], job.payload["champion"]["deployment"]) == (first, "delay-eu")


def test_a_run_is_told_what_the_live_model_was_trained_on() -> None:
    world = World({**World().files, "mlops_specs/classifier.yaml": JUDGED})
    world.run()
    world.commit(classifier=JUDGED.replace("rounds: 50", "rounds: 60"))
    world.pass_()
    job = next(run for run in world.ports.runs.active() if run.metadata["resource"] == str(JOB))
    own = job.payload["champion"]["own"]
    assert own["dataset"]["spine"] == "departures"
    assert own["views"].keys() == job.payload["views"].keys()


def test_what_the_live_model_learned_is_told_to_a_run_that_no_gate_compares_with_it() -> None:
    """So that values alone never turn it into a model of something else."""
    world = World()
    world.run()
    assert "comparedTo" not in BETTER
    world.commit(classifier=BETTER)
    world.pass_()
    job = next(run for run in world.ports.runs.active() if run.metadata["resource"] == str(JOB))
    assert (job.payload["champion"], job.payload["live_task"]) == (None, "binary")


def test_a_model_is_kept_while_somebody_serves_it_or_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.run()
    ports = world.reconciler._seen
    assert training_job.users(JOB.name, ports) == (ENDPOINT,) == training_job.users(JOB.name, world.ports)
    assert training_job.users("other", ports) == ()
    load = world.ports.state.load

    def damaged(ref: Ref) -> Record | None:
        if ref == ENDPOINT:
            raise DamagedError(f"the record of {ref}", "it is no JSON")
        return load(ref)

    monkeypatch.setattr(world.ports.state, "load", damaged)
    world.reconciler.reconcile(ENDPOINT, world.source.desired[ENDPOINT])
    assert training_job.users("other", ports) == (ENDPOINT,), "nobody knows what it serves"
    monkeypatch.undo()
    world.reconciler.reconcile(ENDPOINT, world.source.desired[ENDPOINT])
    assert training_job.users("other", ports) == ()
    record = load(ENDPOINT)
    assert record is not None
    assert Status.model_validate(record.status).state["stable"] is not None
