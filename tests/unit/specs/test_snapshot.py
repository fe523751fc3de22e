"""What a snapshot is named by: what it asks for, and nothing else."""

from __future__ import annotations

import pytest

from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.specs.cache.parse_cache import ParseCache
from framework.specs.read import read_snapshot
from framework.specs.worktree import WORKTREE
from tests.unit.specs.conftest import Project

VIEW, WEATHER, JOB = Ref("FeatureView", "trips"), Ref("FeatureView", "weather"), Ref("TrainingJob", "late")
DEPLOYMENT = Ref("ModelDeployment", "late")


@pytest.mark.parametrize(
    "edit",
    [
        ("features/trips.yaml", "spec:\n", "# why\nspec:   # here\n"),
        ("features/trips.yaml", "[trip]\n", '\n    - "trip"\n'),
        ("features/trips.yaml", "{format: csv, path: data/trips.csv}", "{path: 'data/trips.csv', format: csv}"),
        ("training/late.yaml", "timeout: 1h", "timeout: 60m"),
        ("training/late.yaml", "timeout: 1h", "timeout: 1h\n  seed: 0\n  retries: {limit: 2, backoff: 30s}"),
        ("training/late.yaml",
         "kind: TrainingJob\nmetadata: {name: late}", "metadata: {name: late}\nkind: 'TrainingJob'"),
    ],
)  # fmt: skip
def test_style_order_and_defaults_change_nothing(project: Project, edit: tuple[str, str, str]) -> None:
    before = project.snapshot()
    project.edit(edit[0], edit[1:])
    after = project.snapshot()

    assert [(ref, one.digest) for ref, one in after.desired.items()] == [
        (ref, one.digest) for ref, one in before.desired.items()
    ]
    assert after.digest == before.digest


def test_files_may_be_moved_and_joined(project: Project) -> None:
    before = project.snapshot()
    texts = [(project.root / "specs" / name).read_text() for name in ("features/trips.yaml", "training/late.yaml")]
    project.remove("features/trips.yaml")
    project.remove("training/late.yaml")
    project.write("all/of/it.yml", "---\n".join(texts))
    project.write("notes.txt", "no spec")
    project.write(".hidden/x.yaml", "[")

    assert project.snapshot().digest == before.digest


@pytest.mark.parametrize(
    ("file", "old", "new", "rebuilt"),
    [
        ("features/trips.yaml", "metadata: {name: trips}", "metadata: {name: trips, owner: me}", set()),
        ("features/trips.yaml", "dtype: Int8}", "dtype: Int8, description: more than 15 minutes}", set()),
        ("training/late.yaml", "timeout: 1h", "timeout: 2h", set()),
        ("training/late.yaml", "timeout: 1h", "evaluation: {gates: [{metric: auc, min: 0.6}]}", set()),
        ("deployments/late.yaml", "max: 2", "max: 3", set()),
        ("deployments/late.yaml", "route: /late", "route: /later", set()),
        ("deployments/late.yaml", "setWeight: 10}", "setWeight: 20}", set()),
        ("deployments/late.yaml", "serving:", "serving:\n    resources: {cpus: 2}", {DEPLOYMENT}),
        ("training/late.yaml", "rounds: 20", "rounds: 21", {JOB, DEPLOYMENT}),
        ("features/weather.yaml", "Float64", "Float32", {WEATHER, JOB, DEPLOYMENT}),
        ("features/trips.yaml", "path: data/trips.csv", "path: data/t.csv", {VIEW, JOB, DEPLOYMENT}),
    ],
)
def test_a_change_rebuilds_what_it_must_and_all_below(
    project: Project, file: str, old: str, new: str, rebuilt: set[Ref]
) -> None:
    before = project.snapshot()
    project.edit(file, (old, new))
    after = project.snapshot()

    changed = {ref for ref, found in after.desired.items() if found.identity != before.desired[ref].identity}
    assert changed == rebuilt
    told = {ref for ref, found in after.desired.items() if found.digest != before.desired[ref].digest}
    assert len(told) >= 1
    assert told >= rebuilt
    assert after.digest != before.digest


def test_desired_states_come_upstreams_first_and_know_their_upstreams(project: Project) -> None:
    states = read_snapshot(project.source, WORKTREE, "specs", "local", KINDS, root="root", storage="store").desired
    order = list(states)

    assert order.index(VIEW) < order.index(JOB) < order.index(DEPLOYMENT)
    assert states[JOB].upstream == {ref: states[ref].identity for ref in (VIEW, WEATHER)}
    assert (states[JOB].storage, states[JOB].root, states[JOB].environment) == ("store", "root", "local")
    assert Ref("Environment", "local") not in states


def test_a_cache_between_commits_changes_no_answer_and_forgets(project: Project) -> None:
    first = project.snapshot()
    held = len(project.cache.files)
    project.edit("training/late.yaml", ("rounds: 20", "rounds: 200"))
    cached = project.snapshot()
    project.cache = ParseCache()
    fresh = project.snapshot()

    assert cached.digest == fresh.digest != first.digest
    assert held == len(project.cache.files) == 5
    project.remove("deployments/late.yaml")
    project.snapshot()
    assert len(project.cache.files) == 4
    assert not any("deployments" in path for path, _ in project.cache.files)
