"""Actions in words."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from framework.planning.grammar.actions import Action, RegisterModel, SendAlert, SetRoute, SubmitRun
from framework.render.actions import describe
from tests.unit.render.samples import ACTIONS, ALERT, ROUTE, RUN, VERSION

NAMED = {
    "SubmitRun": RUN.name,
    "StopRun": RUN.name,
    "RegisterModel": "delay-classifier@aa11bb22cc",
    "DeployApp": "delay-",
    "DeleteApp": "delay-1d2e3f4a5b",
    "SetRoute": "/delay",
    "DeleteRoute": "delay",
    "DeleteTable": "/store/features/planes/3333333333",
    "DropOnline": "carrier-delays",
    "DeleteModels": "/store/models/old-classifier",
    "WriteReport": "delay-monitor",
    "SendAlert": "temp and humid have drifted",
    "Propose": "dataset.refresh of TrainingJob/delay-classifier is 3",
    "TakeBackWord": "promote",
}


def test_the_cases_cover_every_action() -> None:
    assert {type(action) for action in ACTIONS} == set(get_args(Action))


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
def test_every_action_is_one_sentence_that_names_its_object(action: Action) -> None:
    sentence = describe(action)
    assert NAMED[type(action).__name__] in sentence
    assert "\n" not in sentence
    assert not sentence.endswith(".")
    assert sentence[0].islower()


def test_a_later_attempt_says_so() -> None:
    assert "attempt" not in describe(SubmitRun(RUN))
    assert "attempt 3" in describe(SubmitRun(replace(RUN, attempt=3)))


def test_a_model_that_failed_a_gate_is_recorded_as_not_deployable() -> None:
    failed = VERSION.model_copy(update={"deployable": False})
    assert describe(RegisterModel(failed)).endswith("(not deployable)")


def test_apps_without_traffic_are_left_out_of_a_route() -> None:
    assert "delay-0000000000" not in describe(SetRoute(ROUTE))


def test_of_a_webhook_address_only_the_host_is_shown() -> None:
    sentence = describe(
        SendAlert(ALERT, {"webhook": {"url": "https://user:pass@hooks.example.org:444/T0P?key=SECRET"}})
    )
    assert "hooks.example.org" in sentence
    assert not any(word in sentence for word in ("user", "pass", "T0P", "SECRET", "444"))


def test_a_webhook_without_a_readable_address_does_not_fail() -> None:
    assert "unknown host" in describe(SendAlert(ALERT, {"webhook": {"url": "not an address"}}))


def test_a_webhook_from_the_environment_shows_the_name_of_the_variable() -> None:
    assert describe(SendAlert(ALERT, {"webhook": {"urlFrom": {"env": "ALERT_URL"}}})).endswith("$ALERT_URL")
