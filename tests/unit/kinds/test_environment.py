"""The Environment itself: its windows, what its spec may say, and several of them over the same specs."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from framework.api.errors import Problem, SpecError
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.kinds.environment.spec import EnvironmentSpec
from framework.kinds.environment.windows import closed_until, described
from tests.unit.specs.conftest import Project, place, project

__all__ = ["place", "project"]

HEAD = "apiVersion: mlops/v1alpha1\nkind: Environment\nmetadata: {name: local}\nspec:\n"
EVENING = datetime(2026, 11, 20, 21, 30, tzinfo=UTC)


def spec(**fields: Any) -> EnvironmentSpec:
    return EnvironmentSpec.model_validate(fields)


def test_without_windows_it_is_always_open() -> None:
    assert closed_until(spec(), EVENING) is None


def test_a_window_closes_until_its_last_minute_is_over() -> None:
    nights = spec(windows=[{"deny": "* 22-23 * * *", "timezone": "Europe/Vienna"}])

    assert closed_until(nights, EVENING) == datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
    assert closed_until(nights, EVENING + timedelta(minutes=90)) is None
    assert closed_until(nights, EVENING - timedelta(hours=1)) is None


def test_several_windows_are_closed_together() -> None:
    weekend = spec(windows=[{"deny": "* 18-23 * * FRI"}, {"deny": "* * * * SAT,SUN"}])

    assert closed_until(weekend, EVENING) == datetime(2026, 11, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "path", "says", "meant"),
    [
        ("windows: [{deny: §'* 24 * * *'}]", "windows[0].deny", "hour 24 is out of range: 0 to 23", None),
        ("windows: [{deny: §'* * * * MOM'}]", "windows[0].deny", "'MOM' is not a number from 0 to 7, or a name", "MON"),
        ("windows: [{deny: §nightly}]", "windows[0].deny", "cron expression", None),
        (f"windows: [{{deny: §'{','.join(['0-59'] * 79)} * * * *'}}]", "windows[0].deny",
         "has 402 characters; at most 400 are allowed", None),
        ("windows: [{deny: '* 1 * * *', timezone: §Europe/Viena}]", "windows[0].timezone",
         "'Europe/Viena' is not a timezone", "Europe/Vienna"),
        ("§windows: [{deny: '* 0-11 * * *'}, {deny: '* 12-23 * * *'}]", "windows",
         "leave no minute of the year open: no commit would ever take effect", None),
        ("ray: {address: §embeded}", "ray.address", "'embeded' is neither embedded, nor kuberay, nor an http(s) URL",
         "embedded"),
        ("ray: {address: §head:8265}", "ray.address", "nor an http(s) URL such as http://head:8265", None),
        ("quotas: {cpus: §0}", "quotas.cpus", "must be more than 0", None),
        ("quotas: {§gpu: 0}", "quotas.gpu", "unknown key 'gpu'", "gpus"),
        ("deletion: {maxShare: §1.5}", "deletion.maxShare", "must be at most 1", None),
    ],
)  # fmt: skip
def test_mistakes(
    project: Project, place: Callable[[Problem], str], text: str, path: str, says: str, meant: str | None
) -> None:
    project.write("environments/local.yaml", f"{HEAD}  {text.replace('§', '')}\n")
    problem = project.the_problem()

    assert place(problem) == f"environments/local.yaml:5:{3 + text.index('§')} spec.{path}"
    assert says in problem.message
    assert problem.suggestion == meant


@pytest.mark.parametrize(
    ("window", "says"),
    [
        ("{deny: '0 22 * * 5'}", "closes for 1m at a time, 52m of a year: each minute that matches, and no more"),
        ("{deny: '0-4 9 * * *', timezone: Europe/Vienna}", "closes for 5m at a time, 1830m of a year"),
        ("{deny: '*/2 * * * *'}", "closes for 1m at a time, 183d of a year"),
        ("{deny: '* 22 * * 5'}", None),
        ("{deny: '0-29 22 * * 5'}", None),
    ],
)
def test_a_window_of_minutes_is_hardly_meant(project: Project, window: str, says: str | None) -> None:
    project.write("environments/local.yaml", f"{HEAD}  windows: [{window}]\n")
    found = project.check().problems
    if says is None:
        assert found == ()
        return
    (problem,) = found
    assert (problem.severity, problem.path) == ("warning", "spec.windows[0].deny")
    assert says in problem.message
    assert problem.suggestion is not None
    assert problem.suggestion.startswith("* ")


def test_how_long_windows_close_is_told_in_words() -> None:
    assert described(spec()) == ""
    assert described(spec(windows=[{"deny": "* 22-23 * * *"}, {"deny": "* 0 * * *"}])) == (
        "its windows close for 3h at a time at most, 1098h of a year"
    )


@pytest.mark.parametrize("address", ["embedded", "kuberay", "http://head:8265", "https://ray.example.com/dashboard"])
def test_addresses(address: str) -> None:
    assert spec(ray={"address": address}).ray.address == address


PRODUCTION = """apiVersion: mlops/v1alpha1
kind: Environment
metadata: {name: production}
spec:
  policies:
    - {kind: ModelDeployment, limits: [{path: serving.replicas.min, min: 2}], message: one replica is none}
  patches:
    - target: {kind: ModelDeployment, labels: {tier: front}}
      patch: {serving: {replicas: {min: 2, max: 6}}}
    - target: {kind: TrainingJob, name: late}
      jsonPatch: [{op: replace, path: /dataset/window, value: {last: 90d}}]
"""


def test_two_environments_over_one_base(project: Project) -> None:
    """One commit, two snapshots: each has its own specs, identities and digest, and nothing of the other."""
    project.edit("deployments/late.yaml", ("{name: late}", "{name: late, labels: {tier: front}}"))
    project.write("environments/production.yaml", PRODUCTION)
    local, production = project.snapshot("local"), project.snapshot("production")
    assert not project.problems()

    digests = {name: {str(ref): (found.identity, found.digest) for ref, found in one.desired.items()}
               for name, one in (("local", local), ("production", production))}  # fmt: skip
    changed = {ref for ref in digests["local"] if digests["local"][ref] != digests["production"][ref]}
    assert changed == {"TrainingJob/late", "ModelDeployment/late"}
    assert local.digest != production.digest
    assert project.spec("ModelDeployment", "late", "production").serving.replicas.max == 6
    assert project.spec("ModelDeployment", "late", "local").serving.replicas.max == 2


def test_what_is_wrong_in_each_environment_is_told_with_its_name(
    project: Project, place: Callable[[Problem], str]
) -> None:
    project.edit("deployments/late.yaml", ("{name: late}", "{name: late, labels: {tier: front}}"))
    project.write("environments/production.yaml", PRODUCTION.replace("min: 2, max: 6", "max: 6"))
    project.write(
        "environments/local.yaml", f"{HEAD}  patches: [{{target: {{kind: TrainingJob}}, patch: {{seed: x}}}}]\n"
    )

    assert [(place(one), one.message.partition(" (in ")[2]) for one in project.check().problems] == [
        ("deployments/late.yaml:8:21 spec.serving.replicas.min", "environment production)"),
        ("environments/local.yaml:5:57 spec.seed", "environment local)"),
    ]
    for environment in ("local", "production"):
        with pytest.raises(SpecError) as error:
            project.snapshot(environment)
        assert len(error.value.problems) == 1


def test_a_broken_environment_leaves_the_others_alone(project: Project) -> None:
    project.write("environments/staging.yaml", PRODUCTION.replace("production", "staging").replace("late", "nobody"))

    problems = project.check().problems
    assert {problem.message.partition(" (in ")[2] for problem in problems} == {"environment staging)"}
    assert project.snapshot("local")


def test_the_examples_of_the_manual_can_be_meant() -> None:
    """Policies there name paths that exist, and quotas and windows are sound."""
    page = Path(__file__).parents[3] / "docs" / "kinds" / "environment.md"
    blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    specs = [spec(**yaml.safe_load(block)["spec"]) for block in blocks]

    assert [KINDS["Environment"].check(one, {Ref("Environment", "example"): one}) for one in specs] == [()] * len(specs)
    assert {field for one in specs for field in one.model_fields_set} >= {"patches", "policies", "quotas", "windows"}


def test_the_manual_names_every_list_that_is_merged_item_by_item() -> None:
    text = (Path(__file__).parents[3] / "docs" / "kinds" / "environment.md").read_text(encoding="utf-8")

    assert [path for kind in KINDS.values() for path in kind.merge_keys if f"`{path}`" not in text] == []
