"""A version in service that fails its callers: it is said, with the reason, once, and until it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from framework.api.conditions import DEGRADED
from framework.backends.memory.serving import Served
from framework.kinds.model_deployment.health import FEWEST
from framework.planning.grammar.changes import Verb
from framework.ports import RECENT_SECONDS, Failure
from tests.builders import NOW
from tests.unit.kinds.deployments import REF, Deployment, serving

KEY_ERROR = Failure("KeyError", "'plane_year'", "serving.py:28, in enrich", 3, NOW)
RECENT = timedelta(seconds=RECENT_SECONDS + 1)
REFUSED = Failure("BadRequest", "z is missing; Float64 is required", "", 3, NOW)


def ask(
    deployment: Deployment, requests: int, errors: int = 0, *, refused: int = 0, how: Failure | None = None
) -> None:
    """Requests to the first version, and one look."""
    seen = replace(how, last=deployment.now) if how else None
    deployment.serving.serve(REF.name, {deployment.app("1"): Served(requests, errors, refused=refused, failure=seen)})
    deployment.look()


def ready(deployment: Deployment) -> tuple[bool, str]:
    assert deployment.status is not None
    condition = deployment.status.conditions.ready
    return condition.status, condition.reason


def degraded() -> Deployment:
    deployment = serving(routers=2)
    ask(deployment, 100, 40, how=KEY_ERROR)
    assert ready(deployment) == (False, DEGRADED)
    return deployment


def test_a_version_that_fails_its_callers_is_not_ready_and_says_why() -> None:
    deployment = degraded()
    assert deployment.status is not None
    message = deployment.status.conditions.ready.message
    assert "delay-classifier@1111111111 fails" in message
    assert "of the last 5m" in message
    assert message.endswith("the last time KeyError: 'plane_year' (serving.py:28, in enrich)")
    assert (deployment.status.conditions.reconciling.status, deployment.status.conditions.stalled.status) == (
        False,
        False,
    )
    assert deployment.status.summary == "delay-classifier@1111111111 serves, degraded"
    assert (deployment.changes[-1].verb, deployment.changes[-1].requeue_after) == (Verb.NOOP, None)


@pytest.mark.parametrize(
    ("requests", "errors", "refused", "expected"),
    [
        (FEWEST, FEWEST // 20, 0, True),
        (FEWEST - 1, FEWEST - 1, 0, False),
        (1_000, 49, 0, False),
        (1_000, 50, 0, True),
        (1_000, 0, 5_000, False),
        (0, 0, FEWEST, True),
        (0, 0, FEWEST - 1, False),
    ],
)
def test_when_it_is_said(requests: int, errors: int, refused: int, expected: bool) -> None:
    """Callers who send nonsense make nobody degraded, unless there is no other kind of caller."""
    deployment = serving()
    deployment.now += 2 * RECENT
    ask(deployment, requests, errors, refused=refused, how=REFUSED if refused else None)
    assert ready(deployment)[0] is not expected
    if refused and expected:
        assert deployment.status is not None
        message = deployment.status.conditions.ready.message
        assert f"refuses every request, {refused} in the last 5m; the last time BadRequest: z is missing" in message


def test_an_episode_is_told_once_and_when_it_is_over() -> None:
    deployment = degraded()
    for _ in range(20):
        ask(deployment, 10, 5)
    deployment.now += RECENT
    ask(deployment, 100, 3)
    assert ready(deployment) == (True, "Serving")
    assert deployment.events == ["Degraded", "Recovered"]
    assert deployment.told("Recovered") == ["delay-classifier@1111111111 failed 3 of 100 requests of the last 5m"]
    deployment.now += RECENT
    ask(deployment, 100, 90)
    assert deployment.events == ["Degraded", "Recovered", "Degraded"]


def test_an_episode_outlasts_silence() -> None:
    deployment = degraded()
    deployment.now += 10 * RECENT
    deployment.look()
    assert ready(deployment) == (False, DEGRADED)
    ask(deployment, 1)
    assert ready(deployment) == (True, "Serving")


def test_its_numbers_are_brought_up_to_date_now_and_then_and_not_at_every_look() -> None:
    deployment = degraded()
    seen = set()
    for _ in range(100):
        ask(deployment, 10, 7)
        assert deployment.status is not None
        seen.add(deployment.status.conditions.ready.message)
    assert len(seen) == 1, "fifty seconds"
    for _ in range(30):
        ask(deployment, 10, 7)
        seen.add(deployment.status.conditions.ready.message)
    assert len(seen) == 2


def test_a_new_version_takes_the_blame_from_nobody() -> None:
    deployment = degraded()
    deployment.want("2")
    change = deployment.look()
    assert change.status is not None
    assert not change.status.conditions.ready.status
    assert change.status.conditions.reconciling.status
    deployment.run_until(10, "2", error_rate={deployment.app("1"): 0.4})
    assert "; delay-classifier@1111111111 fails" in deployment.changes[-1].reason
    deployment.run(error_rate={deployment.app("1"): 0.4})
    assert ready(deployment) == (True, "Serving")
    assert deployment.state.degraded is None


def test_routers_that_fell_silent_or_died_know_nothing_of_lately() -> None:
    deployment = degraded()
    deployment.serving.restart_routers(REF.name)
    deployment.look()
    assert ready(deployment) == (False, DEGRADED), "what nobody knows any more is not over"
    ask(deployment, 50)
    assert ready(deployment) == (True, "Serving")
