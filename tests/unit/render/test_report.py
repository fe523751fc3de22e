from __future__ import annotations

import copy
import re
import subprocess
import sys
from typing import Any

import pytest

from framework.render.report import report_html

Content = dict[str, Any]

COLUMN: Content = {
    "column": "temp",
    "finding": "Drift",
    "statistic": "psi",
    "value": 0.788,
    "limit": 0.317,
    "threshold": 0.2,
    "natural": 0.104,
    "noise": 0.0576,
    "rows": 1_234,
    "reference_rows": 7_200,
    "message": "psi 0.788 beyond 0.317",
    "shares": {"labels": ["up to 1", "over 1", "missing"], "reference": [0.4, 0.5, 0.1], "window": [0.1, 0.8, 0.1]},
}
CALM = {**COLUMN, "column": "wind", "finding": "NoDrift", "value": 0.1, "message": "psi 0.1 within 0.317"}
UNKNOWN = {
    **COLUMN,
    "column": "visib",
    "finding": "Inconclusive",
    "value": None,
    "limit": None,
    "natural": None,
    "noise": None,
    "message": "12 rows; needs 200",
    "shares": None,
}
CHECKED = {"until": "2026-11-20T13:10:00Z", "rows": 1_234, "judged": 2, "drifted": 1}
CONTENT: Content = {
    "monitor": "delay-monitor",
    "deployment": "delay",
    "environment": "local",
    "app": "delay-3f2a91c0de",
    "version": "delay-classifier@3f2a91c0de",
    "model_commit": "9b1c2d3e4f5061728394a5b6c7d8e9f001122334",
    "commit": "c0ffee1234c0ffee1234c0ffee1234c0ffee1234",
    "live_since": "2026-11-20T12:00:00+00:00",
    "generated": "2026-11-20T13:10:12+00:00",
    "window": {"since": "2026-11-20T13:05:00+00:00", "until": "2026-11-20T13:10:00+00:00", "rows": 1_234},
    "summary": "1 of 2 columns drifts (max psi 0.79 temp)",
    "finding": "Drift",
    "false_alarm_rate": 0.01,
    "reference_periods": 8,
    "remarks": [],
    "columns": [COLUMN, CALM, UNKNOWN],
    "performance": {
        "finding": "Inconclusive",
        "metric": "auc",
        "value": 0.651,
        "low": 0.626,
        "high": 0.677,
        "baseline": 0.704,
        "bound": 0.654,
        "labelled": 2_250,
        "predictions": 4_000,
        "message": "auc 0.651 is below 0.654, but chance is not ruled out",
    },
    "quality": [
        {
            "column": "humid",
            "check": "null rate",
            "value": 0.1667,
            "low": 0.1227,
            "bound": 0.05,
            "count": 206,
            "rows": 1_234,
            "message": "",
        }
    ],
    "history": [
        {
            **CHECKED,
            "until": "2026-11-20T13:05:00Z",
            "drifted": 0,
            "value": None,
            "low": None,
            "high": None,
            "labelled": 0,
        },
        {**CHECKED, "value": 0.651, "low": 0.626, "high": 0.677, "labelled": 2_250},
    ],
    "episodes": [{"subject": "drift", "id": "x", "since": "2026-11-20T12:50:00Z", "title": "1 of 2 columns drifts"}],
}


def rendered(**changes: Any) -> str:
    return report_html({**copy.deepcopy(CONTENT), **changes})


@pytest.fixture(scope="module")
def html() -> str:
    return rendered()


def test_the_header_says_what_was_judged(html: str) -> None:
    page = html
    for text in (
        "<title>delay-monitor · 2026-11-20 13:10:00</title>",
        "delay-classifier@3f2a91c0de",
        "<code>9b1c2d3</code>",
        "delay in local",
        "2026-11-20 13:05:00 – 13:10:00",
        "<dd>1,234</dd>",
        '<span class="pill warn">Drift</span>',
        '<span class="pill quiet">Performance: inconclusive</span>',
        "1 of 2 columns drifts (max psi 0.79 temp)",
    ):
        assert text in page


def test_drift_is_never_shown_as_loss_of_performance(html: str) -> None:
    assert "Drift is not loss of performance" in html
    drifted = rendered(performance=None)
    assert "Performance degraded" not in drifted
    assert "Drift is not loss of performance" in drifted


def test_every_column_has_its_numbers(html: str) -> None:
    rows = re.findall(r"<tr>\s*<td>(.*?)</tr>", html, flags=re.DOTALL)
    temp, wind, visib, humid = rows
    cells = re.findall(r">([^<>\n]+)</td>", "<td>" + temp)
    assert cells == ["temp", "psi", "0.788", "0.317", "0.2", "0.104", "0.0576", "1,234"]
    assert '<span class="bar over"><i style="width:100.0%">' in temp
    assert '<span class="bar"><i style="width:15.8%">' in wind
    assert "12 rows; needs 200" in visib
    assert "–" in visib
    assert "16.67%" in humid


def bars_of(html: str) -> list[tuple[str, list[str], str]]:
    """Of the first distribution: label, the lengths of both bars, and both shares."""
    (first, *_) = re.findall(r'<div class="bins[^"]*">(.*?)</b>\s*</div>', html + "</b></div>", flags=re.DOTALL)
    found = re.findall(r"<span>(.*?)</span><div>(.*?)</div><b>([^<]*)", first)
    return [(label, re.findall(r"width:([\d.]+)%", bars), told) for label, bars, told in found]


def test_distributions_are_drawn_for_columns_with_common_bins_in_the_order_given(html: str) -> None:
    assert bars_of(html) == [
        ("up to 1", ["50", "12.5"], "40.00% → 10.00%"),
        ("over 1", ["62.5", "100"], "50.00% → 80.00%"),
        ("missing", ["12.5", "12.5"], "10.00% → 10.00%"),
    ]
    assert re.findall(r'<div class="(bins[^"]*)">', html) == ["bins drifted", "bins"], "drift has its own colour"
    assert re.findall(r"<h3>(.*?)</h3>", html) == ["temp", "wind"]


def test_performance_is_drawn_with_its_interval_against_the_baseline(html: str) -> None:
    assert html.count("<circle") == 1, "windows without labels have no point"
    assert "<title>2026-11-20 13:10:00: 0.651 on 2,250 labels</title>" in html
    assert 'class="tested">when tested 0.704</text>' in html
    assert 'class="allowed">allowed 0.654</text>' in html


def test_each_window_has_its_bar(html: str) -> None:
    assert re.findall(r"<rect .*?<title>(.*?)</title>", html) == [
        "2026-11-20 13:05:00: 0 of 2 columns, 1,234 rows",
        "2026-11-20 13:10:00: 1 of 2 columns, 1,234 rows",
    ]


def test_the_page_needs_neither_network_nor_script_and_little_room(html: str) -> None:
    assert not re.search(r"<(?:script|link|img|iframe|object)|\b(?:src|href)=|url\(|@import", html)
    assert "prefers-color-scheme: dark" in html
    assert len(html) < 20_000
    shares = {"labels": [f"{n} to {n + 1}" for n in range(13)], "reference": [1 / 13] * 13, "window": [1 / 13] * 13}
    many = [{**COLUMN, "column": f"column {number}", "shares": shares} for number in range(50)]
    history = [{**CONTENT["history"][1], "until": f"2026-11-20T13:{minute:02}:00Z"} for minute in range(60)]
    assert len(rendered(columns=many, history=history)) < 250_000


def test_it_fits_a_telephone() -> None:
    """What is wider than the page must be in something that scrolls; nothing else has a width of its own."""
    page = rendered()
    assert re.findall(r'<div class="card scroll"><table>|<table', page) == ['<div class="card scroll"><table>'] * 2
    assert not re.search(r"<(?:svg|div|i)[^>]* width:\d+px|min-width:[3-9]\d\dpx", page)
    assert re.findall(r'<svg[^>]*width="([^"]*)"', page) == ["44", "100%"] * 2


@pytest.mark.parametrize(("periods", "words"), [(8, "natural movement over 8 periods"), (1, "spans one period only")])
def test_where_movement_is_learned_from_is_said(periods: int, words: str) -> None:
    page = rendered(reference_periods=periods)
    assert words in page
    assert ("Natural movement is unknown" in page) is (periods == 1)


def test_what_could_not_be_judged_or_was_left_out_is_said() -> None:
    page = rendered(remarks=["1 file of the window's profiles is damaged and left out: a.bin"])
    assert "profiles is damaged and left out: a.bin" in page
    assert "Not judged, or left out" not in rendered()


def test_hostile_names_are_shown_and_never_run() -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    column = {**COLUMN, "column": evil, "message": evil, "shares": {**COLUMN["shares"], "labels": [evil, "b", "c"]}}
    page = rendered(columns=[column], summary=evil, episodes=[{**CONTENT["episodes"][0], "title": evil}], monitor=evil)
    assert "<img" not in page
    assert "&lt;/script&gt;&lt;img" in page
    assert bars_of(page)[0][0] == "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"


def test_a_monitor_of_performance_alone() -> None:
    page = rendered(finding=None, false_alarm_rate=None, columns=[], quality=[], episodes=[])
    assert "<h2>Columns</h2>" not in page
    assert "<h2>Open episodes</h2>" not in page
    assert "Data quality" not in page
    assert "<circle" in page


def test_a_missing_training_profile_is_said() -> None:
    page = rendered(finding=None, columns=[], reference_periods=0)
    assert "no training profile to compare with: drift cannot be judged" in page


def test_before_anything_can_be_drawn_the_page_is_small() -> None:
    page = rendered(finding="Inconclusive", columns=[UNKNOWN], performance=None, quality=[], episodes=[], history=[])
    assert "<svg" not in page
    assert "<h2>Distributions</h2>" not in page


@pytest.mark.parametrize(("finding", "style"), [("Degraded", "bad"), ("Holds", "good"), ("Inconclusive", "quiet")])
def test_performance_has_a_verdict_of_its_own(finding: str, style: str) -> None:
    page = rendered(performance={**CONTENT["performance"], "finding": finding}, history=[])
    assert f'<span class="pill {style}">Performance' in page


def test_windows_of_a_day_are_told_apart_by_their_date() -> None:
    day = {"since": "2026-11-19T00:00:00Z", "until": "2026-11-20T00:00:00Z", "rows": 9}
    html = rendered(window=day)
    assert "2026-11-19 00:00:00 – 2026-11-20 00:00:00" in html


def test_what_the_page_needs_and_was_not_given_is_an_error() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError):
        report_html({key: value for key, value in CONTENT.items() if key != "summary"})


def test_importing_it_does_not_load_jinja() -> None:
    code = "import sys, framework.render.report; print({'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
