"""A feature view, as an environment has it, for those who tell of it."""

from __future__ import annotations

from datetime import timedelta

from framework.api.meta import Ref
from framework.figures import ColumnFigures, ColumnMoved, RowsMoved, TableMoved, TransformStep, TransformSteps
from framework.planning.reports.features import (
    ProfiledVersion,
    ViewColumn,
    ViewDifference,
    ViewReport,
    ViewRow,
    ViewVersion,
)
from framework.ports import ExpectationResult, ReadTable, TableState
from tests.unit.render.samples import COMMIT, NOW

FINDINGS = (
    ExpectationResult(
        check="between", column="delay", observed="0 of 1,200 values lie outside [0, 90]", passed=True, failing=0.0
    ),
    ExpectationResult(
        check="notNull", column="name", observed="12 of 1,200 values are null or NaN", passed=False, failing=0.01,
        severity="warn",
    ),
)  # fmt: skip


def state(version: int, rows: int, hours: float, findings: tuple[ExpectationResult, ...] = FINDINGS) -> TableState:
    return TableState(
        "s3://b/features/delays/0a1b2c3d4e", version, rows, "s1", "0a1b2c3d4e", COMMIT, NOW - timedelta(hours=hours),
        (("carrier", "String"), ("at", "Datetime"), ("delay", "Float64"), ("name", "String")),
        NOW - timedelta(hours=hours + 1), f"{version}b{version}b{version}b{version}b{version}b",
        upstream={"weather": ReadTable(uri="s3://b/features/weather/1", version=4, build="c1c1c1c1c1", rows=90)},
        expectations=findings, kept={"cause": "data"},
    )  # fmt: skip


OLD = ViewVersion(state(2, 1000, 30, (FINDINGS[0].model_copy(update={"passed": False}),)), False, True, 980, 61.0)
NEW = ViewVersion(state(3, 1200, 2), True, True, 1000, 3.25)
FIGURES = (
    ColumnFigures(
        "delay", "Float64", 1200, 12, 640, 12.5, 4.0,
        {"0": 0.0, "0.05": 1.0, "0.25": 6.0, "0.5": 12.0, "0.75": 20.0, "0.95": 40.0, "1": 90.5},
        edges=(0.0, 45.25, 90.5), counts=(1000, 188),
    ),
    ColumnFigures("name", "String", 1200, 0, 3, items=(("United", 700), ("Delta", 400), ("a b", 100))),
)  # fmt: skip
READERS = (Ref("FeatureView", "means"), Ref("TrainingJob", "classifier"), Ref("ModelDeployment", "delay"))
ROW = ViewRow(
    "delays",
    (ViewColumn("carrier", "String", "IATA code"), ViewColumn("at", "Datetime"), ViewColumn("delay", "Float64"),
     ViewColumn("name", "String")),
    NEW, READERS, "flights-team", "How late flights were", {"team": "flights"}, timedelta(hours=2),
)  # fmt: skip
VIEWS = [
    ROW,
    ViewRow("means", (ViewColumn("carrier", "String"),)),
    ViewRow("weather", problem="cannot read the table at s3://b/features/weather/1: timeout"),
]
VIEW = ViewReport(
    ROW, NEW, (NEW, OLD), ("carrier",), "at", None,
    {"flights": {"format": "csv", "path": "data/*.csv"}, "weather": {"featureView": "weather"}},
    {"sql": "SELECT carrier, at, delay, name\nFROM flights"}, FIGURES, ("means",),
)  # fmt: skip
PROFILED = ProfiledVersion(NEW, FIGURES)
_BEFORE = ColumnFigures("delay", "Float64", 1000, 0, 600, 10.0, 4.0, {"0.05": 1.0, "0.5": 9.0, "0.95": 30.0})
DIFFERENCE = ViewDifference(
    "delays", OLD, NEW,
    TableMoved(
        (ColumnMoved("delay", _BEFORE, FIGURES[0], 0.25, 0.02),
         ColumnMoved("name", None, FIGURES[1], None, None, ("a b",))),
        RowsMoved(
            ("at", "carrier"), 220, 20, 1, 979,
            {
                "added": ({"at": NOW, "carrier": "AA"},),
                "changed": ({"key": {"at": NOW, "carrier": "UA"}, "moved": {"delay": {"before": 1.5, "after": None}}},),
            },
        ),
    ),
    (("name", None, "String"),),
    (("between of delay", "failed: 3 of 1,000 values", "passed: 0 of 1,200 values"),
     ("freshness of at", "passed: newest 1", "passed: newest 2")),
)  # fmt: skip
STEPS = TransformSteps(
    (
        TransformStep("flights", "source", 1300, FIGURES[:1]),
        TransformStep("late", "table of the SQL", 1200, FIGURES, ("flights",)),
    ),
    "TransformFailed: the SQL is refused: no column 'dealy'",
)
