"""mlopsctl features as people call it: on a repository, its records, and tables that runs published in this process."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from controllers.client import Project as Reader
from framework.sketches import load_whylogs
from tests.controllers.test_cli import Project
from tests.controllers.test_history_cli import STARTED, Done, call, live
from tests.notebook import commit, everything, git, reconcile
from tests.unit.training.test_card import Page

VIEW = """
apiVersion: mlops/v1alpha1
kind: FeatureView
metadata: {name: delays, owner: flights-team, description: How late, labels: {team: "<flights>"}}
spec:
  entities: [carrier]
  timestamp: at
  sources:
    flights: {format: csv, path: data/flights.csv, options: {parseDates: true}}
    carriers: {format: csv, path: data/carriers.csv}
  transform:
    sql: |
      WITH known AS (SELECT f.*, c.name FROM flights f JOIN carriers c ON f.carrier = c.carrier)
      SELECT carrier, at, delay, name FROM known
  columns:
    - {name: carrier, dtype: String, description: IATA code}
    - {name: at, dtype: Datetime}
    - {name: delay, dtype: Float64, description: Minutes}
    - {name: name, dtype: String}
  expectations: [{column: delay, between: [0, 90]}]
  materialization: {every: 1ms}
"""
OTHER = """
apiVersion: mlops/v1alpha1
kind: FeatureView
metadata: {name: later}
spec:
  entities: [carrier]
  sources: {none: {format: csv, path: data/missing.csv}}
  columns: [{name: carrier, dtype: String}]
"""
FIRST = "carrier,at,delay\nAA,2026-01-01T00:00:00,1\nUA,2026-01-01T00:00:00,2\nXX,2026-01-01T00:00:00,3\n"
SECOND = FIRST.replace("UA,2026-01-01T00:00:00,2", "UA,2026-01-01T00:00:00,") + "AA,2026-01-01T01:00:00,40\n"
RETYPED = VIEW.replace("delay, name FROM", "delay, 1 AS one FROM").replace(
    "{name: name, dtype: String}", "{name: one, dtype: Int64}"
)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two versions of one table, then one of another; and a view of which nothing was ever published."""
    project = Project.__new__(Project)
    project.root = tmp_path_factory.mktemp("features") / "project"
    project.specs = project.root / "mlops_specs"
    project.specs.mkdir(parents=True)
    (project.root / "data").mkdir()
    (project.root / ".gitignore").write_text(".mlops/\n")
    (project.root / "data" / "carriers.csv").write_text("carrier,name\nAA,American\nUA,<i>United</i>\n")
    git(project.root, "init", "--quiet", "--initial-branch", "main")
    for rows, view in ((FIRST, VIEW), (SECOND, VIEW), (SECOND, RETYPED)):
        (project.root / "data" / "flights.csv").write_text(rows)
        project.write(delays=view)
        commit(project.root)
        reconcile(project.root)
    project.write(later=OTHER)
    commit(project.root)
    return project


def asked(project: Project, *arguments: str) -> Any:
    done = call(project, "features", *arguments, "--output", "json")
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def refused(project: Project, *arguments: str) -> str:
    """What a call is told that is refused, to people and to programs alike."""
    done = call(project, "features", *arguments)
    assert (done.returncode, done.stdout) == (1, ""), done
    document = json.loads(call(project, "features", *arguments, "--output", "json").stdout)
    assert document["error"]["message"] in done.stderr
    return done.stderr


def text(project: Project, *arguments: str) -> str:
    done: Done = call(project, "features", *arguments)
    assert done.returncode == 0, done
    return done.stdout


def builds(project: Project) -> list[str]:
    """Newest first."""
    return [one["build"] for one in asked(project, "history", "delays")["versions"]]


def test_the_list_has_what_git_asks_for_and_what_is_published(lived: Project) -> None:
    found = asked(lived, "list")["views"]
    assert [(one["name"], one["version"] and one["version"]["rows"]) for one in found] == [
        ("delays", 3),
        ("later", None),
    ]
    assert (found[0]["owner"], found[0]["labels"]) == ("flights-team", {"team": "<flights>"})
    assert re.search(r"^delays +0 +3 +2026-01-01 01:00:00 ", text(lived, "list"), re.MULTILINE)
    assert re.search(r"^later +not published ", text(lived, "list"), re.MULTILINE)


def test_a_view_is_shown_with_what_is_known_of_each_of_its_versions(lived: Project) -> None:
    found = asked(lived, "show", "delays")
    assert [one["name"] for one in found["columns"]] == ["carrier", "at", "delay", "one"]
    assert [one["name"] for one in found["figures"]] == ["delay", "one"]
    assert (found["entities"], found["timestamp"]) == (["carrier"], "at")
    assert [one["passed"] for one in found["expectations"]] == [True]
    old = asked(lived, "show", "delays", "--version", builds(lived)[2])
    assert [one["name"] for one in old["figures"]] == ["delay", "name"]
    assert (old["shown"]["rows"], old["shown"]["current"]) == (2, False)
    assert "readers have version 0" in text(lived, "show", "delays", "--version", builds(lived)[2])
    assert "nothing of it is published" in text(lived, "show", "later")


def test_the_history_has_the_versions_of_every_table(lived: Project) -> None:
    found = asked(lived, "history", "delays")["versions"]
    assert [(one["version"], one["rows"], one["rows_before"], one["current"]) for one in found] == [
        (0, 3, 3, True), (1, 3, 2, False), (0, 2, None, False),
    ]  # fmt: skip
    assert [one["cause"] for one in found] == ["git", "data", "git"]
    assert len({one["commit"] for one in found}) == 3
    assert [one["expectations"]["passed"] for one in found] == [1, 1, 1]
    assert text(lived, "history", "later") == "Nothing of later is published.\n"


def test_two_versions_differ_as_their_rows_do(lived: Project) -> None:
    newest, second, first = builds(lived)
    found = asked(lived, "diff", "delays", first, "1")
    rows = found["rows"]
    assert (rows["added"], rows["removed"], rows["changed"], rows["same"]) == (1, 0, 1, 1)
    assert rows["examples"]["changed"][0]["moved"] == {"delay": {"before": 2.0, "after": None}}
    assert found["equal"] is False
    told = text(lived, "diff", "delays", first, second)
    assert "1 added, 0 removed, 1 changed, 1 the same" in told
    assert "delay 2.0 -> null" in told
    other = asked(lived, "diff", "delays", second, newest)
    assert [(one["name"], one["before"], one["after"]) for one in other["columns"]] == [
        ("name", "String", None), ("one", None, "Int64"),
    ]  # fmt: skip
    assert other["rows"]["same"] == 3
    assert "They hold the same." in text(lived, "diff", "delays", "0", newest)


def test_a_profile_is_told_and_taken_along(lived: Project, tmp_path: Path) -> None:
    file = tmp_path / "delays.bin"
    found = asked(lived, "profile", "delays", "--out", str(file))
    assert [(one["name"], one["rows"], one["nulls"]) for one in found["figures"]] == [("delay", 3, 1), ("one", 3, 0)]
    view = load_whylogs().read(str(file)).view()
    assert sorted(view.get_columns()) == ["delay", "one"]
    assert "GREATEST" in text(lived, "profile", "delays", "--version", "1")
    file.write_text("mine")
    assert "holds something else" in refused(lived, "profile", "delays", "--out", str(file))
    assert file.read_text() == "mine"


def test_a_computation_is_gone_through_and_nothing_published(lived: Project) -> None:
    before = everything(lived.root)
    found = asked(lived, "debug", "delays")
    assert [(one["name"], one["rows"]) for one in found["steps"]] == [
        ("flights", 4), ("carriers", 2), ("known", 3), ("the SQL", 3), ("the columns of the view", 3),
    ]  # fmt: skip
    assert found["steps"][2]["told"] == ["1 row fewer than after flights"]
    assert everything(lived.root) == before


def test_a_step_that_fails_is_an_exit_code(lived: Project, tmp_path: Path) -> None:
    shutil.copytree(lived.root, tmp_path / "project")
    mine = Project.__new__(Project)
    mine.root, mine.specs = tmp_path / "project", tmp_path / "project" / "mlops_specs"
    mine.write(delays=VIEW.replace("delay, name FROM", "dealy, name FROM"))
    assert call(mine, "features", "debug", "delays").returncode == 0
    done = call(mine, "features", "debug", "delays", "--head", "worktree", "--output", "json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert [one["name"] for one in found["steps"]] == ["flights", "carriers", "known"]
    assert "dealy" in found["trouble"]
    done = call(mine, "features", "debug", "later")
    assert (done.returncode, "SourceMissing" in done.stdout) == (1, True)


def test_pages_are_written_side_by_side(lived: Project, tmp_path: Path) -> None:
    folder = tmp_path / "catalogue"
    told = asked(lived, "catalogue", "--out", str(folder))
    assert told["files"] == sorted(path.name for path in folder.iterdir()) == [
        "index.html", "view-delays.html", "view-later.html",
    ]  # fmt: skip
    for path in folder.iterdir():
        page = Page(path.read_text())
        assert page.open == []
        assert all((folder / link.removeprefix("href=")).exists() for link in page.links)
    text(lived, "catalogue", "--out", str(folder))
    assert "&lt;flights&gt;" in (folder / "index.html").read_text()
    page = tmp_path / "mine.html"
    assert text(lived, "show", "delays", "--html", str(page)) == f"The page of delays is in {page}.\n"
    assert "Movement" in Page(page.read_text()).headings
    page.write_text("mine")
    assert "is no page" in refused(lived, "show", "delays", "--html", str(page))
    assert page.read_text() == "mine"


def test_names_that_mean_nothing_are_told_with_the_nearest_that_do(lived: Project) -> None:
    for words in (["show", "delas"], ["history", "delas"], ["profile", "delas"], ["debug", "delas"],
                  ["diff", "delas", "0", "1"]):  # fmt: skip
        assert "did you mean 'delays'" in refused(lived, *words)
    assert "has no version '7' on record; it has 0 (" in refused(lived, "show", "delays", "--version", "7")
    assert "not published" in refused(lived, "profile", "later")
    assert "not published" in refused(lived, "diff", "later", "0", "1")


def test_profiles_over_versions_are_a_frame(lived: Project) -> None:
    found = Reader(lived.root).profiles("delays")
    assert found.select("column", "rows", "missing", "q0.5").rows() == [
        ("delay", 2, 0.0, 2.0), ("name", 2, 0.0, None),
        ("delay", 3, pytest.approx(1 / 3), 40.0), ("name", 3, 0.0, None),
        ("delay", 3, pytest.approx(1 / 3), 40.0), ("one", 3, 0.0, 1.0),
    ]  # fmt: skip
    assert found["published"].is_sorted()
    assert Reader(lived.root).table("delays").select(pl.len()).collect().item() == 3


def test_a_table_that_cannot_be_read_is_told_and_hides_nothing_else(tmp_path: Path) -> None:
    """The data plane was in memory: there are records, but no tables."""
    project = Project(tmp_path / "project")
    live(project, STARTED)
    (found,) = asked(project, "list")["views"]
    assert (found["name"], found["version"]) == ("departures", None)
    assert "cannot read the table" in found["problem"]
    assert found["readers"] == ["TrainingJob/classifier", "ModelDeployment/delay"]
    told = text(project, "show", "departures")
    assert "it is read by TrainingJob/classifier, ModelDeployment/delay" in told
    assert "cannot read the table" in told
    text(project, "catalogue", "--out", str(tmp_path / "catalogue"))
    for words in (["history", "departures"], ["profile", "departures"], ["diff", "departures", "0", "1"]):
        done = call(project, "features", *words)
        assert (done.returncode, "cannot read the table" in done.stderr) == (1, True)
