"""The page of a ModelMonitor: one HTML file that needs no network, for a browser or as an attachment.

``content`` is what ``framework.kinds.model_monitor.content`` makes. Names of columns and categories come from requests:
every text is escaped, in the page as well as in the charts.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from framework import installed
from framework.api.errors import ConfigurationError
from framework.ports import Json

GREY, BLUE, ORANGE = "#8a94a6", "#3b82f6", "#ef6c4d"
GRID = "rgba(128,128,128,0.18)"
"""Readable on the light and on the dark page alike."""
FONT = "system-ui, sans-serif"

_DRIFT = {
    "Drift": ("warn", "Drift"),
    "NoDrift": ("good", "No drift"),
    "Inconclusive": ("quiet", "Drift: inconclusive"),
}
_COLUMN = {**_DRIFT, "Inconclusive": ("quiet", "Inconclusive")}
_PERFORMANCE = {
    "Degraded": ("bad", "Performance degraded"),
    "Holds": ("good", "Performance holds"),
    "Inconclusive": ("quiet", "Performance: inconclusive"),
}


def report_html(content: Mapping[str, Json]) -> str:
    """The whole page, plotly.js included (about 5 MB).

    Raises:
        ConfigurationError: the packages of the extra ``reports`` are not installed.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # A column that cannot be judged is still shown where both sides have bins in common.
    distributions = [(f"column-{index}", item) for index, item in enumerate(content["columns"]) if item["shares"]]
    charts = _figures(content, distributions)
    pages = Environment(
        loader=PackageLoader("framework.render"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    pages.filters |= {"moment": _moment, "span": _span, "number": _number, "count": _count, "share": _share}
    return pages.get_template("monitor.html.j2").render(
        **content,
        figures=charts,
        distributions=distributions,
        plotly=_plotly() if charts else "",
        drift_words=_DRIFT,
        column_words=_COLUMN,
        performance_words=_PERFORMANCE,
    )


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ConfigurationError(f"reports need plotly, and {installed.advice(['plotly'])}") from error
    return str(get_plotlyjs())


def _figures(content: Mapping[str, Json], distributions: Sequence[tuple[str, Json]]) -> dict[str, Json]:
    """Charts by the id of the element they go to."""
    figures = {id_: _distribution(column) for id_, column in distributions}
    history, time = content["history"], _time_format(content["window"])
    labelled = [item for item in history if item["value"] is not None]
    if content["performance"] and labelled:
        figures["performance"] = _performance(content["performance"], labelled, time)
    if content["columns"] and history:
        figures["windows"] = _windows(history, time)
    return figures


def _distribution(column: Json) -> Json:
    shares = column["shares"]
    labels = [html.escape(label, quote=False) for label in shares["labels"]]
    sides = (
        ("training reference", "reference", GREY),
        ("this window", "window", ORANGE if column["finding"] == "Drift" else BLUE),
    )
    data = [
        {
            "type": "bar",
            "name": name,
            "x": labels,
            "y": shares[side],
            "marker": {"color": color},
            "hovertemplate": f"%{{x}}<br>{name}: %{{y:.2%}}<extra></extra>",
        }
        for name, side, color in sides
    ]
    layout = {
        **_layout(250),
        "barmode": "group",
        "bargap": 0.25,
        "bargroupgap": 0.06,
        "xaxis": {"type": "category", "tickangle": -35, "tickfont": {"size": 10}, "automargin": True},
        "yaxis": {"tickformat": ".0%", "rangemode": "tozero", "gridcolor": GRID, "zeroline": False},
    }
    return {"data": data, "layout": layout}


def _performance(verdict: Json, history: Sequence[Json], time: str) -> Json:
    """The metric of each window with its interval, against what the version reached when tested."""
    name = html.escape(verdict["metric"].upper(), quote=False)
    values = [item["value"] for item in history]
    high = [value if item["high"] is None else item["high"] for value, item in zip(values, history, strict=True)]
    low = [value if item["low"] is None else item["low"] for value, item in zip(values, history, strict=True)]
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": f"{name} with 95 % interval",
        "x": [item["until"] for item in history],
        "y": values,
        "customdata": [item["labelled"] for item in history],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [top - value for top, value in zip(high, values, strict=True)],
            "arrayminus": [value - bottom for value, bottom in zip(values, low, strict=True)],
            "thickness": 1.2,
            "width": 4,
        },
        "line": {"color": BLUE, "width": 2},
        "marker": {"color": BLUE, "size": 7},
        "hovertemplate": f"%{{x|{time}}}<br>{name} %{{y:.3f}} on %{{customdata:,}} labels<extra></extra>",
    }
    levels = [("when tested", verdict["baseline"], GREY, "solid"), ("allowed", verdict["bound"], ORANGE, "dot")]
    known = [level for level in levels if level[1] is not None]
    layout = {
        **_layout(300),
        "shapes": [_line(value, color, dash) for _, value, color, dash in known],
        "annotations": [_label(f"{text} {value:.3f}", value, color) for text, value, color, _ in known],
        "xaxis": {"type": "date", "gridcolor": GRID, "zeroline": False},
        "yaxis": {"title": {"text": name}, "gridcolor": GRID, "zeroline": False},
    }
    return {"data": [trace], "layout": layout}


def _line(value: float, color: str, dash: str) -> Json:
    line = {"color": color, "dash": dash, "width": 1.5}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": value, "y1": value, "line": line}


def _label(text: str, value: float, color: str) -> Json:
    font = {"color": color, "size": 11}
    place = {"xref": "paper", "x": 1, "xanchor": "right", "y": value, "yanchor": "bottom"}
    return {**place, "text": text, "showarrow": False, "font": font}


def _windows(history: Sequence[Json], time: str) -> Json:
    trace = {
        "type": "bar",
        "x": [item["until"] for item in history],
        "y": [item["drifted"] for item in history],
        "customdata": [[item["judged"], item["rows"]] for item in history],
        "marker": {"color": ORANGE},
        "hovertemplate": (
            f"%{{x|{time}}}<br>%{{y}} of %{{customdata[0]}} columns, %{{customdata[1]:,}} rows<extra></extra>"
        ),
    }
    steps = {"dtick": 1} if max(item["drifted"] for item in history) <= 10 else {}
    layout = {
        **_layout(180),
        "bargap": 0.3,
        "xaxis": {"type": "date", "gridcolor": GRID},
        "yaxis": {**steps, "tickformat": "d", "rangemode": "tozero", "gridcolor": GRID, "zeroline": False},
    }
    return {"data": [trace], "layout": layout}


def _layout(height: int) -> dict[str, Json]:
    return {
        "height": height,
        "margin": {"l": 48, "r": 12, "t": 10, "b": 36},
        "font": {"family": FONT, "size": 12, "color": "#7d8796"},
        "hoverlabel": {"font": {"family": FONT}},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "showlegend": False,
    }


def _time_format(window: Mapping[str, Json]) -> str:
    """Windows of minutes are told apart by the time of day, longer ones by the date too."""
    length = _utc(window["until"]) - _utc(window["since"])
    return "%H:%M:%S" if length < timedelta(hours=1) else "%Y-%m-%d %H:%M"


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _moment(text: str) -> str:
    return f"{_utc(text):%Y-%m-%d %H:%M:%S}"


def _span(window: Mapping[str, Json]) -> str:
    since, until = _utc(window["since"]), _utc(window["until"])
    end = f"{until:%H:%M:%S}" if since.date() == until.date() else f"{until:%Y-%m-%d %H:%M:%S}"
    return f"{since:%Y-%m-%d %H:%M:%S} – {end}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _count(value: int) -> str:
    return f"{value:,}"


def _share(value: float) -> str:
    return f"{value:.2%}"
