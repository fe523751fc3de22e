"""A cluster that is too small for all at once: who waits, for what, and that it goes on by itself."""

from __future__ import annotations

from framework.api.meta import Ref
from framework.planning.reports.health import Sync
from framework.planning.reports.overview import rows
from framework.planning.reports.why import why
from framework.ports import Capacity
from tests.world import BETTER, DEPARTURES, DEPLOYMENT, ENDPOINT, JOB, PROJECT, TRAINING, World

NAMES = [f"job{number}" for number in range(6)]
MANY = {
    "mlops_specs/departures.yaml": DEPARTURES,
    **{f"mlops_specs/{name}.yaml": TRAINING.replace("name: classifier", f"name: {name}") for name in NAMES},
}
REFS = [Ref("TrainingJob", name) for name in NAMES]
EXTRA = DEPLOYMENT.replace("name: delay", "name: extra").replace("/delay", "/extra")
WITH_EXTRA = PROJECT | {"mlops_specs/extra.yaml": EXTRA}


class SmallWorld(World):
    """``cpus`` in all, of which what runs and serves holds its share, as Ray would tell."""

    def __init__(self, cpus: float, files: dict[str, str]) -> None:
        self.cpus = cpus
        self.lingering: dict[str, float] = {}
        self.labels: tuple[dict[str, str], ...] = ({},)
        super().__init__(files)

    def pass_(self) -> bool:
        runs, serving = self.ports.runs, self.ports.serving
        held = {f"run:{run.name}": 1.0 for run in runs.active() if run.name.startswith("train-")}
        for name in ("delay", "extra"):
            held |= {f"app:{app}": 0.5 for app in serving.apps(name)}
            held |= {f"route:{name}": 0.1} if serving.route(name, "") else {}
        held |= self.lingering
        taken = sum(held.values())
        assert taken <= self.cpus + 1e-9, "more than there is"
        told = {item: {"CPU": amount} for item, amount in held.items()}
        runs.cluster = Capacity({"CPU": self.cpus}, {"CPU": self.cpus - taken}, told, (), self.labels)
        return super().pass_()

    def told(self, ref: Ref) -> tuple[str, str]:
        said = self.status(ref).conditions.reconciling
        return (said.reason, said.message) if said.status else ("", "")

    def events(self, ref: Ref, reason: str) -> int:
        return sum(event.reason == reason for event in self.ports.state.events(ref, limit=1000))


def test_runs_for_which_there_is_no_room_go_one_after_the_other_and_hold_nothing_meanwhile() -> None:
    world, most = SmallWorld(1.0, MANY), 0
    waited: set[Ref] = set()
    for _ in range(80):
        world.pass_()
        active = [run.name for run in world.ports.runs.active() if run.name.startswith("train-")]
        most = max(most, len(active))
        for ref in REFS:
            record = world.ports.state.load(ref)
            if record is not None and record.withheld:
                waited.add(ref)
                assert record.withheld == world.told(ref)[0] == "WaitingForRoom"
                assert record.inventory == ()
                assert "needs 1 CPU; 0 of 1 CPUs are free" in world.told(ref)[1]
        if world.ports.runs.active():
            world.restart(world.ports)  # nothing of this is remembered by a process
        world.advance()
    assert most == 1
    assert len(waited) == len(REFS) - 1
    for ref in REFS:
        assert world.status(ref).conditions.ready.status
        assert world.events(ref, "WaitingForRoom") == (1 if ref in waited else 0)
        assert world.events(ref, "RunStarted") == 1


def test_what_stands_in_the_way_is_told_by_status_and_why_and_room_lets_it_in() -> None:
    world = SmallWorld(2.0, WITH_EXTRA)
    world.run()
    assert world.standing().converged
    world.commit(classifier=BETTER)
    world.steps(20)
    reason, message = world.told(JOB)
    assert reason == "WaitingForRoom"
    assert (
        "needs 1 CPU; 0.8 of 2 CPUs are free (ModelDeployment/delay holds 0.6, ModelDeployment/extra holds 0.6); "
        "nothing of that ends by itself"
    ) in message
    assert world.ports.runs.active() == ()
    assert world.events(JOB, "WaitingForRoom") == 1
    assert world.standing().held == (JOB,)
    assert world.standing().settled, "nobody has to wait for a person"
    asked = why(ENDPOINT, rows(world.source.desired, world.ports.state.records(), world.now))
    assert [(item.health.sync, item.health.reason) for item in asked.causes] == [(Sync.HELD, "WaitingForRoom")]
    world.commit(extra=None)
    world.steps(60)
    assert world.standing().converged
    assert world.served() == world.state(JOB)["version"]


def test_what_no_cluster_of_that_size_can_hold_is_refused_with_both_numbers() -> None:
    world = SmallWorld(2.0, PROJECT)
    world.commit(classifier=TRAINING + "  resources: {cpusPerWorker: 3}\n")
    world.run()
    assert world.told(JOB) == ("ClusterTooSmall", "needs 3 CPUs, and the cluster has 2")
    assert JOB in world.standing().held
    assert world.ports.runs.active() == ()
    world.cpus = 4.0
    world.run()
    assert world.standing().converged


def test_a_run_waits_for_a_node_with_its_labels_and_to_ask_for_other_ones_trains_nothing() -> None:
    world = SmallWorld(2.0, PROJECT)
    world.labels = ({"pool": "serving"},)
    world.commit(classifier=TRAINING + "  resources: {labels: {pool: training}}\n")
    world.run()
    assert world.told(JOB) == ("ClusterTooSmall", "no node of the cluster has pool: training (pool is serving)")
    assert world.ports.runs.active() == ()
    world.labels = ({"pool": "serving"}, {"pool": "training"})
    world.run()
    assert world.standing().converged
    before = world.state(JOB)["version"]
    world.commit(classifier=TRAINING + "  resources: {labels: {pool: '!serving'}}\n")
    world.run()
    assert (world.standing().converged, world.state(JOB)["version"]) == (True, before)
    assert world.events(JOB, "RunStarted") == 1


def test_a_rollout_without_traffic_that_holds_what_training_waits_for_says_so_and_so_does_the_run() -> None:
    world = SmallWorld(1.7, PROJECT)
    world.run()
    world.requests_per_second = 0
    world.commit(classifier=BETTER)
    world.steps(20)
    assert len(world.ports.serving.apps("delay")) == 2
    job = Ref("TrainingJob", "another")
    world.commit(another=TRAINING.replace("name: classifier", "name: another"))
    world.steps(20)
    reason, message = world.told(job)
    assert reason == "WaitingForRoom"
    assert "the rollout of ModelDeployment/delay would make room: mlopsctl rollout promote delay --full" in message
    assert world.told(ENDPOINT)[1].endswith("TrainingJob/another waits for the room that it holds")
    changes = len(world.ports.state.events(ENDPOINT, limit=1000))
    world.steps(20)
    assert len(world.ports.state.events(ENDPOINT, limit=1000)) == changes, "that is no news"
    world.requests_per_second = 100
    world.run()
    assert world.standing().converged
    assert "waits for the room" not in world.told(ENDPOINT)[1]


def test_who_waits_for_a_rollout_that_waits_for_a_person_is_blocked() -> None:
    paused = DEPLOYMENT.replace("{setWeight: 50}", "{pause: {}}, {setWeight: 50}")
    world = SmallWorld(1.7, PROJECT | {"mlops_specs/delay.yaml": paused})
    world.run()
    world.commit(classifier=BETTER)
    world.steps(60)
    assert world.told(ENDPOINT)[0] == "Paused"
    world.commit(another=TRAINING.replace("name: classifier", "name: another"))
    world.steps(5)
    assert world.standing().blocked == (Ref("TrainingJob", "another"),)
    assert world.standing().settled


def test_a_candidate_for_which_there_is_no_room_waits_and_is_not_rejected_for_being_late() -> None:
    other = TRAINING.replace("name: classifier", "name: other")
    world = SmallWorld(1.7, PROJECT | {"mlops_specs/other.yaml": other})
    world.run()
    world.commit(extra=EXTRA)
    world.run()
    world.cpus = 1.65
    world.commit(delay=DEPLOYMENT.replace("training: classifier", "training: other"))
    world.steps(60, 30)
    assert world.told(ENDPOINT)[1].startswith("needs 0.5 CPUs; 0.45 of 1.65 CPUs are free")
    assert len(world.ports.serving.apps("delay")) == 1
    assert world.state(ENDPOINT)["quarantined"] == []
    world.cpus = 1.7
    world.run()
    assert world.standing().converged


def test_a_rollout_never_holds_what_a_newer_version_of_its_own_model_is_trained_in() -> None:
    world = SmallWorld(1.7, PROJECT)
    world.run()
    world.requests_per_second = 0
    world.commit(classifier=BETTER)
    world.steps(20)
    assert len(world.ports.serving.apps("delay")) == 2
    world.commit(classifier=TRAINING.replace("rounds: 50", "rounds: 90"))
    world.steps(30)
    assert world.status(JOB).conditions.ready.status
    assert world.told(JOB) == ("", "")


def test_what_outlives_its_removal_on_ray_for_a_moment_is_waited_for_without_a_person() -> None:
    world = SmallWorld(2.0, WITH_EXTRA)
    world.run()
    world.commit(classifier=BETTER)
    world.steps(5)
    (app,) = world.ports.serving.apps("extra")
    world.commit(extra=None)
    world.lingering = {f"app:{app}": 0.5}
    world.steps(20)
    assert world.told(JOB)[0] == "WaitingForRoom"
    assert JOB in world.standing().moving, "it goes on by itself"
    world.lingering = {}
    world.run()
    assert world.standing().converged
