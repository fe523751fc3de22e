"""The geometry of the report's charts: where things lie, across in per cent of the width and down in pixels.

Drawn as HTML and SVG they take any width without a script, and their text stays as large as the page's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from framework.ports import Json

HEIGHT = 200.0
"""Of a chart over time, in pixels."""
MARGIN = 12.0
"""Above and below of what is drawn in it."""
LINES = 4
"""About so many lines that tell the scale."""


@dataclass(frozen=True)
class Bar:
    """One bin or category: shares of the reference's rows and of the window's, with lengths in per cent."""

    label: str
    reference: float
    window: float
    reference_length: float
    window_length: float


@dataclass(frozen=True)
class Level:
    """A line across."""

    y: float
    text: str
    style: str = ""


@dataclass(frozen=True)
class Point:
    """The value of a window with its interval, at ``x`` per cent and ``y``, ``top`` and ``bottom`` pixels."""

    window: Json
    x: float
    y: float
    top: float
    bottom: float


@dataclass(frozen=True)
class WindowBar:
    """A window's bar, from ``x`` per cent on and ``width`` per cent wide."""

    window: Json
    x: float
    width: float
    y: float
    height: float


@dataclass(frozen=True)
class Plot:
    """A chart over time, from the first window to the last."""

    levels: tuple[Level, ...]
    first: Json
    last: Json
    points: tuple[Point, ...] = ()
    columns: tuple[WindowBar, ...] = ()
    height: float = HEIGHT


def bars(shares: Mapping[str, Json]) -> tuple[Bar, ...]:
    """A column's distribution. The longest bar takes all of the width."""
    longest = max((*shares["reference"], *shares["window"]), default=0.0) or 1.0
    rows = zip(shares["labels"], shares["reference"], shares["window"], strict=True)
    return tuple(Bar(label, a, b, 100.0 * a / longest, 100.0 * b / longest) for label, a, b in rows)


def performance(verdict: Mapping[str, Json], history: Sequence[Json]) -> Plot:
    """The metric of each window that has one, with its interval, against what the version reached when tested."""
    measured = [item for item in history if item["value"] is not None]
    levels = [("when tested", verdict["baseline"], "tested"), ("allowed", verdict["bound"], "allowed")]
    known = [level for level in levels if level[1] is not None]
    intervals = [[item["value"] if end is None else end for end in (item["low"], item["high"])] for item in measured]
    values = [*(value for _, value, _ in known), *(end for interval in intervals for end in interval)]
    scale = Scale.over(min(values), max(values))
    places = _places([item["until"] for item in measured])
    points = tuple(
        Point(item, x, scale.y(item["value"]), scale.y(high), scale.y(low))
        for x, item, (low, high) in zip(places, measured, intervals, strict=True)
    )
    lines = [Level(scale.y(value), f"{text} {value:.3f}", style) for text, value, style in known]
    return Plot((*scale.levels(), *lines), measured[0], measured[-1], points=points)


def drifted(history: Sequence[Json]) -> Plot:
    """How many columns drifted in each window."""
    scale = Scale.over(0.0, float(max(1, *(item["drifted"] for item in history))), whole=True)
    width = 100.0 / len(history)
    columns = []
    for index, item in enumerate(history):
        top = scale.y(item["drifted"])
        columns.append(WindowBar(item, width * (index + 0.15), 0.7 * width, top, scale.y(0.0) - top))
    return Plot(tuple(scale.levels()), history[0], history[-1], columns=tuple(columns))


@dataclass(frozen=True)
class Scale:
    """Values between two round ones, ``step`` apart, from the bottom to the top of a chart."""

    low: float
    high: float
    step: float

    @classmethod
    def over(cls, low: float, high: float, *, whole: bool = False) -> Scale:
        """The narrowest one that holds both; with ``whole`` in whole numbers."""
        rough = (high - low or abs(high) or 1.0) / LINES
        power = 10.0 ** math.floor(math.log10(rough))
        step = power * next(factor for factor in (1.0, 2.0, 5.0, 10.0) if power * factor >= rough * 0.999)
        step = max(1.0, step) if whole else step
        return cls(step * math.floor(low / step), step * max(math.ceil(high / step), math.floor(low / step) + 1), step)

    def y(self, value: float) -> float:
        """Pixels from above."""
        return MARGIN + (HEIGHT - 2.0 * MARGIN) * (self.high - value) / (self.high - self.low)

    def levels(self) -> Iterator[Level]:
        digits = max(0, -math.floor(math.log10(self.step)))
        for index in range(round((self.high - self.low) / self.step) + 1):
            value = self.low + index * self.step
            yield Level(self.y(value), f"{value:.{digits}f}")


def _places(moments: Sequence[str]) -> list[float]:
    """Per cent of the width, with some left on either side."""
    times = [datetime.fromisoformat(moment).timestamp() for moment in moments]
    span = times[-1] - times[0] if times else 0.0
    return [3.0 + 94.0 * (time - times[0]) / span if span else 50.0 for time in times]
