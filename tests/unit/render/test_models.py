"""Model versions as text: no wider than the terminal, nothing of it steers one, and nothing secret is told."""

from __future__ import annotations

import json

import pytest

from framework.planning.reports.models import compared, model_report, model_row
from framework.render.models import (
    LIBRARIES,
    comparison_json,
    comparison_text,
    download_json,
    download_text,
    loading,
    model_json,
    model_text,
    models_json,
    models_text,
)
from framework.render.terminal import cells
from framework.workloads.formats import FORMATS
from tests.unit.render.model_samples import INPUTS, KEPT, LATER, REPORT, ROW, version
from tests.unit.render.samples import NOW
from tests.unit.render.test_widths import WIDTHS

SECRET = "hunter2SECRET"
ODD = model_row(
    version(
        training="a-name-of-forty-seven-characters-is-the-longest",
        signature={"inputs": [INPUTS[0] | {"name": "\x1b[31m" + "long" * 30}], "output": {"name": "y"}},
        parameters={"password": SECRET, "url": f"s3://u:{SECRET}@b", "list": list(range(40))},
    )
)


def texts(width: int) -> list[str]:
    odd = model_report(ODD, KEPT)
    files = ["model.txt", "signature.json"]
    return [
        models_text([ROW, LATER, ODD], NOW, width=width),
        *(model_text(one, NOW, width=width) for one in (REPORT, odd)),
        *(comparison_text(compared(ROW, one), width=width) for one in (ROW, LATER, ODD)),
        download_text(ROW.model, "some/folder", "model.txt", files, ["README.md"], width=width),
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for text in texts(width):
        assert [line for line in text.splitlines() if cells(line) > width] == []
        assert "\x1b" not in text


def test_nothing_secret_is_told() -> None:
    documents = [
        models_json("local", [ODD]), model_json("local", model_report(ODD, KEPT)),
        comparison_json(compared(ROW, ODD)), comparison_json(compared(ODD, ROW)),
    ]  # fmt: skip
    for text in (*texts(110), *documents):
        assert SECRET not in text
    assert "***" in documents[1]


def test_json_has_everything_in_full() -> None:
    found = json.loads(model_json("local", REPORT))
    assert found["serves"] == [{"deployment": "ModelDeployment/delay", "role": "candidate", "weight": 10}]
    assert [(one["name"], one["author"], one["why"]) for one in found["aliases"]] == [
        ("challenger", None, None),
        ("stable", "Ada <ada@example.org>", "Serve it"),
    ]
    assert found["artifact"]["sha256"] == "ab" * 32
    assert found["inputs"] == INPUTS
    assert found["seed"] == 7
    differences = json.loads(comparison_json(compared(ROW, LATER)))["differences"]
    assert {"about": "metrics", "name": "auc", "before": 0.8342, "after": 0.8, "verdict": "worse"} in differences


def test_without_versions_there_is_a_sentence() -> None:
    assert models_text([], NOW) == "No model was trained yet.\n"


def test_colours_mark_what_is_better_and_what_is_worse() -> None:
    text = comparison_text(compared(ROW, LATER), colour=True)
    assert "\x1b[31mworse" in text
    assert "\x1b[32mbetter" in text


@pytest.mark.parametrize("format", ["lightgbm-text", "skops", "a-later-one"])
def test_how_to_open_a_model_file_is_python(format: str) -> None:
    sentence, *code = loading(version(format=format), "model.bin")
    compile("\n".join(code), "loading", "exec")
    assert format in sentence
    assert LIBRARIES.get(format, "mlopsctl[train]") in sentence
    assert "***" not in download_json(version(format=format), "x", "model.bin", [], [])


def test_the_libraries_are_those_of_formats() -> None:
    assert set(LIBRARIES) <= set(FORMATS)
