"""How much better one model is than another on the same rows, and how sure that is."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.scores import Answered, each_list, rows_of_lists, score

LEVELS = tuple(round(step / 200, 3) for step in range(1, 200))
"""The quantiles that are kept: gates may ask for other confidences later, and nothing is drawn again for that."""
_MOST_DRAWS, _FEWEST_DRAWS, _ROWS_DRAWN = 1_000, 100, 10_000_000


def compare(metric: str, ours: Answered, theirs: Answered, seed: int) -> dict[str, Any] | None:
    """``{difference, draws, quantiles}`` of ours minus theirs by a paired bootstrap (Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapters 10 and 13): rows are drawn with replacement, the same ones for both;
    of a ranking whole lists. ``quantiles`` are those of ``LEVELS``. None where the metric is not defined on the rows,
    or on hardly any draw.

    A thousand draws of up to 10,000 rows, fewer of more, a hundred at least. Equal arguments give equal results.
    """
    difference = score(metric, ours) - score(metric, theirs)
    if not np.isfinite(difference):
        return None
    generator = np.random.default_rng(seed)
    if ours.groups is not None:
        found = _of_lists(metric, ours, theirs, generator)
    else:
        rows = len(ours.truth)
        found = []
        for _ in range(max(_FEWEST_DRAWS, min(_MOST_DRAWS, _ROWS_DRAWN // rows))):
            drawn = generator.integers(0, rows, rows)
            found.append(score(metric, ours.of(drawn)) - score(metric, theirs.of(drawn)))
    known = np.array(found)[np.isfinite(found)]
    if len(known) < len(found) / 2:
        return None
    quantiles = np.quantile(known, LEVELS)
    return {"difference": difference, "draws": len(known), "quantiles": [float(f"{value:.6g}") for value in quantiles]}


def _of_lists(metric: str, ours: Answered, theirs: Answered, generator: np.random.Generator) -> list[float]:
    """The metric is a mean over lists, so each is measured once and drawn as a number. One of a spec's own may be
    anything, and is measured on the rows of all lists that are drawn."""
    if metric in ours.own:
        lists = rows_of_lists(ours.groups)
        draws = max(_FEWEST_DRAWS, min(_MOST_DRAWS, _ROWS_DRAWN // len(ours.truth)))
        taken = [
            np.concatenate([lists[one] for one in generator.integers(0, len(lists), len(lists))]) for _ in range(draws)
        ]
        return [score(metric, ours.of(rows)) - score(metric, theirs.of(rows)) for rows in taken]
    differences = each_list(metric, ours) - each_list(metric, theirs)
    known = differences[np.isfinite(differences)]
    return [float(known[generator.integers(0, len(known), len(known))].mean()) for _ in range(_MOST_DRAWS)]
