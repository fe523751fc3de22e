"""An address that nobody could take apart is a mistake at its place, whichever field it stands in."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.api.addresses import mistake, mistake_of_base, mistake_of_link
from framework.api.errors import Problem
from tests.unit.specs.conftest import Project, place, project

__all__ = ["place", "project"]

HEAD = "apiVersion: mlops/v1alpha1\nkind: Environment\nmetadata: {name: local}\nspec:\n"
PORT, BRACKETS = "a port is a number from 1 to 65535", "stand around an IPv6 address"


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ("state: §postgresql://h:abc/d", "state", PORT),
        ("state: §postgresql://h:70000/d", "state", PORT),
        ("state: §'postgresql://[::1/d'", "state", BRACKETS),
        ("state: {url: §postgresql://h:abc/d}", "state.url", PORT),
        ("state: §postgresql://", "state", "names no database"),
        ("ray: {address: §'https://ray:abc'}", "ray.address", PORT),
        ("ray: {address: §'https://ray:'}", "ray.address", PORT),
        ("ray: {address: §'https://[::1'}", "ray.address", BRACKETS),
        ("ray: {address: §'http://[zz]:1'}", "ray.address", BRACKETS),
        ("ray: {address: §'https://ray.example.com:99999'}", "ray.address", PORT),
        ("ray: {address: §'http://:8265'}", "ray.address", "names no host"),
        ("ray: {address: §'http://h/a?b=c'}", "ray.address", "neither a query nor a fragment"),
        ("ray: {address: §'http://h/a#'}", "ray.address", "neither a query nor a fragment"),
        ("ray: {address: §'http://h/a/../b'}", "ray.address", "leads elsewhere"),
        ("ray: {address: §'http://h/%2e%2e/b'}", "ray.address", "leads elsewhere"),
        ("ray: {address: §'http://h h:1'}", "ray.address", "no blanks"),
        ("storage: §'sftp://h:abc/x'", "storage", PORT),
        ("storage: §'simplecache::https://[::1/x'", "storage", BRACKETS),
        ("tracking: §'http://mlflow:abc'", "tracking", PORT),
        ("tracking: §'https://mlflow/?a=b'", "tracking", "neither a query nor a fragment"),
        ("tracking: §mlruns", "tracking", "'mlruns' is no address; MLflow is a server or a SQLite database"),
        ("tracking: §'file:///mlruns'", "tracking", "file:// is not supported"),
        ("tracking: §'postgresql://db/mlflow'", "tracking", "postgresql:// is not supported"),
        ("tracking: §'sqlite://'", "tracking", "a SQLite database is a file"),
        ("tracking: §'sqlite:////srv/mlflow.db'", "tracking", "lies outside of the project"),
        ("tracking: §'sqlite:///../mlflow.db'", "tracking", "lies outside of the project"),
        ("tracking: §'sqlite:///.mlops/cache/mlflow.db'", "tracking", "keeps .mlops/cache for itself"),
        ("onlineStore: §'redis://cache:99999/0'", "onlineStore", PORT),
    ],
)
def test_of_an_environment(project: Project, place: Callable[[Problem], str], text: str, path: str, says: str) -> None:
    project.write("environments/local.yaml", f"{HEAD}  {text.replace('§', '')}\n")
    problem = next(one for one in project.check().errors)

    assert place(problem) == f"environments/local.yaml:5:{3 + text.index('§')} spec.{path}"
    assert says in problem.message


def test_of_a_source(project: Project) -> None:
    project.edit("features/trips.yaml", ("data/trips.csv", "'https://data.example.com:abc/trips.csv'"))

    assert PORT in project.the_problem().message
    assert project.the_problem().path == "spec.sources.raw.path"


def test_of_a_webhook(project: Project) -> None:
    project.write(
        "monitors/watch.yaml",
        "apiVersion: mlops/v1alpha1\nkind: ModelMonitor\nmetadata: {name: watch}\nspec:\n  deployment: late\n"
        "  window: 5m\n  drift: {}\n  alerts: [{webhook: {url: 'https://alerts.example.com:abc/hook'}}]\n",
    )

    assert PORT in project.the_problem().message
    assert project.the_problem().path == "spec.alerts[0].webhook.url"


@pytest.mark.parametrize(
    "address",
    ["http://head:8265", "https://ray.example.com/dashboard", "http://[::1]:8265", "http://127.0.0.1:1", "http://a_b"],
)
def test_of_a_dashboard_that_may_be_one(address: str) -> None:
    assert mistake_of_base(address) is None


@pytest.mark.parametrize(
    "address",
    ["postgresql:///mlops?host=/run/postgresql", "postgresql://u@db:5432/mlops", "postgresql://[::1]:5432/mlops"],
)
def test_of_a_database_that_may_be_one(address: str) -> None:
    assert mistake(address, host=False) is None


@pytest.mark.parametrize(
    "link",
    ["data/*.csv", "s3://bucket[1]/x", "s3://b/x[0-9].csv", "https://h/x?a=b c", "simplecache::s3://b/x", "C:x",
     "file:///x", "https://h:8443/[a].csv"],
)  # fmt: skip
def test_of_links_that_may_lead_somewhere(link: str) -> None:
    assert mistake_of_link(link) is None


@pytest.mark.parametrize("address", ["sqlite:///.mlops/mlflow.db", "http://mlflow:5000", "https://m.example/ml/flow"])
def test_of_an_mlflow_that_may_be_one(project: Project, address: str) -> None:
    project.write("environments/local.yaml", f"{HEAD}  tracking: {address}\n")
    assert project.check().errors == ()
