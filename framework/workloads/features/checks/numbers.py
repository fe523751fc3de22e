"""Bounds on a statistic of a column. Missing values do not count, and infinite ones do."""

from __future__ import annotations

import math

import polars as pl

from framework.workloads.features.checks.measure import AskedCheck, CheckVerdict, Measurement, Numbers


def quantile(asked: AskedCheck) -> Measurement:
    """``value``: which, and its bounds: the value nearest to that rank."""
    q = asked.value["q"]
    return _bounded(asked, f"{q:g} quantile", asked.cell.quantile(q))


def mean(asked: AskedCheck) -> Measurement:
    """``value``: its bounds."""
    return _bounded(asked, "mean", asked.cell.mean())


def std(asked: AskedCheck) -> Measurement:
    """``value``: the bounds of the standard deviation of a sample (n - 1), undefined for less than two values."""
    return _bounded(asked, "standard deviation", asked.cell.std())


def distinct(asked: AskedCheck) -> Measurement:
    """``value``: bounds on how many different values there are."""

    def judge(numbers: Numbers) -> CheckVerdict:
        found, low, high = numbers["found"], asked.value.get("min"), asked.value.get("max")
        told = f"{found:,} different, expected {counted(low, high)}"
        return CheckVerdict.of_table(within(found, low, high), told, found)

    return Measurement(judge, {"found": asked.cell.drop_nulls().n_unique()})


def _bounded(asked: AskedCheck, name: str, statistic: pl.Expr) -> Measurement:
    low, high = asked.value.get("min"), asked.value.get("max")
    bounds = f"[{'-inf' if low is None else f'{low:g}'}, {'inf' if high is None else f'{high:g}'}]"

    def judge(numbers: Numbers) -> CheckVerdict:
        """A statistic of no values is undefined, as that of opposite infinities is, and keeps no bound."""
        found = numbers["found"]
        known = found is not None and not math.isnan(found)
        told = f"{name} is {f'{found:g}' if known else 'undefined'}, expected {bounds}"
        return CheckVerdict.of_table(known and within(found, low, high), told, found if known else None)

    return Measurement(judge, {"found": statistic})


def within(found: float, low: float | None, high: float | None) -> bool:
    """Whether both bounds hold, as far as they are set."""
    return (low is None or found >= low) and (high is None or found <= high)


def counted(low: int | None, high: int | None) -> str:
    """``at least 5 and at most 9``."""
    bounds = [*([f"at least {low:,}"] if low is not None else []), *([f"at most {high:,}"] if high is not None else [])]
    return " and ".join(bounds)
