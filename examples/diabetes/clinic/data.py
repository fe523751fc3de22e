"""442 patients and how far their diabetes had progressed a year later (Efron, Hastie, Johnstone and Tibshirani, Least
Angle Regression, Annals of Statistics 32, 2004), as scikit-learn ships them. When each was seen is made up: one a
day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

FIRST_VISIT = datetime(2023, 1, 1, tzinfo=UTC)
MEASURES = ("age", "sex", "bmi", "blood_pressure", "s1", "s2", "s3", "s4", "s5", "s6")


def patients() -> pl.LazyFrame:
    """(442, 13): patient, seen, ten measures, progression (a score from 25 to 346)."""
    from sklearn.datasets import load_diabetes

    found = load_diabetes(scaled=False)
    rows = len(found.target)
    columns = {name: found.data[:, place] for place, name in enumerate(MEASURES)}
    columns["sex"] = ["female" if value == 1 else "male" for value in found.data[:, 1]]
    return pl.LazyFrame(
        {
            "patient": list(range(rows)),
            "seen": [FIRST_VISIT + timedelta(days=number) for number in range(rows)],
            **columns,
            "progression": found.target,
        }
    )
