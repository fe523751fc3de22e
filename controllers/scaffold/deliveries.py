"""The data of a new project: 5,000 made-up deliveries of one spring, with a delay that can be learned.

Only ``random.random`` is drawn on, whose sequence Python keeps from version to version, so every project starts from
the same bytes.
"""

from __future__ import annotations

import csv
import io
import math
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

HEADER = ("delivery_id", "accepted", "courier", "district", "distance_km", "parcels", "rain_mm", "minutes_late")
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
DAYS, DELIVERIES, SEED = 90, 5000, 20260101

_COURIERS = ("ADA", "BEA", "CYD", "DOT", "EVE", "FAY", "GIL", "HAL")
_DISTRICTS = {"centre": 0.0, "harbour": 3.0, "hills": 5.0, "north": 1.0, "south": 2.0}
"""Minutes that a district costs."""


def csv_text() -> str:
    """A CSV file with a header; the same text at every call."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(_rows(random.Random(SEED)))  # noqa: S311 - made-up data, no secret
    return out.getvalue()


def _rows(chance: random.Random) -> Iterator[tuple[int | float | str, ...]]:
    """In the order of acceptance. Late are long ways, many parcels, rain, rush hours, and a courier's bad days, which
    come in a row: that is what ``mean_delay_24h`` knows and nothing else does."""
    draw, noise = chance.random, _noise(chance)
    form = dict.fromkeys(_COURIERS, 0.0)
    number = 0
    for day in range(DAYS):
        for courier in _COURIERS:
            form[courier] = 0.85 * form[courier] + noise(4.0)
        wetness = max(0.0, noise(3.0))
        hours = sorted(7.0 + 13.0 * draw() for _ in range(DELIVERIES // DAYS + (day < DELIVERIES % DAYS)))
        for hour in hours:
            number += 1
            accepted = FIRST_DAY + timedelta(days=day, seconds=round(hour * 3600))
            courier = _COURIERS[int(draw() * len(_COURIERS))]
            district = tuple(_DISTRICTS)[int(draw() * len(_DISTRICTS))]
            distance, parcels = round(0.5 + 11.0 * draw() ** 2, 1), 1 + int(6.0 * draw() ** 2)
            rain = round(wetness * (0.5 + draw()), 1)
            rush = _rush(hour) * (1.0 if accepted.weekday() < 5 else 0.3)
            known = 0.9 * distance + 0.8 * parcels + 1.8 * rain + rush + _DISTRICTS[district] + form[courier]
            late = round(known - 2.0 + noise(6.0))
            yield number, f"{accepted:%Y-%m-%dT%H:%M:%SZ}", courier, district, distance, parcels, rain, late


def _rush(hour: float) -> float:
    """Minutes lost to traffic, mornings and afternoons."""
    return 9.0 * math.exp(-((hour - 8.5) ** 2)) + 11.0 * math.exp(-(((hour - 17.5) / 1.2) ** 2))


def _noise(chance: random.Random) -> Callable[[float], float]:
    """Draws around 0, close to normal (four uniform draws), with the given standard deviation."""
    return lambda deviation: deviation * math.sqrt(3.0) * sum(chance.random() - 0.5 for _ in range(4))
