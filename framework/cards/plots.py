"""The geometry of a card's plots: across in per cent of the width, down in pixels from above, so that they take any
width without a script."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

HEIGHT = 220.0
MARGIN = 12.0
"""Above and below of what is drawn, in pixels."""
SIDE = 3.0
"""On either side of what is drawn, in per cent."""
BAR = 20.0
"""What a bar takes in height where they lie one below the other, in pixels."""
_LONGEST = 28
"""Characters of a bar's name that are shown beside it."""
_LETTER, _LEVELS = 7, 64
"""What a character takes in width, and what the numbers of a scale take, in pixels."""
LINES = 4
"""About so many lines that tell the scale."""
_NEAREST, _LEAST = 1e-9, 1e-300
"""Between two lines at least: of the largest value, and in all."""
_MOST_DIGITS, _PLAIN = 6, 1e9
"""Behind the point, and before it: beyond that with an exponent."""


@dataclass(frozen=True)
class CardMark:
    """A line of the scale with what it stands for."""

    at: float
    text: str


@dataclass(frozen=True)
class CardDot:
    x: float
    y: float
    text: str
    """What a reader is told who points at it."""


@dataclass(frozen=True)
class CardStroke:
    """From one point to another, in a style of the page: ``ideal``, ``value`` or ``other``."""

    x1: float
    y1: float
    x2: float
    y2: float
    style: str


@dataclass(frozen=True)
class CardBar:
    x: float
    width: float
    y: float
    height: float
    text: str


@dataclass(frozen=True)
class CardPlot:
    """``told`` says what is to be seen, ``across`` and ``up`` what the axes are."""

    told: str
    across: str
    up: str
    levels: tuple[CardMark, ...]
    ticks: tuple[CardMark, ...]
    dots: tuple[CardDot, ...] = ()
    strokes: tuple[CardStroke, ...] = ()
    bars: tuple[CardBar, ...] = ()
    height: float = HEIGHT

    @property
    def side(self) -> int:
        """The width of what stands left of it, in pixels."""
        return max([_LEVELS, *(_LETTER * (len(level.text) + 2) for level in self.levels)])


@dataclass(frozen=True)
class CardAxis:
    """Values between two round ones, ``step`` apart."""

    low: float
    high: float
    step: float

    @classmethod
    def over(cls, values: Sequence[float], *, whole: bool = False) -> CardAxis:
        """The narrowest one that holds them all; with ``whole`` in whole numbers."""
        low, high = min(values), max(values)
        # Lines must differ as floats do, or nothing lies between two of them.
        rough = max((high - low or abs(high) or 1.0) / LINES, _NEAREST * max(abs(low), abs(high)), _LEAST)
        power = 10.0 ** math.floor(math.log10(rough))
        step = power * next(factor for factor in (1.0, 2.0, 5.0, 10.0) if power * factor >= rough * 0.999)
        step = max(1.0, step) if whole else step
        return cls(step * math.floor(low / step), step * max(math.ceil(high / step), math.floor(low / step) + 1), step)

    def x(self, value: float) -> float:
        return SIDE + (100.0 - 2.0 * SIDE) * self._part(value)

    def y(self, value: float) -> float:
        return MARGIN + (HEIGHT - 2.0 * MARGIN) * (1.0 - self._part(value))

    def _part(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)

    def marks(self) -> Iterator[tuple[float, str]]:
        """The round values, and how they are written."""
        digits = max(0, -math.floor(math.log10(self.step)))
        for index in range(round((self.high - self.low) / self.step) + 1):
            value = self.low + index * self.step
            yield value, f"{value:,.{digits}f}" if digits <= _MOST_DIGITS and abs(value) < _PLAIN else f"{value:.4g}"

    @property
    def levels(self) -> tuple[CardMark, ...]:
        return tuple(CardMark(self.y(value), text) for value, text in self.marks())

    @property
    def ticks(self) -> tuple[CardMark, ...]:
        return tuple(CardMark(self.x(value), text) for value, text in self.marks())


UNIT = CardAxis(0.0, 1.0, 0.2)
"""Of shares and probabilities."""


def against(
    points: Sequence[tuple[float, float, str]], told: str, across: str, up: str, axis: CardAxis | None = None
) -> CardPlot:
    """Points (x, y, text) with the line on which both are equal. ``axis`` is of both, by default as wide as it must."""
    axis = axis or CardAxis.over([value for x, y, _ in points for value in (x, y)])
    ideal = CardStroke(axis.x(axis.low), axis.y(axis.low), axis.x(axis.high), axis.y(axis.high), "ideal")
    dots = tuple(CardDot(axis.x(x), axis.y(y), text) for x, y, text in points)
    return CardPlot(told, across, up, axis.levels, axis.ticks, dots, (ideal, *_joined(dots)))


def progress(
    values: Sequence[tuple[int, float, str]], best: Sequence[tuple[int, float]], told: str, up: str
) -> CardPlot:
    """Values by number, as (number, value, text), and the best one so far as steps."""
    axis = CardAxis.over([value for _, value, _ in values])
    numbers = CardAxis.over([0, *(number for number, _, _ in values)], whole=True)
    dots = tuple(CardDot(numbers.x(number), axis.y(value), text) for number, value, text in values)
    strokes: list[CardStroke] = []
    for (number, value), (after, better) in pairwise(best):
        x, end, y = numbers.x(number), numbers.x(after), axis.y(value)
        strokes += [CardStroke(x, y, end, y, "value"), CardStroke(end, y, end, axis.y(better), "value")]
    return CardPlot(told, "trial", up, axis.levels, numbers.ticks, dots, tuple(strokes))


def parallel(names: Sequence[str], lines: Sequence[Sequence[Any]], titles: Sequence[str], told: str) -> CardPlot:
    """A line for each of ``lines`` across an axis for each name, the first one brought out. Numbers stand where they
    lie between the least and the most, of two orders of magnitude or more by their logarithm; other values by their
    order as texts. None is left out."""
    columns = [_column([line[at] for line in lines]) for at in range(len(names))]
    across = CardAxis(0.0, float(len(names) - 1), 1.0)
    ticks = tuple(
        CardMark(across.x(float(at)), f"{name} ({ends})")
        for at, (name, (_, ends)) in enumerate(zip(names, columns, strict=True))
    )
    strokes: list[CardStroke] = []
    dots: list[CardDot] = []
    for index in reversed(range(len(lines))):
        points = [
            (across.x(float(at)), UNIT.y(place[index]), lines[index][at])
            for at, (place, _) in enumerate(columns)
            if index in place
        ]
        for one, other in pairwise(points):
            strokes.append(CardStroke(one[0], one[1], other[0], other[1], "value" if index == 0 else "other"))
        dots += [CardDot(x, y, f"{titles[index]}, {_short(value)}") for x, y, value in points]
    return CardPlot(told, "parameter (its least and its most)", "", (), ticks, tuple(dots), tuple(strokes))


def _column(values: Sequence[Any]) -> tuple[dict[int, float], str]:
    """Where each value stands from 0 to 1, by place; and between what."""
    known = {place: value for place, value in enumerate(values) if value is not None}
    if not known:
        return {}, ""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known.values()):
        low, high = min(known.values()), max(known.values())
        scale = math.log10 if low > 0 and high / low >= _MAGNITUDES else float
        span = scale(high) - scale(low) or 1.0
        return {place: (scale(value) - scale(low)) / span for place, value in known.items()}, _ends(low, high)
    texts = sorted({str(value) for value in known.values()})
    last = max(1, len(texts) - 1)
    return {place: texts.index(str(value)) / last for place, value in known.items()}, _ends(texts[0], texts[-1])


_MAGNITUDES = 100.0


def _ends(low: Any, high: Any) -> str:
    return _short(low) if low == high else f"{_short(low)} to {_short(high)}"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def shares(parts: Mapping[str, float], told: str, up: str) -> CardPlot:
    """A bar for each part of 1, side by side."""
    across = CardAxis(-0.5, len(parts) - 0.5, 1.0)
    bars, ticks = [], []
    for at, (name, part) in enumerate(parts.items()):
        left, right, top = across.x(at - 0.35), across.x(at + 0.35), UNIT.y(part)
        bars.append(CardBar(left, right - left, top, UNIT.y(0.0) - top, f"{name}: {100 * part:.1f} %"))
        ticks.append(CardMark(across.x(float(at)), name))
    return CardPlot(told, "parameter", up, UNIT.levels, tuple(ticks), bars=tuple(bars))


def course(points: Sequence[tuple[str, float]], told: str, across: str, up: str) -> CardPlot:
    """Values by name, in their order, joined. Only some names stand below, so that they fit."""
    axis = CardAxis.over([value for _, value in points])
    places = CardAxis(-0.5, len(points) - 0.5, 1.0)
    dots = tuple(
        CardDot(places.x(at), axis.y(value), f"{name}: {value:.6g}") for at, (name, value) in enumerate(points)
    )
    every = -(-len(points) // _TICKS)
    ticks = tuple(CardMark(places.x(at), name) for at, (name, _) in enumerate(points) if at % every == 0)
    return CardPlot(told, across, up, axis.levels, ticks, dots, tuple(_joined(dots)))


_TICKS = 5


def histogram(
    edges: Sequence[float], counts: Sequence[int], told: str, across: str, *, up: str = "rows", zero: bool = True
) -> CardPlot:
    """Bars from edge to edge. ``zero``: the axis has 0 on it, wherever the bars are."""
    axis = CardAxis.over([*edges, 0.0] if zero else edges)
    height = CardAxis.over([0, *counts], whole=True)
    bars = []
    for low, high, rows in zip(edges, edges[1:], counts, strict=False):
        x, top = axis.x(low), height.y(rows)
        text = f"{low:g} to {high:g}: {rows:,} rows"
        bars.append(CardBar(x, max(axis.x(high) - x - 0.2, 0.4), top, height.y(0) - top, text))
    return CardPlot(told, across, up, height.levels, axis.ticks, bars=tuple(bars))


def bars(values: Sequence[tuple[str, float]], told: str, across: str) -> CardPlot:
    """A bar for each (name, value), one below the other, from 0 on."""
    axis = CardAxis.over([0.0, *(value for _, value in values)])
    names, drawn = [], []
    for place, (name, value) in enumerate(values):
        top = MARGIN + place * BAR
        left, right = sorted((axis.x(0.0), axis.x(value)))
        names.append(CardMark(top + BAR / 2, name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"))
        drawn.append(CardBar(left, max(right - left, 0.2), top + 2, BAR - 4, f"{name}: {value:.6g}"))
    height = len(values) * BAR + 2 * MARGIN
    return CardPlot(told, across, told, tuple(names), axis.ticks, bars=tuple(drawn), height=height)


def _joined(dots: Sequence[CardDot]) -> Iterator[CardStroke]:
    for one, other in pairwise(dots):
        yield CardStroke(one.x, one.y, other.x, other.y, "value")
