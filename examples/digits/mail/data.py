"""1,797 handwritten digits of 8 by 8 points (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998), as
scikit-learn ships them. When each was written is made up: one a minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

FIRST = datetime(2024, 1, 1, tzinfo=UTC)


def digits() -> pl.LazyFrame:
    """(1797, 67): letter, written, p00 to p77 (how dark a point is, 0 to 16), digit."""
    from sklearn.datasets import load_digits

    found = load_digits()
    rows = len(found.target)
    points = {f"p{place // 8}{place % 8}": found.data[:, place] for place in range(64)}
    return pl.LazyFrame(
        {
            "letter": list(range(rows)),
            "written": [FIRST + timedelta(minutes=number) for number in range(rows)],
            **points,
            "digit": found.target,
        }
    )
