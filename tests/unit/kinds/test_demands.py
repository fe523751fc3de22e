"""What a new version asks of its callers: told when its rollout is planned and when it starts."""

from __future__ import annotations

from typing import Any

import pytest

from framework.api.categories import Category
from framework.kinds.model_deployment.demands import demands, takes
from framework.kinds.model_deployment.target import served
from framework.planning.grammar.changes import Plan
from framework.ports import ModelVersion
from framework.render.plan import plan_text
from framework.workloads.models import check_rows
from tests.builders import NOW, desired, model_version
from tests.unit.kinds.deployments import REF, Deployment, deployment_spec

DTYPES = [f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)]
DTYPES += ["Float32", "Float64", "Boolean", "String"]
EDGES = {
    **{f"Int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UInt{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    "Float32": (-3e38, 0.5),
    "Float64": (-1e300, 0.5),
    "Boolean": (True,),
    "String": ("x",),
}


def column(name: str, dtype: str = "Float64", *, nullable: bool = False) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "nullable": nullable, "categories": ["x"]}


def model(version: str, *columns: dict[str, Any]) -> ModelVersion:
    signature = {"inputs": list(columns), "output": {"name": "late", "kind": "probability"}}
    return model_version(version * 10).model_copy(update={"signature": signature})


def asked(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[tuple[str, Any, Any]]:
    git = desired(REF, deployment_spec())
    found = demands(served(git, model("2", *new)), served(git, model("1", *old)))
    assert all(item.category is Category.BREAKING for item in found)
    return [(item.path, item.before, item.after) for item in found]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("other", DTYPES)
def test_a_dtype_takes_another_where_requests_of_that_one_are_taken(dtype: str, other: str) -> None:
    signature = {"inputs": [column("x", dtype)]}
    fits = all(check_rows([{"x": value}], signature) == [] for value in EDGES[other])
    assert takes(dtype, other) is fits


def test_what_must_be_there_and_what_must_be_otherwise() -> None:
    old = [column("x"), column("y", nullable=True), column("n", "Int64"), column("s", "String")]
    assert asked(old, old) == []
    assert asked(old, [column("x"), column("z")]) == [("model.inputs.z", None, "Float64")]
    assert asked(old, [column("x"), column("z", nullable=True)]) == []
    assert asked(old, [column("y")]) == [("model.inputs.y", "Float64, or nothing", "Float64")]
    assert asked(old, [column("x", nullable=True)]) == []
    assert asked(old, [column("n", "Int8"), column("s", "Float64", nullable=True)]) == [
        ("model.inputs.n", "Int64", "Int8"),
        ("model.inputs.s", "String", "Float64, or nothing"),
    ]
    assert asked(old, [column("n")]) == [], "whole numbers are numbers"


def rolling() -> Deployment:
    deployment = Deployment()
    deployment.model = model("1", column("x"))
    deployment.run()
    deployment.model = model("2", column("x"), column("z"))
    deployment.look()
    return deployment


def test_the_event_says_so() -> None:
    (first, second) = rolling().told("RolloutStarted")
    assert "callers must now send" not in first
    assert second.endswith("; callers must now send z: Float64")


def test_the_plan_says_so_as_long_as_it_is_on_its_way() -> None:
    deployment = rolling()
    change = deployment.changes[-1]
    assert (change.category, change.diffs[-1].path) == (Category.BREAKING, "model.inputs.z")
    plan = Plan("local", "c" * 40, "d", "o", (deployment.look(),), NOW)
    text = plan_text(plan)
    assert "callers must now send z: Float64" in " ".join(text.split())
    assert "model.inputs.z" in text
    deployment.run()
    assert deployment.look().diffs == ()
