"""Bounds on a statistic of a column."""

from __future__ import annotations

from framework.workloads.features.checks.measure import AskedCheck, CheckVerdict, Measurement, Numbers


def quantile(asked: AskedCheck) -> Measurement:
    """``value``: which, and its bounds: the value nearest to that rank."""
    q = asked.value["q"]
    return Measurement(lambda numbers: _bounded(asked, f"{q:g} quantile", numbers), {"found": asked.cell.quantile(q)})


def _bounded(asked: AskedCheck, name: str, numbers: Numbers) -> CheckVerdict:
    """A statistic of no values is undefined, and keeps no bound."""
    found, low, high = numbers["found"], asked.value.get("min"), asked.value.get("max")
    passed = found is not None and (low is None or found >= low) and (high is None or found <= high)
    bounds = f"[{'-inf' if low is None else f'{low:g}'}, {'inf' if high is None else f'{high:g}'}]"
    shown = "undefined" if found is None else f"{found:g}"
    return CheckVerdict.of_table(passed, f"{name} is {shown}, expected {bounds}")
