"""What mlopsctl models writes and reads beside the registry: cards and model files, of which one is damaged."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.controllers.shelf import (
    MODEL,
    SECRET,
    Shelf,
    asked,
    everything,
    lived,
    mine,
    refused,
)
from tests.controllers.test_history_cli import Done, call
from tests.unit.training.test_card import HOSTILE

__all__ = ["lived", "mine"]


# ------------------------------------------------------------------- card


def test_the_card_is_made_again_with_what_its_gates_said(lived: Shelf, tmp_path: Path) -> None:
    text = call(lived.project, "models", "card", "other@abc1").stdout
    assert text.startswith("# other abc1230000\n")
    for title in ("How good it is", "Gates", "Confusion matrix", "Calibration", "Slices", "Search", "Limits"):
        assert f"\n## {title}\n" in text
    assert "<script" not in text
    page = tmp_path / "card.html"
    done = call(lived.project, "models", "card", "other@abc1", "--html", str(page))
    assert done.stdout == f"The card of other@abc1230000 is in {page}.\n"
    assert page.read_text().startswith("<!doctype html>")
    assert "<script" not in page.read_text()
    found = asked(lived, "card", "other@abc1", "--html", str(page))
    assert found["file"] == str(page), "the same content is no reason to refuse"
    assert [section["title"] for section in found["sections"]][:3] == ["Intended use", "How good it is", "Gates"]
    names = [
        row[0] for section in found["sections"] if section["title"] == "Inputs" for row in section["tables"][0]["rows"]
    ]
    assert HOSTILE in names


def test_a_card_takes_the_place_of_no_other_file(lived: Shelf, tmp_path: Path) -> None:
    page = tmp_path / "card.html"
    page.write_text("mine")
    assert "holds something else" in refused(lived, "card", "other@abc1", "--html", str(page))
    assert page.read_text() == "mine"


def test_no_card_gives_a_secret_away(lived: Shelf, tmp_path: Path) -> None:
    call(lived.project, "models", "card", "other@abc4", "--html", str(tmp_path / "card.html"))
    shown = [
        call(lived.project, "models", verb, "other@abc4", *form).stdout
        for verb in ("card", "show")
        for form in ((), ("--output", "json"))
    ]
    assert all(text and SECRET not in text for text in (*shown, (tmp_path / "card.html").read_text()))


# ------------------------------------------------------------------- download


def test_download_brings_the_model_its_signature_and_its_card(lived: Shelf, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "new"
    done = call(lived.project, "models", "download", "other@abc1", str(folder))
    assert done.returncode == 0, done
    assert set(everything(folder)) == {"model.txt", "signature.json", "README.md", "card.html"}
    assert (folder / "model.txt").read_bytes() == MODEL
    assert [column["name"] for column in json.loads((folder / "signature.json").read_text())["inputs"]] == [
        "hour",
        HOSTILE,
    ]
    assert (folder / "README.md").read_text() == call(lived.project, "models", "card", "other@abc1").stdout
    assert "wrote model.txt, signature.json, README.md, card.html" in " ".join(done.stdout.split())
    assert "takes lightgbm" in " ".join(done.stdout.split())
    assert 'models.load("model.txt"' in done.stdout
    before = everything(folder)
    again = asked(lived, "download", "other@abc1", str(folder))
    assert (again["written"], set(again["kept"])) == ([], set(before))
    assert everything(folder) == before


def test_download_overwrites_nothing(lived: Shelf, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    assert "README.md is there and holds something else; nothing was written" in refused(
        lived, "download", "other@abc1", str(tmp_path)
    )
    assert everything(tmp_path) == {"README.md": b"mine"}


def test_a_link_is_not_followed(lived: Shelf, tmp_path: Path) -> None:
    target, folder = tmp_path / "target", tmp_path / "new"
    folder.mkdir()
    (folder / "model.txt").symlink_to(target)
    assert "model.txt is there" in refused(lived, "download", "other@abc1", str(folder))
    assert not target.exists()


def test_a_damaged_model_file_is_refused(mine: Shelf, tmp_path: Path) -> None:
    path = mine.files / "abc1230000" / "model.txt"
    path.write_bytes(MODEL + b"x")
    folder = tmp_path / "new"
    told = refused(mine, "download", "mine@abc1", str(folder))
    assert "is damaged: it has SHA-256" in told
    assert hashlib.sha256(MODEL).hexdigest() in told
    path.unlink()
    assert "there is no model file of mine@abc1230000" in refused(mine, "download", "mine@abc1", str(folder))
    assert not folder.exists()


def test_nothing_is_changed_by_looking(mine: Shelf) -> None:
    call(mine.project, "models", "list")  # takes up what the fixture left in the database's log
    before = everything(mine.project.root / ".mlops"), everything(mine.files)
    done: list[Done] = [
        call(mine.project, "models", *words)
        for words in (("list",), ("show", "mine@abc1"), ("diff", "mine@abc1", "mine@abc4"), ("card", "mine@abc1"))
    ]
    assert [one.returncode for one in done] == [0] * 4
    assert (everything(mine.project.root / ".mlops"), everything(mine.files)) == before
