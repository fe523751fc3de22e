"""Secrets and places in specs: refused at their place, with the way to give them instead, and read all the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from framework.api.errors import Problem
from framework.api.places import Premises
from framework.kinds import KINDS
from framework.specs.cache.parse_cache import ParseCache
from framework.specs.read import UnsafeError, read_environment, read_snapshot
from framework.specs.worktree import WORKTREE
from tests.unit.specs.conftest import Project

SECRET = "hunter2SECRETxyz"
ENVIRONMENT, VIEW, JOB, DEPLOYMENT = (
    "environments/local.yaml", "features/trips.yaml", "training/late.yaml", "deployments/late.yaml",
)  # fmt: skip
DATABASE = f"postgresql://mlops:{SECRET}@db/mlops"
WATCH = """\
apiVersion: mlops/v1alpha1
kind: ModelMonitor
metadata: {name: watch}
spec:
  deployment: late
  window: 5m
  drift: {}
  alerts:
    - %s
"""


def unsafe(project: Project, premises: Premises | None = None) -> list[Problem]:
    """What keeps the project from taking effect, where it is valid; and that it can be read all the same."""
    premises = premises or Premises(str(project.root))
    with pytest.raises(UnsafeError) as raised:
        read_snapshot(project.source, WORKTREE, "specs", "local", KINDS, premises=premises)
    assert project.snapshot().desired
    assert SECRET not in str(raised.value)
    return list(raised.value.problems)


@pytest.mark.parametrize(
    ("file", "old", "new", "at", "says"),
    [
        (ENVIRONMENT, "{storage: .mlops/store}", f"{{state: '{DATABASE}'}}", "4:15 spec.state",
         "holds a password before the @; write {url: …, passwordFrom: {env: NAME}}, or {file: PATH}"),
        (ENVIRONMENT, "{storage: .mlops/store}", f"{{state: {{url: '{DATABASE}'}}}}", "4:21 spec.state.url",
         "passwordFrom"),
        (ENVIRONMENT, "{storage: .mlops/store}", f"{{state: 'postgresql://db/m?user=m&sslpassword={SECRET}'}}",
         "4:15 spec.state", "holds a secret (sslpassword=…); write {url: …, passwordFrom: {env: NAME}}"),
        (ENVIRONMENT, "{storage: .mlops/store}", f"{{state: 'postgresql://db/m?user=m&pass={SECRET}'}}",
         "4:15 spec.state", "passwordFrom"),
        (ENVIRONMENT, ".mlops/store", f"'s3://b/x?code={SECRET}'", "4:17 spec.storage", "such as AWS_ACCESS_KEY_ID"),
        (ENVIRONMENT, ".mlops/store", f"'s3://b/x?endpoint_url=http://k:{SECRET}@h'", "4:17 spec.storage", "password"),
        (ENVIRONMENT, ".mlops/store", f"'s3://AKIA:{SECRET}@b/x'", "4:17 spec.storage", "such as AWS_ACCESS_KEY_ID"),
        (ENVIRONMENT, ".mlops/store", f"'sftp://u:{SECRET}@h/x'", "4:17 spec.storage", "a password before the @"),
        (ENVIRONMENT, "storage: .mlops/store", f"ray: {{address: 'http://u:{SECRET}@h:8265'}}", "4:23 spec.ray.address",
         "the token comes from MLOPS_RAY_TOKEN"),
        (ENVIRONMENT, "storage: .mlops/store", f"tracking: 'https://{SECRET}@mlflow'", "4:18 spec.tracking",
         "credentials before the @; MLflow has credentials from MLFLOW_TRACKING_USERNAME"),
        (ENVIRONMENT, "storage: .mlops/store", f"onlineStore: 'redis://:{SECRET}@h/0'", "4:21 spec.onlineStore",
         "a password"),
        (ENVIRONMENT, "storage: .mlops/store",
         f"patches: [{{target: {{kind: FeatureView}}, patch: {{sources: {{raw: {{path: 's3://k:{SECRET}@b/x'}}}}}}}}]",
         "4:78 spec.patches[0].patch.sources.raw.path", "a password before the @"),
        (VIEW, "data/trips.csv", f"'simplecache::s3://k:{SECRET}@b/x'", "8:30 spec.sources.raw.path",
         "credentials come from where the storage's library looks for them"),
        (VIEW, "data/trips.csv", f"'https://h/x.csv?token={SECRET}'", "8:30 spec.sources.raw.path",
         "a secret (token=…)"),
        (JOB, "max_depth: 3", f"apiKey: {SECRET}", "13:32 spec.trainer.lightgbm.params.apiKey",
         "a value whose name says that it is secret"),
        (JOB, "metadata: {", "metadata: {description: ghp_" + "a1B2" * 9 + ", ", "3:25 metadata.description",
         "a GitHub token"),
        (JOB, "metadata: {", f"metadata: {{labels: {{at: '{DATABASE}'}}, ", "3:25 metadata.labels.at", "a password"),
        (DEPLOYMENT, "metadata: {", f"metadata: {{annotations: {{'{DATABASE}': x}}, ", "3:26", "a password"),
    ],
)  # fmt: skip
def test_a_secret_is_told_at_its_place_with_the_way_to_give_it(
    project: Project, place: Callable[[Problem], str], file: str, old: str, new: str, at: str, says: str
) -> None:
    if "apiKey" in new:
        project.edit(
            JOB,
            (
                "lightgbm: {params: {max_depth: 3}, rounds: 20}",
                "function: {entrypoint: shop.code.features:trips, params: {max_depth: 3}}",
            ),
        )
        at = "13:71 spec.trainer.function.params.apiKey"
    project.edit(file, (old, new))
    (problem,) = unsafe(project)

    assert place(problem).startswith(f"{file}:{at}"), place(problem)
    assert says in problem.message
    assert problem in project.check().errors


@pytest.mark.parametrize(
    ("target", "path", "says"),
    [
        (f"{{webhook: {{url: 'https://hooks.slack.com/services/T0/B0/{SECRET}'}}}}", "webhook.url", "urlFrom: {env:"),
        (f"{{webhook: {{url: 'https://hooks.slack.com:443/services/T/B/{SECRET}'}}}}", "webhook.url", "urlFrom: {env:"),
        (f"{{webhook: {{url: 'https://ptb.discord.com/api/webhooks/1/{SECRET}'}}}}", "webhook.url", "urlFrom: {env:"),
        (f"{{webhook: {{url: 'https://alerts.example.com/{SECRET}'}}}}", "webhook.url", "may be the key to itself"),
        (f"{{webhook: {{url: 'https://alerts.example.com/hook?key={SECRET}'}}}}", "webhook.url", "urlFrom"),
        ("{webhook: {urlFrom: {file: /etc/hostname}}}", "webhook.urlFrom.file", "lies outside of the project"),
        ("{webhook: {urlFrom: {file: shop/url.txt}}}", "webhook.urlFrom.file", "a file with a secret lies"),
        ("{file: .git/config}", "file", "hidden files are others'"),
        ("{file: .mlops/state.db}", "file", "whose name ends in .jsonl"),
        ("{file: shop/code/serving.py}", "file", "shop/ holds what is committed"),
        ("{file: ../x.jsonl}", "file", "lies outside of the project"),
        ("{file: /tmp/x.jsonl}", "file", "MLOPS_ALLOWED_PATHS"),
    ],
)  # fmt: skip
def test_where_alerts_go(project: Project, target: str, path: str, says: str) -> None:
    project.write("monitors/watch.yaml", WATCH % target)
    (problem,) = unsafe(project)

    assert (problem.path, problem.line) == (f"spec.alerts[0].{path}", 9)
    assert says in problem.message


@pytest.mark.parametrize(
    "target",
    [
        "{webhook: {url: 'http://127.0.0.1:9000/hook'}}",
        "{webhook: {urlFrom: {env: ALERT_URL}}}",
        "{webhook: {urlFrom: {file: /run/secrets/alert-url}}}",
        "{webhook: {urlFrom: {file: .mlops/alert-url}}}",
        "{file: alerts.jsonl}",
    ],
)
def test_where_alerts_may_go(project: Project, target: str) -> None:
    project.write("monitors/watch.yaml", WATCH % target)

    assert project.check().problems == ()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            "state: {url: 'postgresql://mlops@db/mlops', passwordFrom: {env: 'A=B;rm'}}",
            "is not the name of an environment",
        ),
        ("state: {url: 'postgresql://a@b/c', passwordFrom: {env: MLOPS_GIT_TOKEN}}", "for mlopsctl itself"),
        ("state: {url: 'postgresql://mlops@db/mlops', passwordFrom: {env: A, file: b}}", "exactly one of env, file"),
        ("state: {url: 'postgresql://mlops@db/mlops', passwordFrom: {}}", "exactly one of env, file"),
        ("state: somewhere", "is not the URL of a database"),
        ("state: 'sqlite://'", "a SQLite database is a file"),
        ("state: 'sqlite:///x.db?mode=memory'", "a SQLite database is a file"),
        ("state: 'sqlite:///:memory:'", "a SQLite database is a file"),
    ],
)
def test_what_is_no_reference_and_no_address(project: Project, spec: str, says: str) -> None:
    project.edit(ENVIRONMENT, ("storage: .mlops/store", spec))

    assert says in project.the_problem().message


@pytest.mark.parametrize(
    "spec",
    [
        "state: 'postgresql+psycopg://mlops@db.example.com/mlops'",
        "state: {url: 'postgresql://mlops@db/mlops', passwordFrom: {env: PGPASSWORD}}",
        "state: {url: 'postgresql://mlops@db/mlops', passwordFrom: {file: /run/secrets/db}}",
        "storage: 's3://bucket/a@b'",
        "storage: 's3://bucket/a?region=eu-west-1&endpoint_url=http://minio:9000'",
        "state: 'postgresql://mlops@db/mlops?sslmode=verify-full&sslkey=/run/tls/key&connect_timeout=5&application_name=x'",
        "storage: store",
    ],
)
def test_addresses_without_secrets(project: Project, spec: str) -> None:
    project.edit(ENVIRONMENT, ("storage: .mlops/store", spec))

    assert [one for one in project.check().problems if one.severity == "error"] == []


@pytest.mark.parametrize("spec", ["storage: /srv/mlops/store", "state: 'sqlite:////srv/mlops/state.db'"])
def test_the_operators_word_opens_other_folders(project: Project, spec: str) -> None:
    project.edit(ENVIRONMENT, ("storage: .mlops/store", spec))
    allowed = Premises(str(project.root), ("/srv/mlops",))

    assert "MLOPS_ALLOWED_PATHS" in unsafe(project)[0].message
    assert read_snapshot(project.source, WORKTREE, "specs", "local", KINDS, premises=allowed)
    assert read_environment(project.source, WORKTREE, "specs", "local", KINDS, premises=allowed)
    with pytest.raises(UnsafeError):
        read_environment(project.source, WORKTREE, "specs", "local", KINDS, premises=Premises(str(project.root)))


def test_a_secret_in_another_environment_is_one_too(project: Project) -> None:
    project.write(
        "environments/prod.yaml",
        f"apiVersion: mlops/v1alpha1\nkind: Environment\nmetadata: {{name: prod}}\nspec: {{state: '{DATABASE}'}}\n",
    )

    assert [(one.file, one.path) for one in unsafe(project)] == [("specs/environments/prod.yaml", "spec.state")]
    assert [one.message for one in project.check().errors] == [one.message for one in unsafe(project)]


def test_what_is_kept_of_specs_still_knows_their_secrets(project: Project) -> None:
    """A state that was found before, by a process that asked for no premises, is not taken for a safe one."""
    project.edit(ENVIRONMENT, ("storage: .mlops/store", f"state: '{DATABASE}'"))
    cache = ParseCache()
    for premises in (None, Premises(str(project.root))):
        if premises is None:
            assert read_snapshot(project.source, WORKTREE, "specs", "local", KINDS, cache=cache)
        else:
            with pytest.raises(UnsafeError, match=r"spec\.state"):
                read_snapshot(project.source, WORKTREE, "specs", "local", KINDS, cache=cache, premises=premises)


def test_a_patch_that_hides_a_secret_does_not_mend_it(project: Project) -> None:
    project.edit(VIEW, ("data/trips.csv", f"'s3://k:{SECRET}@b/x'"))
    patch = "{target: {kind: FeatureView, name: trips}, patch: {sources: {raw: {path: data/trips.csv}}}}"
    project.edit(ENVIRONMENT, ("storage: .mlops/store", f"patches: [{patch}]"))

    assert [(one.file, one.path) for one in unsafe(project)] == [(f"specs/{VIEW}", "spec.sources.raw.path")]


def test_a_secret_beside_other_mistakes_is_told_with_them(project: Project) -> None:
    project.edit(VIEW, ("data/trips.csv", f"'s3://k:{SECRET}@b/x'"), ("Int64", "int64"))

    assert {one.path for one in project.check().errors} == {"spec.sources.raw.path", "spec.columns[0].dtype"}


def columns(project: Project, name: str) -> Any:
    return json.dumps([column.model_dump() for column in project.spec("FeatureView", name).columns])


def test_what_only_sounds_secret_is_left_alone(project: Project) -> None:
    project.edit(VIEW, ("{name: late, dtype: Int8}", "{name: late, dtype: Int8}\n    - {name: token, dtype: String}"))
    project.write(
        "monitors/watch.yaml", WATCH.replace("drift: {}", "drift: {statistics: {rain: ks}}") % "{file: a.jsonl}"
    )
    project.edit(DEPLOYMENT, ("canary:\n", "canary:\n      match: {header: {x-token: always}}\n"))

    assert project.check().problems == ()
    assert "token" in columns(project, "trips")
