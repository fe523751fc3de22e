"""mlopsctl models as people call it: on a real repository, a real registry, and model files of which one is damaged."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import cast

import pytest

from controllers.commands.models import listed
from controllers.kinds.served import uses
from framework.ports import Ports
from tests.controllers.shelf import (
    GATES,
    MODEL,
    SECRET,
    Shelf,
    asked,
    lived,
    mine,
    refused,
    registry,
)
from tests.controllers.test_cli import Project
from tests.controllers.test_history_cli import BETTER, STARTED, call
from tests.world import World

__all__ = ["lived", "mine"]


# ------------------------------------------------------------------- list


def test_the_list_says_what_serves_and_what_passed(lived: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    rows = asked(lived, "list")["versions"]
    assert [row["created"] for row in rows] == sorted((row["created"] for row in rows), reverse=True)
    assert [row["training"] for row in rows] == ["classifier", "classifier", "other", "other"]
    newest, before = rows[0], rows[1]
    assert newest["serves"] == [{"deployment": "ModelDeployment/delay", "role": "stable", "weight": 100}]
    assert before["serves"] == []
    names = [[alias["name"] for alias in row["aliases"]] for row in rows]
    assert names == [["champion"], [], ["challenger"], []]
    assert newest["headline"] == {"metric": "auc", "value": 0.7, "loss": False}
    text = call(lived.project, "models", "list").stdout.splitlines()
    assert text[0].split() == ["VERSION", "TASK", "METRIC", "GATES", "COMMIT", "TRAINED", "ALIASES", "SERVES"]
    assert f"classifier@{newest['version']}  binary  auc 0.7000  passed" in text[1]
    assert "ModelDeployment/delay (stable, 100 %)" in text[1]
    assert text[3].split()[-4:] == ["2d", "ago", "challenger", "-"]


def test_the_list_of_one_training_job(lived: Shelf) -> None:
    assert lived.versions("other") == ["abc4560000", "abc1230000"]
    told = refused(lived, "list", "clasifier")
    assert "no versions of 'clasifier'; did you mean 'classifier'?; it has those of classifier, other" in told


def test_without_any_version_there_is_an_empty_list(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    done = call(project, "models", "list")
    assert (done.returncode, done.stdout) == (0, "No model was trained yet.\n")
    assert json.loads(call(project, "models", "list", "--output", "json").stdout)["versions"] == []
    assert "it has none at all" in call(project, "models", "show", "classifier").stderr
    assert not (project.root / ".mlops").exists(), "a command that reads makes nothing"


def test_a_candidate_is_told_with_its_share() -> None:
    world = World()
    world.run()
    first = world.built(world.head)
    world.commit(classifier=BETTER)
    for _ in range(60):
        world.pass_()
        if 10 in world.weights().values():
            break
        world.advance()
    second = world.built(world.head)
    served = {f"classifier@{first}": ("stable", 90), f"classifier@{second}": ("candidate", 10)}
    for training in (None, "classifier"):
        found = uses(world.ports.state, training)
        assert {label: (use.role, use.weight) for label, (use,) in found.items()} == served
    rows = listed(cast(Ports, world.ports), None)
    assert {row.label: [(use.role, use.weight) for use in row.uses] for row in rows} == {
        label: [use] for label, use in served.items()
    }
    assert uses(world.ports.state, "other") == {}


# ------------------------------------------------------------------- show


def test_show_tells_what_is_known_of_a_version(lived: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    text = call(lived.project, "models", "show", "other@abc1").stdout
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for line in (
        "other@abc1230000 binary, auc 0.8750",
        "passed 1 gate",
        "serves nowhere",
        "auc 0.8750 0.8500 to 0.9000 0.7500 0.8125 higher",
        "log_loss 0.7500 - 0.7500 - lower",
        "origin = no value log_loss 800 0.7500",
        "auc under noise of 0.1 0.9000 0.8000",
        "hour auc -0.0100",
        "auc 0.8750 passed >= 0.6",
        "origin = JFK auc 0.6200 800",
        "num_leaves 7",
        "train 6,000",
        "flights 3 bbbbbbbbbb 12,012 2013-01-01 00:00:00",
        "hour Int64 no -",
        "lightgbm 4.6.0",
        "format lightgbm-text",
        f"sha256 {hashlib.sha256(MODEL).hexdigest()}",
    ):
        assert line in lines, line
    found = asked(lived, "show", "other@abc1230000")
    assert found["metrics"]["auc"] == {
        "test": 0.875, "interval": [0.85, 0.9], "validation": 0.75, "live": 0.8125, "loss": False,
    }  # fmt: skip
    assert found["gates"] == list(GATES)
    assert found["diagnosis"]["rows"] == 4000
    assert found["fairness"][0]["value"] == 0.25
    assert found["leakage"]["model"] == 0.9
    assert found["extents"]["flights"]["rows"] == 12012
    assert found["data"]["flights"]["version"] == 3


def test_a_version_is_found_by_what_it_is_called(lived: Shelf, tmp_path: Path) -> None:
    newest, before = lived.versions()
    assert asked(lived, "show", "classifier@champion")["version"] == newest
    assert asked(lived, "show", "classifier@latest")["version"] == newest
    (alias,) = asked(lived, "show", "classifier")["aliases"]
    assert (alias["name"], alias["deployment"], alias["since"][:10]) == (
        "champion", "ModelDeployment/delay", f"{STARTED:%Y-%m-%d}",
    )  # fmt: skip
    assert alias["author"]
    assert alias["why"]
    assert asked(lived, "diff", f"classifier@{before}", "classifier@champion")["after"]["version"] == newest
    assert asked(lived, "show", "other@challenger")["version"] == "abc4560000"
    assert asked(lived, "download", "other@challenger", str(tmp_path / "it"))["label"] == "other@abc4560000"
    assert call(lived.project, "lineage", "classifier@champion").stdout == (
        call(lived.project, "lineage", f"classifier@{newest}").stdout
    )


def test_a_name_alone_is_the_newest_that_passed(mine: Shelf) -> None:
    assert asked(mine, "show", "other")["version"] == "abc4560000"
    newest = mine.versions()[0]
    assert asked(mine, "show", "classifier")["version"] == newest
    with registry(mine.project) as kept:
        known = kept.get("classifier", newest)
        assert known is not None
        failing = known.model_copy(update={"training": "failing", "deployable": False})
        kept.adopt(failing)
    told = refused(mine, "show", "failing")
    assert f"no version of 'failing' passed its gates: name one; it has {newest}" in told
    assert "failed" in call(mine.project, "models", "list", "failing").stdout


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("othr", "did you mean 'other'?"),
        ("other@abc", "2 versions of 'other' begin with 'abc': abc4560000, abc1230000"),
        ("other@abd1230000", "did you mean 'abc1230000'?; it has abc4560000, abc1230000"),
        ("other@", "names no version"),
        ("@abc", "no versions of ''"),
    ],
)
@pytest.mark.parametrize("command", [("show",), ("card",), ("diff", "other@abc1"), ("download",)])
def test_what_is_not_there_or_not_clear_is_told(
    lived: Shelf, command: tuple[str, ...], name: str, told: str, tmp_path: Path
) -> None:
    more = [str(tmp_path / "new")] if command == ("download",) else []
    assert told in refused(lived, *command, name, *more)
    assert list(tmp_path.iterdir()) == []


def test_what_the_run_left_is_missed_by_nobody_but_told(mine: Shelf) -> None:
    (mine.files / "abc1230000" / "version.json").write_text('{"sha256": "changed", "seal": "0"}')
    (mine.files / "abc4560000" / "version.json").unlink()
    done = call(mine.project, "models", "show", "mine@abc1", "--output", "json")
    assert (done.returncode, json.loads(done.stdout)["diagnosis"]) == (0, None)
    assert "is damaged" in done.stderr
    assert "this version is from before that was kept" in call(mine.project, "models", "card", "mine@abc4").stdout


# ------------------------------------------------------------------- diff


def test_diff_says_what_changed_and_what_is_better(lived: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    text = call(lived.project, "models", "diff", "other@abc1", "other@abc4").stdout
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for line in (
        "other@abc1230000 -> other@abc4560000",
        "Their training sets differ, so their metrics are of different rows.",
        "num_leaves 7 15",
        "learning_rate 0.1 -",
        "auc 0.8750 0.9000 better",
        "log_loss 0.7500 0.4000 better",
        "validation_auc 0.7500 0.6000 worse",
        "accuracy 0.7500 -",
        "train 6000 1",
        "hour Int64 Float64 retyped",
        "new - String of 1 category, may be missing added",
        "python 3.11.9 3.12.0",
        "commit c0ffeec ddddddd",
    ):
        assert line in lines, line
    assert any("removed" in line and "script" in line for line in lines)
    assert SECRET not in text
    back = asked(lived, "diff", "other@abc4", "other@abc1")
    verdicts = {item["name"]: item["verdict"] for item in back["differences"] if item["about"] == "metrics"}
    assert (verdicts["auc"], verdicts["log_loss"], verdicts["validation_auc"]) == ("worse", "worse", "better")
    assert (back["equal"], back["same_rows"]) == (False, False)
    assert SECRET not in json.dumps(back)


def test_diff_of_equal_versions_says_so(mine: Shelf) -> None:
    same = call(mine.project, "models", "diff", "mine@abc1", "mine@abc1")
    assert (same.returncode, same.stdout) == (0, "mine@abc1230000 is the same version.\n")
    equal = call(mine.project, "models", "diff", "mine@abc1", "other@abc1").stdout
    assert equal == "mine@abc1230000 and other@abc1230000 are equal in all that is on record.\n"
    assert asked(mine, "diff", "mine@abc1", "other@abc1")["equal"] is True
