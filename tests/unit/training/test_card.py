"""The model card: for each task what is to be told of it, as text that is nothing but text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from framework.api.metrics import VALIDATION, measured
from framework.api.tasks import TASKS, Task
from framework.cards.plots import HEIGHT, CardAxis, progress
from framework.workloads.training.card import card_html, card_markdown, model_card
from framework.workloads.training.diagnosis import diagnose
from tests.unit.training.test_diagnosis import drawn

HOSTILE = '<script>alert("1")</script> | a\n## b `c` *d* ![x](https://example.com/x.png) {{ 7 * 7 }}'
INSIDE = ["What it goes by", "What moves its answers"]
EVIDENCE = {
    Task.BINARY: ["Confusion matrix", "Calibration"],
    Task.MULTICLASS: ["Confusion matrix", "Calibration"],
    Task.REGRESSION: ["Predicted against true", "Residuals"],
    Task.QUANTILE: ["Coverage of each quantile"],
    Task.RANKING: [],
}


def trial(number: int, error: str | None = None, **measured: float) -> dict[str, Any]:
    return {"number": number, "parameters": {"num_leaves": 7 + number}, "rounds": 50, "error": error, **measured}


def result(task: Task, **more: Any) -> dict[str, Any]:
    """What a training run returns of a model of that task."""
    classes = ["low", "mid", "high", HOSTILE] if task is Task.MULTICLASS else []
    quantiles = [0.1, 0.5, 0.9] if task is Task.QUANTILE else []
    output = {"name": "late", "kind": TASKS[task].answer, "task": task.value}
    headline = TASKS[task].headline
    metrics = {prefix + name: 0.75 for prefix in ("", VALIDATION) for name in measured(task)}
    return {
        "artifact": "/somewhere/model.txt",
        "sha256": "ab" * 32,
        "format": "lightgbm-text",
        "signature": {
            "inputs": [
                {"name": "hour", "dtype": "Int64", "nullable": False},
                {"name": HOSTILE, "dtype": "String", "nullable": True, "categories": ["a", "b", "c"]},
            ],
            "output": {**output, "classes": classes, "quantiles": quantiles},
        },
        "metrics": {**metrics, headline: 0.875},
        "champion_metrics": {headline: 0.8125},
        "intervals": {headline: [0.85, 0.9]},
        "parameters": {"num_leaves": 7, "learning_rate": 0.1},
        "lineage": {
            "commit": "c0ffee" * 6,
            "cause": "git",
            "seed": 7,
            "dataset": "da" * 32,
            "views": {"flights": {"uri": "/t", "version": 3, "identity": "i" * 10, "build": "b" * 10}},
            "libraries": {"python": "3.11.9", "lightgbm": "4.6.0"},
            "champion": "0123456789",
            "champion_problem": "",
        },
        "rows": {"train": 6000, "validation": 2000, "test": 4000, "dropped": 12},
        "trials": [
            *(trial(number, **{f"{VALIDATION}{headline}": value}) for number, value in enumerate([0.6, 0.5, 0.7])),
            trial(3, error="TrainerFailed: too deep"),
        ],
        "slices": [
            {"by": "origin", "value": "EWR", "metric": headline, "rows": 900, "score": 0.91},
            {"by": "origin", "value": "JFK", "metric": headline, "rows": 800, "score": 0.62, "of": 3,
             "interval": [0.58, 0.66]},
            {"by": "origin", "value": HOSTILE, "metric": headline, "rows": 700, "score": None},
        ],
        "fairness": [
            {
                "attribute": "origin", "metric": "group_loss_difference", "loss": None, "minRows": 1, "value": 0.25,
                "problem": "", "groups": [
                    {"group": HOSTILE, "rows": 900, "values": {"log_loss": 0.5}},
                    {"group": None, "rows": 800, "values": {"log_loss": 0.75}},
                ],
            },
            {
                "attribute": "carrier", "metric": "group_loss_difference", "loss": "brier", "minRows": 1, "value": None,
                "problem": "all 4,000 test rows have carrier = AA, so there is nothing to compare",
                "groups": [{"group": "AA", "rows": 4000, "values": {}}],
            },
        ],
        "robustness": [
            {"perturb": "noise", "amount": 0.1, "metric": headline, "columns": [HOSTILE], "clean": 0.9, "value": 0.8,
             "problem": ""},
        ],
        "importance": {
            "metric": headline, "value": 0.875, "rows": 1000, "repeats": 3, "problem": "",
            "inputs": [
                {"input": HOSTILE, "drop": 0.125, "spread": 0.01}, {"input": "hour", "drop": -0.01, "spread": 0.0},
            ],
        },
        "leakage": {
            "metric": "auc", "model": 0.9, "inputs": [{"input": HOSTILE, "value": 0.89}],
            "rows": {"equal": 3, "of": 4000}, "entities": {"columns": ["flight"], "shared": 7, "of": 4000},
            "hints": ["hour alone reaches auc 0.8900 on the test rows: is it known before the label is?"],
        },
        "contributions": {"rows": 200, "problem": "", "inputs": [{"input": HOSTILE, "mean": 0.25}]},
        "diagnosis": diagnose(drawn(task), tuple(classes)),
        "origin": {
            "trainer": "lightgbm",
            "spine": "departures",
            "label": "late",
            "description": "Tells travellers when to leave.",
            "views": {"flights": {"rows": 12012, "since": "2013-01-01T00:00:00+00:00", "until": None}},
            "search": {"metric": f"{VALIDATION}{headline}", "mode": "max"},
        },
        **more,
    }  # fmt: skip


class Page(HTMLParser):
    """What of a page is text, and what is not."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.headings: list[str] = []
        self.cells: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [f"{name}={value}" for name, value in attrs if name in {"src", "href", "srcset", "action"}]
        if tag not in {"input", "line", "meta"}:
            self.open.append(tag)
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag != "line":
            assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)
        if self.open and self.open[-1] in {"td", "th"}:
            self.cells[-1] += data


def headings(markdown: str) -> list[str]:
    return re.findall(r"^## (.*)$", markdown, re.MULTILINE)


@pytest.mark.parametrize("task", Task)
def test_a_card_has_every_section_of_its_task(task: Task) -> None:
    card = model_card("delay", "0123456789", result(task))
    wanted = [
        "Intended use", "How good it is", *EVIDENCE[task], "Slices", "Fairness", "Robustness", "What it goes by",
        "What moves its answers", "Signs of leakage", "Search", "Data that was read", "Inputs",
        "Parameters", "Lineage", "Limits",
    ]  # fmt: skip
    assert [section.title for section in card.sections] == wanted
    text = card_markdown(card)
    assert headings(text) == wanted
    assert Page(card_html(card)).headings == wanted
    for told in (
        "# delay 0123456789", "Tells travellers when to leave.", "6,000 rows to learn from",
        "The live model is 0123456789",
        "12 rows without a label", "Worst by origin: ", "| flights | 3 | bbbbbbbbbb | 12,012 | 2013-01-01 00:00:00 |",
        "TrainerFailed: too deep", "| lightgbm | 4.6.0 |", "| seed | 7 |",
        "group\\_loss\\_difference of brier by carrier: not measured, for all 4,000 test rows have carrier = AA",
        "| no value | 800 | 0.7500 |", "Warning: hour alone reaches auc 0.8900",
        "7 of 4,000 test rows are of an entity",
    ):  # fmt: skip
        assert told in text, told
    drawn_of = {section.title for section in card.sections if section.plots}
    assert drawn_of == {*EVIDENCE[task], "Search", "Fairness", *INSIDE} - {"Confusion matrix"}


@pytest.mark.parametrize("task", Task)
def test_metrics_of_test_validation_and_the_live_model_stand_side_by_side(task: Task) -> None:
    text = card_markdown(model_card("delay", "0123456789", result(task))).replace("\\", "")
    headline = TASKS[task].headline
    better = "lower" if task in {Task.REGRESSION, Task.QUANTILE} else "higher"
    assert f"| {headline} | {better} | 0.8750 | 0.8500 to 0.9000 | 0.7500 | 0.8125 |" in text
    rows = [name for name in measured(task) if f"\n| {name} | " in text]
    assert rows == list(measured(task))


@pytest.mark.parametrize(("metric", "worst"), [("auc", "JFK"), ("log_loss", "EWR")])
def test_the_worst_part_of_a_loss_is_the_largest(metric: str, worst: str) -> None:
    rows = [{**row, "metric": metric} for row in result(Task.BINARY)["slices"]]
    text = card_markdown(model_card("delay", "1", result(Task.BINARY, slices=rows)))
    assert f"Worst by origin: {worst}" in text


@pytest.mark.parametrize("task", Task)
def test_nothing_of_the_data_is_markup(task: Task) -> None:
    card = model_card("delay", "0123456789", result(task))
    page = card_html(card)
    parsed = Page(page)
    assert (parsed.open, parsed.links) == ([], [])
    assert "script" not in parsed.tags
    assert "img" not in parsed.tags
    spelled = HOSTILE.replace("\n", "\\n")
    assert any(cell == spelled for cell in parsed.cells)
    assert re.search(r"url\(|@import|<link|<iframe|<object", page.partition("</style>")[2]) is None

    text = card_markdown(card)
    assert "<" not in text
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(tables) == sum(len(section.tables) for section in card.sections)
    assert [len({columns(row) for row in rows}) for rows in tables] == [1] * len(tables)
    assert "\n## b" not in text
    assert re.search(r"(?<!\\)[`*\[]", text) is None


def columns(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row))


@pytest.mark.parametrize("sign", ["# x", "- x", "1. x", "+ x", "=== x", "12) x", "> x"])
def test_a_sentence_begins_nothing_else(sign: str) -> None:
    found = result(Task.BINARY)
    text = card_markdown(model_card("delay", "1", {**found, "origin": {**found["origin"], "description": sign}}))
    assert re.search(r"^(#|-|\+|=|>|\d+[.)]) ?x?", text.split("Intended use\n\n")[1].splitlines()[0]) is None


def test_no_page_names_another_address() -> None:
    found = result(Task.BINARY, slices=[], fairness=[], importance=None, contributions=None, leakage=None)
    found["signature"]["inputs"].pop()
    page = card_html(model_card("delay", "1", found))
    assert "//" not in page
    assert "default-src 'none'" in page


def test_a_secret_is_in_neither() -> None:
    found = result(Task.BINARY, parameters={"password": "hunter2SECRET", "url": "https://u:hunter2SECRET@h/x"})
    found["origin"]["description"] = "see postgresql://u:hunter2SECRET@h/x"
    card = model_card("delay", "1", found)
    assert "hunter2SECRET" not in card_markdown(card) + card_html(card)


def test_a_version_from_before_says_what_is_not_on_record() -> None:
    found = result(Task.BINARY, champion_metrics=None, slices=[], fairness=None, robustness=[])
    for name in ("diagnosis", "origin", "trials", "importance", "contributions", "leakage"):
        del found[name]
    found["lineage"] = {"commit": "c0ffee", "champion_problem": "nothing is live"}
    card = model_card("delay", "1", found)
    text = card_markdown(card)
    assert "No confusion matrix and calibration on record: this version is from before that was kept." in text
    assert "No other model was live" in text
    assert "No part of the test rows was judged by itself." in text
    for name in ("Fairness was", "Robustness was", "What the model goes by was"):
        assert f"{name} not looked at" in text
    assert "Intended use" not in text
    assert "Search" not in headings(text)
    assert "this version is from before" in card_html(card)


def test_answers_that_are_no_numbers_are_told() -> None:
    text = card_markdown(
        model_card("delay", "1", result(Task.REGRESSION, diagnosis={"rows": 0}, metrics={"not_finite": 3.0}))
    )
    assert "none of them was a finite number" in text
    assert "| not\\_finite |  | 3.0000 |" in text


def test_what_was_not_looked_at_for_its_time_is_told() -> None:
    left = {"metric": "auc", "value": 0.9, "rows": 9, "repeats": 3, "inputs": [], "problem": "it would take about 90 s"}
    text = card_markdown(model_card("delay", "1", result(Task.BINARY, importance=left, contributions=left)))
    assert text.count("Not looked at: it would take about 90 s.") == 2


def test_gates_are_told_where_the_version_was_judged() -> None:
    gates = [
        {"gate": "auc", "value": 0.875, "bar": ">= 0.6", "passed": True},
        {"gate": "f1", "value": None, "bar": ">= 0.9", "passed": False},
    ]
    text = card_markdown(model_card("delay", "1", result(Task.BINARY), gates))
    assert "| auc | 0.8750 | &gt;= 0.6 | passed |" in text
    assert "| f1 |  | &gt;= 0.9 | failed |" in text


def test_other_forms_are_told_with_what_they_save_and_cost() -> None:
    known = result(Task.BINARY)
    form = {
        "passed": True, "reason": "", "rows": 4200, "deviation": 2.5e-7, "bound": 1e-4, "unit": "in probability",
        "bytes": {"native": 91234, "form": 60321}, "milliseconds": {"native": 14.9, "form": 0.05},
        "metric": {"name": "auc", "native": 0.8342, "form": None},
    }  # fmt: skip
    forms = {"quantized": {"passed": False, "reason": HOSTILE}, "onnx": form}
    card = model_card("delay", "1", {**known, "lineage": {**known["lineage"], "forms": forms}})
    (section,) = (one for one in card.sections if one.title == "Other forms")
    assert section.sentences == ("The form onnx may serve.", f"The form quantized may not serve: {HOSTILE}.")
    assert ("onnx", "milliseconds for one row", "14.9000", "0.0500") in section.tables[0].rows
    assert ("onnx", "auc on the test rows", "0.8342", "") in section.tables[0].rows
    assert "<script>" not in card_html(card)
    assert all(one.title != "Other forms" for one in model_card("delay", "1", known).sections)


def test_the_best_so_far_never_gets_worse() -> None:
    plot = progress([(0, 0.6, ""), (1, 0.5, ""), (2, 0.7, "")], [(0, 0.6), (1, 0.6), (2, 0.7)], "t", "auc")
    assert [dot.x for dot in plot.dots] == sorted(dot.x for dot in plot.dots)
    ends = [stroke.y2 for stroke in plot.strokes]
    assert ends == sorted(ends, reverse=True), "up is less"
    assert ends[-1] == plot.dots[-1].y
    assert all(0 <= dot.y <= HEIGHT and 0 <= dot.x <= 100 for dot in plot.dots)


@pytest.mark.parametrize(
    "values",
    [
        [0.0],
        [5.0, 5.0],
        [-1e9, 1e9],
        [1e-12, 2e-12],
        [0.1, 0.2, 0.7],
        [1.0, 1.0000000000000002],
        [5e-324, 1e-323],
        [-1e150, 1e150],
        [1e16, 1e16 + 2],
        [-3.0, -3.0],
    ],
)
def test_an_axis_holds_what_it_is_for(values: list[float]) -> None:
    axis = CardAxis.over(values)
    assert all(0 <= axis.y(value) <= HEIGHT and 0 <= axis.x(value) <= 100 for value in values)
    assert 2 <= len(axis.levels) <= 12
    assert all(len(level.text) <= 14 for level in axis.levels)
    assert np.all(np.diff([tick.at for tick in axis.ticks]) > 0)


def many(count: int) -> list[dict[str, Any]]:
    """Trials of a search with a parameter that is not always there, and names that are markup."""
    found = []
    for number in range(count):
        parameters = {HOSTILE: 10.0 ** -(number % 4), "grow": "leaf" if number % 2 else None, "deep": number % 3 == 0}
        if number % 2:
            parameters["leaves"] = 8 + number
        found.append({**trial(number, validation_auc=0.5 + number / 1000), "parameters": parameters})
    return found


def test_a_search_is_told_with_its_winner_first_and_only_the_best_of_many() -> None:
    bounds = [{"metric": "validation_recall", "min": 0.6, "max": None}, {"latency": {"max": "2ms"}}]
    told = {
        "metric": "validation_auc", "mode": "max", "algorithm": "optuna", "scheduler": "pbt", "constraints": bounds,
        "refit": "trainAndValidation", "winner": 7, "stages": [20, 40], "importance": {HOSTILE: 0.75, "leaves": 0.25},
    }  # fmt: skip
    trials = many(120)
    trials[7] |= {"validation_recall": 0.7, "latency_ms": 1.25, "after": 3}
    card = model_card("delay", "1", result(Task.BINARY, trials=trials, origin={"search": told}))
    section = next(one for one in card.sections if one.title == "Search")
    sentences = " ".join(section.sentences)
    assert "120 trials by optuna, scheduler pbt, compared by validation_auc, where more is better." in sentences
    assert "Trial 7 was taken. It had to keep validation_recall of at least 0.6" in sentences
    assert "a single row within 2ms" in sentences
    assert "after 20, 40 rounds" in sentences
    assert "The best 50 of them are listed." in sentences
    table, weights = section.tables
    assert [row[0] for row in table.rows] == ["7", *(str(number) for number in range(119, 70, -1))]
    first = dict(zip(table.head, table.rows[0], strict=True))
    assert (first["after"], first["validation_recall"], first["latency_ms"]) == ("3", "0.7000", "1.2500")
    assert [row[1] for row in weights.rows] == ["75.0 %", "25.0 %"]
    history, parallel, importance = section.plots
    assert len(history.dots) == 120
    assert {stroke.style for stroke in parallel.strokes} == {"value", "other"}
    assert all(0 <= dot.x <= 100 and 0 <= dot.y <= parallel.height for dot in parallel.dots)
    assert [bar.text.rpartition(": ")[2] for bar in importance.bars] == ["75.0 %", "25.0 %"]
    page = card_html(card)
    assert not {"script", "iframe", "img"} & set(Page(page).tags)
    assert HOSTILE not in page


def test_of_a_search_that_varied_one_thing_or_had_one_trial_no_plot_is_drawn_that_shows_nothing() -> None:
    for trials, plots in ((many(1), 1), ([{**one, "parameters": {"eta": 0.1}} for one in many(9)], 1)):
        card = model_card("delay", "1", result(Task.BINARY, trials=trials))
        (section,) = (one for one in card.sections if one.title == "Search")
        assert len(section.plots) == plots
