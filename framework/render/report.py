"""The page of a ModelMonitor: one HTML file that needs neither network nor script, for a browser or as an attachment.

``content`` is what ``framework.kinds.model_monitor.content`` makes. Names of columns and categories come from requests:
every text is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from framework.ports import Json
from framework.render import charts

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
    """The whole page, in the order of a few kilobytes per column."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("framework.render"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    pages.filters |= {"moment": _moment, "span": _span, "number": _number, "count": _count, "share": _share, "px": _px}
    history = content["history"]
    measured = content["performance"] and any(item["value"] is not None for item in history)
    return pages.get_template("monitor.html.j2").render(
        **content,
        # A column that cannot be judged is still shown where both sides have bins in common.
        distributions=[(column, charts.bars(column["shares"])) for column in content["columns"] if column["shares"]],
        performance_plot=charts.performance(content["performance"], history) if measured else None,
        windows_plot=charts.drifted(history) if content["columns"] and history else None,
        drift_words=_DRIFT,
        column_words=_COLUMN,
        performance_words=_PERFORMANCE,
    )


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


def _px(value: float) -> str:
    """Of what is drawn: a tenth of a pixel, or of a per cent, is enough."""
    return f"{value:.1f}".removesuffix(".0")
