"""Reading whylogs profile files into what drift detection needs: counts, a KLL sketch or frequent items.

whylogs' own reader builds a class per component, 8 ms for a file of 25 columns against 0.3 here, and a window has
thousands of files. The format is the standard one, read through whylogs' own message classes and sketches, and a test
holds this reader to whylogs' answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

from framework.sketches import load_whylogs

_MAGIC = b"WHY1"


@dataclass(frozen=True)
class ColumnProfile:
    """One column of one file. ``quantiles`` is None without numbers; ``items`` is empty where it held no strings, and
    says of each how often it was there at least: where a sketch had to forget some, the rest is known in total only."""

    count: int
    nulls: int
    quantiles: Quantiles | None
    items: Mapping[str, float] = field(default_factory=dict)


class Quantiles:
    """A KLL sketch over n numbers: exact up to about a thousand of them, within 0.3 % of rank beyond."""

    def __init__(self, sketch: Any) -> None:
        self._sketch = sketch
        self.n = int(sketch.get_n())
        self.minimum = float(sketch.get_min_value())
        self.maximum = float(sketch.get_max_value())
        if not self.minimum <= self.maximum:
            raise ValueError(f"values from {self.minimum} to {self.maximum}")

    def at(self, fractions: Sequence[float]) -> list[float]:
        """The values at these ranks in [0, 1]."""
        return [float(value) for value in self._sketch.get_quantiles(list(fractions))]

    def counts(self, inner: Sequence[float]) -> tuple[float, ...]:
        """How many numbers fall in (-inf, inner[0]], (inner[0], inner[1]], ... (inner[-1], inf).

        Whole numbers, since a sketch weighs each value it kept by a power of two: their sums are the same in any order.
        """
        shares = self._sketch.get_cdf(list(inner), True) if inner else [1.0]
        cumulative = [0.0, *(float(round(share * self.n)) for share in shares)]
        return tuple(high - low for low, high in pairwise(cumulative))


def read_profile(data: bytes) -> dict[str, ColumnProfile]:
    """The columns of one whylogs file.

    Raises:
        ValueError: not a whylogs profile, or a damaged one.
    """
    if not data.startswith(_MAGIC):
        raise ValueError("not a whylogs profile")
    try:
        return _columns(data)
    except Exception as error:  # protobuf and the sketches raise whatever they like
        raise ValueError(f"a damaged whylogs profile: {error}") from error


def _columns(data: bytes) -> dict[str, ColumnProfile]:
    messages = _messages()
    _, position = _delimited(data, len(_MAGIC), messages.DatasetSegmentHeader)
    header, start = _delimited(data, position, messages.DatasetProfileHeader)
    columns: dict[str, ColumnProfile] = {}
    for name, place in header.column_offsets.items():
        components: dict[str, Any] = {}
        for offset in place.offsets:
            chunk_header, position = _delimited(data, start + offset, messages.ChunkHeader)
            if position + chunk_header.length > len(data):
                raise ValueError("cut short")
            chunk = messages.ChunkMessage.FromString(data[position : position + chunk_header.length])
            for index, component in chunk.metric_components.items():
                components[header.indexed_metric_paths[index]] = component
        columns[name] = _column(components)
    return columns


def _column(components: Mapping[str, Any]) -> ColumnProfile:
    def integer(path: str) -> int:
        return int(components[path].n) if path in components else 0

    sketches = _messages().sketches
    quantiles = None
    if "distribution/kll" in components:
        sketch = sketches.kll_doubles_sketch.deserialize(components["distribution/kll"].kll.sketch)
        quantiles = None if sketch.is_empty() else Quantiles(sketch)
    items: dict[str, float] = {}
    if integer("types/string") and "frequent_items/frequent_strings" in components:
        frequent = sketches.frequent_strings_sketch.deserialize(
            components["frequent_items/frequent_strings"].frequent_items.sketch
        )
        found = frequent.get_frequent_items(sketches.frequent_items_error_type.NO_FALSE_NEGATIVES)
        items = {item: float(least) for item, _, least, _ in found if least}
    count, nulls = integer("counts/n"), integer("counts/null")
    counted = max(quantiles.n if quantiles else 0, sum(items.values()))
    if not 0 <= nulls <= count or counted > count - nulls:
        raise ValueError(f"{counted:g} values of {count} rows, {nulls} of them missing")
    return ColumnProfile(count, nulls, quantiles, items)


def _delimited(data: bytes, position: int, message: Any) -> tuple[Any, int]:
    """A protobuf message behind its length (a base-128 varint), and the position after it."""
    length = shift = 0
    while True:
        byte = data[position]
        position += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    if position + length > len(data):
        raise IndexError("cut short")
    return message.FromString(data[position : position + length]), position + length


@cache
def _messages() -> Any:
    load_whylogs()
    from types import SimpleNamespace

    import whylogs_sketching
    from whylogs.core import proto

    return SimpleNamespace(
        sketches=whylogs_sketching,
        DatasetSegmentHeader=proto.DatasetSegmentHeader,
        DatasetProfileHeader=proto.DatasetProfileHeader,
        ChunkHeader=proto.ChunkHeader,
        ChunkMessage=proto.ChunkMessage,
    )
