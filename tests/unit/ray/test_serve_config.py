from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.api.errors import TerminalError
from framework.backends.ray.serve_config import (
    live_digest,
    read_route,
    render_app,
    render_route,
    with_app,
    without_app,
)
from framework.ports import AppSpec, CodeRef, RouteSpec, TrialRows
from tests.builders import app_arguments

DIGEST = "d" * 40
ARCHIVE = f"file:///store/code/{DIGEST}.zip"
CODE = CodeRef("c" * 40, "examples/flights", DIGEST)
APP = AppSpec("delay-0123456789", "delay", app_arguments(), code=CODE)
ROUTE = RouteSpec(
    "delay", "/delay", {"delay-0123456789": 90, "delay-abcdef0123": 10}, "delay-0123456789", 7, traffic="t"
)

NAME, MARK = "local_delay-0123456789", {"environment": "local", "owner": "0123456789"}
NAMES = {app: f"local_{app}" for app in ("delay-0123456789", "delay-abcdef0123", "delay-a", "delay-b")}

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)


rows = st.none() | st.lists(st.dictionaries(st.text(max_size=5), json_values), max_size=2).map(tuple)
arguments = st.builds(
    app_arguments,
    version=st.text(max_size=5),
    signature=st.dictionaries(st.text(max_size=5), json_values),
    flushSeconds=st.floats(0, 1e6),
    transformer=st.none() | st.text(max_size=5),
    trial=st.none() | st.builds(TrialRows, rows),
)


@st.composite
def apps(draw: st.DrawFn) -> AppSpec:
    minimum = draw(st.integers(1, 5))
    return AppSpec(
        name="a-deployment-0123456789",
        deployment="a-deployment",
        arguments=draw(arguments),
        min_replicas=minimum,
        max_replicas=minimum + draw(st.integers(0, 3)),
        target_ongoing_requests=draw(st.integers(1, 50)),
        max_queued_requests=draw(st.integers(1, 500)),
        cpus=draw(st.floats(0.01, 8)),
        gpus=draw(st.sampled_from([0.0, 0.5, 2.0])),
        batch_size=draw(st.integers(1, 64)),
        batch_wait_seconds=draw(st.floats(0, 1)),
        metadata={"commit": draw(st.text(max_size=5))},
        code=draw(st.sampled_from([None, CODE])),
    )


@given(apps(), st.sampled_from([("local_a-deployment-0123456789", MARK), ("a-deployment-0123456789", None)]))
def test_the_digest_of_an_app_is_read_back_from_what_runs(app: AppSpec, known: tuple[str, Any]) -> None:
    assert live_digest(render_app(app, ARCHIVE if app.code else None, *known)) == app.digest


def _meddled() -> list[tuple[str, dict[str, Any]]]:
    config = render_app(APP, ARCHIVE, NAME, MARK)

    def change(*path: Any, value: Any) -> dict[str, Any]:
        changed: Any = copy.deepcopy(config)
        inner = changed
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        return dict(changed)

    without_batching = copy.deepcopy(config)
    del without_batching["args"]["batchSize"]
    return [
        ("arguments", change("args", "version", value="2")),
        ("replicas", change("deployments", 0, "num_replicas", value=3)),
        ("resources", change("deployments", 0, "ray_actor_options", "num_cpus", value=4)),
        ("queue", change("deployments", 0, "max_queued_requests", value=-1)),
        ("health checks", change("deployments", 0, "health_check_period_s", value=60)),
        ("an option that we never set", change("deployments", 0, "logging_config", value={"log_level": "DEBUG"})),
        ("a route of its own", change("route_prefix", value="/direct")),
        ("other code", change("runtime_env", "working_dir", value="file:///elsewhere/other.zip")),
        ("the environment", change("runtime_env", "env_vars", value={"SECRET": "x"})),
        ("another application", change("import_path", value="somewhere:build")),
        ("no deployment", change("deployments", value=[])),
        ("no batching", without_batching),
    ]


@pytest.mark.parametrize(("what", "config"), _meddled(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_hand_made_change_shows_in_the_digest(what: str, config: dict[str, Any]) -> None:
    assert live_digest(config) != APP.digest


def test_what_scales_in_place_is_no_part_of_the_code_version() -> None:
    """Serve restarts replicas when import path, args or runtime_env change."""

    def version(app: AppSpec) -> tuple[Any, ...]:
        config = render_app(app, ARCHIVE, NAME, MARK)
        return (
            config["import_path"],
            config["args"],
            config["runtime_env"],
            config["deployments"][0]["ray_actor_options"],
        )

    scaled = replace(
        APP,
        min_replicas=2,
        max_replicas=5,
        target_ongoing_requests=3,
        max_queued_requests=9,
    )
    assert version(scaled) == version(APP)
    assert scaled.digest != APP.digest


def test_two_batches_fit_into_a_replica() -> None:
    app = replace(APP, batch_size=64)
    assert render_app(app, ARCHIVE, NAME, MARK)["deployments"][0]["max_ongoing_requests"] >= 128


@pytest.mark.parametrize("uri", [None, "file:///store/code/latest.zip"])
def test_an_archive_that_is_not_named_by_its_content_is_refused(uri: str | None) -> None:
    with pytest.raises(TerminalError) as caught:
        render_app(APP, uri, NAME, MARK)
    assert caught.value.reason == "CodeNotAddressed"


@given(
    weights=st.dictionaries(st.sampled_from(["delay-a", "delay-b"]), st.integers(0, 100), min_size=1),
    generation=st.integers(0),
    shield=st.booleans(),
    timeout=st.floats(0.01, 60),
    sticky=st.none() | st.text(min_size=1),
    match=st.none() | st.tuples(st.text(min_size=1), st.text()),
)
def test_a_route_is_read_back_as_it_was_set(
    weights: dict[str, int], generation: int, shield: bool, timeout: float, sticky: str | None, match: Any
) -> None:
    route = RouteSpec(
        "delay",
        "/delay",
        weights,
        "delay-a",
        generation,
        shield,
        timeout,
        sticky,
        match,
        max_queued=3,
        traffic="folder",
    )
    assert read_route(render_route(route, "local_delay-router", MARK, NAMES)) == route


def test_a_new_table_differs_in_user_config_alone() -> None:
    later = replace(ROUTE, weights={ROUTE.stable: 100}, generation=8)
    first, second = (render_route(route, "local_delay-router", MARK, NAMES) for route in (ROUTE, later))
    for config in (first, second):
        del config["deployments"][0]["user_config"]
    assert first == second


@pytest.mark.parametrize(
    "change",
    [{"deployments": []}, {"args": {}}, {"import_path": "somewhere:build"}, {"deployments": [{"name": "Router"}]}],
)
def test_a_router_changed_beyond_recognition_is_none(change: dict[str, Any]) -> None:
    assert read_route({**render_route(ROUTE, "local_delay-router", MARK, NAMES), **change}) is None


def test_the_list_keeps_its_order_and_what_others_put_there() -> None:
    foreign, old, last = {"name": "foreign"}, {"name": "ours", "v": 1}, {"name": "last"}
    new = {"name": "ours", "v": 2}
    assert with_app([foreign, old, last], new) == [foreign, new, last]
    assert with_app([foreign], new) == [foreign, new]
    assert without_app([foreign, old, last], "ours") == [foreign, last]
    assert without_app([foreign], "ours") == [foreign]
