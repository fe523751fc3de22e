"""The small examples as their README has them, but on a Ray that they share: from a commit to answers."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from controllers.cli.main import cli
from framework.backends.ray.rest import RayAddress, RayRest
from framework.backends.ray.serve import PATH
from tests.e2e.test_init import ended, git, rewrite
from tests.unit.scaffold.workflows import ROOT

pytest_plugins = ["tests.ray_cluster"]
pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


class Example:
    """A copy of an example in a repository of its own, as an environment of its own on a Ray that others run."""

    def __init__(self, name: str, folder: Path, ray: RayAddress) -> None:
        self.name, self.folder, self._ray = name, folder, ray
        shutil.copytree(ROOT / "examples" / name, folder)
        (folder / ".gitignore").write_text(".mlops/\n__pycache__/\n")
        theirs = f"ray: {{address: '{ray.dashboard_url}'}}"
        local = folder / "mlops_specs/environments/local.yaml"
        rewrite(local, ("name: local", f"name: {name}"), ("ray: {address: embedded}", theirs))
        git(folder, "init", "--quiet", "--initial-branch", "main")
        self.commit("first")

    def commit(self, message: str) -> None:
        git(self.folder, "add", ".")
        git(self.folder, "commit", "--quiet", "--message", message)

    def reconcile(self, environment: str = "", code: int = 0) -> dict[str, Any]:
        """What a process of its own says as its result."""
        settle = ("reconcile", "--once", "--wait", "--timeout", "4m", "--output", "json", "--quiet")
        done = ended(self.folder, "--env", environment or self.name, *settle, code=code)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def mlopsctl(self, *arguments: str, code: int = 0) -> str:
        """What a command printed as its result; it has to end with ``code``. Starting a process takes longer than most
        commands do, and test_init.py has enough of them."""
        done = CliRunner().invoke(cli, ["--project", str(self.folder), "--env", self.name, *arguments])
        assert done.exit_code == code, (done.exception, done.output)
        return done.stdout

    def database(self) -> list[str]:
        """Everything that is on record: resources, events, the lease, model versions."""
        with closing(sqlite3.connect(f"file:{self.folder / '.mlops/state.db'}?mode=ro", uri=True)) as connection:
            return list(connection.iterdump())

    def function(self, entrypoint: str) -> Any:
        """Of the example's own code."""
        module, _, name = entrypoint.partition(":")
        sys.path.insert(0, str(self.folder))
        try:
            return getattr(importlib.import_module(module), name)
        finally:
            sys.path.remove(str(self.folder))

    def rows(self, entrypoint: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.function(entrypoint)().collect().to_dicts()
        return found

    def ask(self, route: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
        url = f"http://{self._ray.serve_host}:{self._ray.serve_port}{route}"
        body = json.dumps({"instances": rows}, default=str).encode()
        answer = httpx.post(url, content=body, trust_env=False, timeout=20)
        read: dict[str, Any] = answer.raise_for_status().json()
        return read


def vacate(rest: RayRest) -> None:
    """Serve runs, and nothing on it."""
    address = rest.address()
    options = {"host": address.serve_host, "port": address.serve_port}
    rest.put(PATH, {"http_options": options, "applications": []}, timeout=60)


@pytest.fixture(scope="module")
def ray(ray_rest: RayRest) -> Iterator[RayAddress]:
    address = ray_rest.address()
    assert address.token is not None
    vacate(ray_rest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_RAY_TOKEN", address.token)
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        yield address


@pytest.fixture(scope="module")
def example(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ray: RayAddress, ray_rest: RayRest
) -> Iterator[Example]:
    """Converged once for the tests that follow each other, which go on from there; what serves is taken away then."""
    made = Example(request.param, tmp_path_factory.mktemp("example") / request.param, ray)
    made.reconcile()
    yield made
    vacate(ray_rest)


@pytest.mark.parametrize("example", ["digits"], indirect=True)
def test_digits_are_read(example: Example) -> None:
    rows = example.rows("mail.data:digits")[:200]
    answer = example.ask("/digits", rows)
    assert answer["classes"] == list(range(10))
    right = sum(said == row["digit"] for said, row in zip(answer["predictions"], rows, strict=True))
    assert right >= 190
    assert all(abs(sum(each) - 1) < 1e-6 for each in answer["probabilities"])
    assert "confusion" in example.mlopsctl("models", "card", "digit-reader").lower()
    network = json.loads(example.mlopsctl("models", "show", "digit-network", "--output", "json"))
    assert network["artifact"]["format"] == "torch-safetensors"
    assert network["metrics"]["accuracy"]["test"] > 0.93
    assert {gate["passed"] for gate in network["gates"]} == {True}
    assert "digit-network" in example.mlopsctl("models", "diff", "digit-reader", "digit-network")


@pytest.mark.timeout(480)
@pytest.mark.parametrize("example", ["digits"], indirect=True)
def test_a_branch_is_trained_before_it_is_merged_and_not_again(example: Example) -> None:
    spec = example.folder / "mlops_specs/training/digit-reader.yaml"
    before = example.database()
    events = example.mlopsctl("events", "--output", "json")
    git(example.folder, "checkout", "--quiet", "-b", "better")
    rewrite(spec, ("n_estimators: 60", "n_estimators: 80"))
    example.commit("more trees")
    text = example.mlopsctl("preview", "--base", "main", "--timeout", "3m", "--quiet")
    assert "LIVE, SAME ROWS" in text
    assert "built TrainingJob/digit-reader; every gate is passed" in text
    found = json.loads(example.mlopsctl("preview", "--base", "main", "--output", "json"))
    (job,) = found["jobs"]
    assert found["verdict"] == "passed"
    assert (job["outcome"], job["beside"]["role"], job["beside"]["same_rows"]) == ("there", "live", True)
    for metric in ("accuracy", "log_loss"):
        told = job["metrics"][metric]
        assert told["difference"] == pytest.approx(told["new"] - told["other"])
        assert told["interval"][0] <= told["difference"] <= told["interval"][1]
    assert all(Path(card).is_file() for card in job["cards"])
    assert len(job["cards"]) == 2
    assert ("n_estimators", 60, 80) in [(one["name"], one["before"], one["after"]) for one in job["differences"]]
    assert example.database() == before

    rewrite(spec, ("log_loss, max: 0.6", "log_loss, max: 0.0001"))
    strict = example.mlopsctl("preview", "--base", "main", "--head", "worktree", code=1)
    assert "log_loss = " in strict
    assert "bar <= 0.0001" in strict
    assert "FeatureView/" not in strict, "files on disk have the names that they have in a commit"
    git(example.folder, "checkout", "--quiet", "--", ".")

    git(example.folder, "checkout", "--quiet", "main")
    git(example.folder, "merge", "--quiet", "--ff-only", "better")
    done = example.reconcile()
    assert done["outcome"] == "Converged"
    assert "SubmitRun" not in done["changing_calls"]
    assert done["changing_calls"]["RegisterModel"] == 1
    assert events.count('"RunStarted"') == 3, "the view, the forest and the network"
    assert example.mlopsctl("events", "--output", "json").count('"RunStarted"') == 3
    listed = json.loads(example.mlopsctl("models", "list", "digit-reader", "--output", "json"))["versions"]
    assert [row["version"] for row in listed if row["serves"]] == [job["model"]["version"]]


@pytest.mark.timeout(480)
@pytest.mark.parametrize("example", ["diabetes"], indirect=True)
def test_numbers_and_intervals_are_predicted_watched_and_gated_by_how_sure_they_are(example: Example) -> None:
    rows = example.rows("clinic.data:patients")
    numbers = example.ask("/progression", rows)["predictions"]
    errors = [said - row["progression"] for said, row in zip(numbers, rows, strict=True)]
    assert (sum(error**2 for error in errors) / len(errors)) ** 0.5 < 60
    spans = example.ask("/progression-interval", rows)
    assert spans["quantiles"] == [0.1, 0.5, 0.9]
    assert all(low <= middle <= high for low, middle, high in spans["predictions"])
    inside = sum(
        low <= row["progression"] <= high for (low, _, high), row in zip(spans["predictions"], rows, strict=True)
    )
    assert 0.65 < inside / len(rows) < 0.95

    version = json.loads(example.mlopsctl("models", "show", "progression", "--output", "json"))["version"]
    assert f"TrainingJob/progression: hit, version {version} " in example.mlopsctl("train", "--dry-run", "progression")
    again = example.mlopsctl("reproduce", "progression")
    for line in ("reproduced: ", "bytes: equal", "training set: equal", "libraries: equal", "machine: equal"):
        assert f"  {line}" in again, again
    runs = {path.name.partition("-")[0] for path in (example.folder / ".mlops").rglob("runs/*")}
    assert runs == {"features", "train"}, "what trained again left nothing"

    rewrite(example.folder / "mlops_specs/training/progression.yaml", ("alpha: 1.0", "alpha: 100000.0"))
    example.commit("much worse")
    foretold = example.mlopsctl("train", "--dry-run", "progression")
    assert "TrainingJob/progression: miss" in foretold
    assert "trainer.sklearn.params.alpha: 1.0 -> 100000.0" in foretold
    said = json.dumps(example.reconcile(code=1))
    assert "rmse against live" in said
    assert "sure by 0.9: at worst +" in said
    assert example.ask("/progression", rows[:1])["predictions"] == pytest.approx(numbers[:1])


@pytest.mark.parametrize("example", ["pumps"], indirect=True)
def test_failures_are_foretold_at_the_least_cost(example: Example) -> None:
    shown = json.loads(example.mlopsctl("models", "show", "failure", "--output", "json"))
    assert {gate["passed"] for gate in shown["gates"]} == {True}
    assert [row["rows"] for row in shown["slices"]] == [1_148, 1_428, 859], "whole pumps of each make"
    checks = example.rows("plant.data:checks")
    chosen = [row for row in checks if row["fails"]][:40] + [row for row in checks if not row["fails"]][:40]
    raw = example.function("plant.data:readings")()
    recent = {
        (row.pop("pump"), row.pop("at")): row
        for row in example.function("plant.windows:recent")(raw).collect().to_dicts()
    }
    asked = [{**recent[row["pump"], row["at"] - timedelta(hours=1)], **row} for row in chosen]
    answer = example.ask("/failure", asked)
    threshold = shown["diagnosis"]["confusion"]["threshold"]
    assert threshold < 0.5, "a pump that stops by itself costs more than a visit"
    assert answer["labels"] == [int(said >= threshold) for said in answer["predictions"]]
    assert sum(answer["labels"][:40]) > 30 > 10 > sum(answer["labels"][40:])


@pytest.mark.parametrize("example", ["shop"], indirect=True)
def test_products_are_put_in_order_by_a_model_that_is_trained_once_for_two_environments(example: Example) -> None:
    rows = [row for row in example.rows("market.data:shown") if row["search"] < 20]
    scores = example.ask("/order", rows)["predictions"]
    ranked = [row for _, row in sorted(zip(scores, rows, strict=True), key=lambda pair: pair[0])]
    best = {row["search"]: row["relevance"] for row in ranked}
    assert sum(best.values()) / len(best) > 2, "0.7 by chance, 3 at best"

    environments = example.folder / "mlops_specs/environments"
    text = (environments / "local.yaml").read_text().replace("name: shop", "name: other")
    elsewhere = "patches: [{target: {kind: ModelDeployment}, patch: {serving: {route: /other-order}}}]"
    (environments / "other.yaml").write_text(f"{text}  state: sqlite:///.mlops/other.db\n  {elsewhere}\n")
    example.commit("another environment that shares the storage")
    done = example.reconcile(environment="other")
    assert done["outcome"] == "Converged"
    assert "SubmitRun" not in done["changing_calls"], "what was trained once is not trained again"
    assert done["changing_calls"]["RegisterModel"] == 1
