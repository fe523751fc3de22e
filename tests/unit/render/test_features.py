"""What is told of feature views, as text and as pages."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from framework.api.errors import ConfigurationError
from framework.cards.page import card_html
from framework.figures import ColumnFigures, TransformStep, TransformSteps
from framework.planning.reports.features import ProfiledVersion, ViewColumn, found_version
from framework.render.catalogue import catalogue_html
from framework.render.feature_cards import view_card
from framework.render.feature_tables import difference_json, difference_text, lost, steps_json
from framework.render.features import history_json, view_text, views_text
from tests.unit.render.feature_samples import DIFFERENCE, FIGURES, NEW, OLD, PROFILED, ROW, STEPS, VIEW, VIEWS
from tests.unit.render.samples import NOW
from tests.unit.training.test_card import HOSTILE, Page

SECRET = "hunter2SECRET"
EVIL = replace(
    VIEW,
    row=replace(
        ROW,
        columns=(ViewColumn(HOSTILE, "String", HOSTILE),),
        description=HOSTILE,
        owner=f"see postgresql://u:{SECRET}@h/x",
        labels={"x": HOSTILE},
    ),
    sources={HOSTILE: {"path": f"s3://AKIA:{SECRET}@bucket/x", "format": "csv"}},
    transform={"sql": f"SELECT 1 -- postgresql://u:{SECRET}@h/x\n{HOSTILE}"},
    figures=(ColumnFigures(HOSTILE, "String", 3, 0, 1, items=((HOSTILE, 3),)),),
)


def test_a_page_is_well_formed_and_reaches_for_nothing() -> None:
    text = card_html(view_card(VIEW, [ProfiledVersion(OLD, FIGURES), PROFILED], NOW, "index.html"))
    page = Page(text)
    assert page.open == []
    assert page.headings == ["Columns", "Lineage", "Values", "Movement", "Expectations", "Versions"]
    assert page.links == ["href=index.html", "href=view-weather.html", "href=view-means.html"]
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    assert {"1,200", "United (700), Delta (400), a b (100)", "warned", "12.0000"} <= set(page.cells)
    assert "SELECT carrier, at, delay, name\nFROM flights" in text


def test_a_page_by_itself_links_to_nothing() -> None:
    assert Page(card_html(view_card(VIEW, [], NOW))).links == []


@pytest.mark.parametrize("write", [lambda: card_html(view_card(EVIL, [ProfiledVersion(NEW, EVIL.figures)] * 2, NOW)),
                                   lambda: catalogue_html("local", [EVIL.row], NOW)])  # fmt: skip
def test_what_stands_in_specs_and_data_is_text_on_a_page_and_no_secret(write: object) -> None:
    assert callable(write)
    text: str = write()
    assert Page(text).open == []
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert SECRET not in text


def test_nothing_in_a_terminal_gives_a_secret_away() -> None:
    assert SECRET not in view_text(EVIL, NOW) + views_text([EVIL.row], NOW)


def test_the_catalogue_has_every_view_and_one_script_that_is_named_by_its_hash() -> None:
    text = catalogue_html("local", VIEWS, NOW)
    page = Page(text)
    assert page.links == [f"href=view-{row.name}.html" for row in VIEWS]
    assert page.tags.count("script") == page.tags.count("input") == 1
    assert "default-src 'none'" in text
    assert "script-src 'sha256-" in text
    for told in ("How late flights were", "team=flights", "flights-team", "IATA code", "ModelDeployment/delay"):
        assert told in text


def test_a_view_without_anything_published_has_a_page() -> None:
    bare = replace(VIEW, row=replace(ROW, version=None), shown=None, versions=(), figures=())
    page = Page(card_html(view_card(bare, [], NOW)))
    assert page.headings == ["Columns", "Lineage", "Values"]
    assert "nothing of it is published" in view_text(bare, NOW)


@pytest.mark.parametrize(
    ("after", "word"), [(timedelta(0), "stale"), (timedelta(hours=-1), "fresh"), (timedelta(days=-9), "fresh")]
)
def test_freshness_is_the_age_of_the_newest_event(after: timedelta, word: str) -> None:
    assert ROW.freshness(NOW + after) == word


def test_a_version_is_found_by_its_number_before_its_build() -> None:
    other = replace(OLD, same_table=False, state=replace(OLD.state, uri="s3://b/features/delays/other", version=3))
    known = [NEW, OLD, other]
    assert found_version("delays", "3", known) is NEW
    assert found_version("delays", "3b", known) is NEW
    assert found_version("delays", "2", known) is OLD
    for wrong in ("9", "", "x", "999999999999"):
        with pytest.raises(ConfigurationError, match=r"has no version .* it has 3 \(3b3b3b3b3b\), 2"):
            found_version("delays", wrong, known)
    with pytest.raises(ConfigurationError, match="is not published"):
        found_version("delays", "1", [])


def test_a_difference_says_what_a_program_needs() -> None:
    found = json.loads(difference_json(DIFFERENCE))
    assert found["equal"] is False
    assert found["rows"]["changed"] == 1
    assert [one["name"] for one in found["expectations"]] == ["between of delay", "freshness of at"]
    assert "freshness" not in difference_text(DIFFERENCE)
    assert json.loads(history_json("local", "delays", VIEW.versions))["versions"][0]["expectations"]["warned"] == 1


def test_a_step_says_where_rows_and_values_went() -> None:
    columns = ColumnFigures("x", "Int64", 10, 0, 4), ColumnFigures("y", "Int64", 10, 1)
    before = TransformStep("a", "source", 10, columns)
    columns = ColumnFigures("x", "Int64", 8, 0, 1), ColumnFigures("y", "Int64", 8, 8)
    after = TransformStep("b", "transform", 8, columns)
    assert list(lost(after, before)) == [
        "2 rows fewer than after a",
        "x is the same in every row now",
        "y: 7 more values are missing",
        "y has no value at all",
    ]
    assert list(lost(before, None)) == []
    assert json.loads(steps_json("delays", STEPS))["trouble"].startswith("TransformFailed")
    assert json.loads(steps_json("delays", TransformSteps(())))["steps"] == []
