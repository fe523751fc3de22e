"""What people searched for in a shop, what they were shown, and how useful each product was to them; made by a
documented process.

A search has a wish: a price that it has in mind. A product has a price, a popularity and an age. How well it answers is

    value = 2 match - |log price - log wished| + 0.6 popularity - 0.1 age + noise

and the relevance that is recorded is 0 to 3, by how the value lies among the products of that search. ``match`` is how
well the words fit, 0 to 1; the wished price is not known to the model, but the mean price of what that search was shown
is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

FIRST_SEARCH = datetime(2024, 3, 1, tzinfo=UTC)
SEARCHES = 600
_SEED = 4


def shown() -> pl.LazyFrame:
    """One row per product that a search was shown, 8 to 20 of each: row, search, at, match, price, relative_price,
    popularity, age (years), relevance (0 to 3)."""
    generator = np.random.default_rng(_SEED)
    parts = []
    for search in range(SEARCHES):
        count = int(generator.integers(8, 21))
        wished = generator.normal(3.5, 0.8)
        match = generator.beta(2, 2, count)
        price = wished + generator.normal(0, 0.7, count)
        popularity, age = generator.normal(0, 1, count), generator.exponential(2, count)
        value = 2 * match - np.abs(price - wished) + 0.6 * popularity - 0.1 * age + generator.normal(0, 0.4, count)
        place = value.argsort()[::-1].argsort()
        relevance = np.select([place < 1, place < 3, place < 6], [3, 2, 1], 0)
        parts.append(
            pl.DataFrame(
                {
                    "row": [f"{search}/{number}" for number in range(count)],
                    "search": [search] * count,
                    "at": [FIRST_SEARCH + timedelta(minutes=5 * search)] * count,
                    "match": match,
                    "price": np.exp(price),
                    "relative_price": price - price.mean(),
                    "popularity": popularity,
                    "age": age,
                    "relevance": relevance.astype(np.int64),
                }
            )
        )
    return pl.concat(parts).lazy()
