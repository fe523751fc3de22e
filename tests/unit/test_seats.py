"""Which router gets which table: a deployment has one at most, and a path is never without."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from framework.ports import RouteSpec, seats


def table(deployment: str, path: str, generation: int = 1) -> RouteSpec:
    return RouteSpec(deployment, path, {f"{deployment}-0": 100}, f"{deployment}-0", generation)


def test_a_first_router_a_later_table_and_a_move() -> None:
    assert seats({}, table("a", "/x"), "a") == {"a": table("a", "/x")}
    assert seats({"a": table("a", "/x")}, table("a", "/x", 2), "a") == {"a": table("a", "/x", 2)}
    assert seats({"a": table("a", "/x")}, table("a", "/y"), "a") == {"a": table("a", "/y")}


def test_a_router_that_serves_the_path_is_taken_over() -> None:
    assert seats({"a": table("a", "/x")}, table("b", "/x"), "b") == {"a": table("b", "/x")}
    both = {"a": table("a", "/x"), "b": table("b", "/y")}
    assert seats(both, table("b", "/x"), "b") == {"a": table("b", "/x"), "b": None}


def test_a_name_that_another_deployment_goes_on_with_is_left_alone() -> None:
    assert seats({"a": table("b", "/x")}, table("a", "/y"), "a") == {"a-2": table("a", "/y")}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["/x", "/y", "/z"])), max_size=12))
def test_whatever_is_asked_there_is_one_router_for_each_path_and_deployment(asked: list[tuple[str, str]]) -> None:
    routers: dict[str, RouteSpec] = {}
    for number, (deployment, path) in enumerate(asked):
        for name, given_table in seats(routers, table(deployment, path, number), deployment).items():
            if given_table is None:
                del routers[name]
            else:
                routers[name] = given_table
        live = list(routers.values())
        assert len({item.route for item in live}) == len({item.deployment for item in live}) == len(live)
        assert any((item.deployment, item.route) == (deployment, path) for item in live)
