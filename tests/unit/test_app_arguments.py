"""What a replica is given: the same for the kind that asks, the workload that runs, and records and apps of before."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from framework.kinds.model_deployment.observed import DeploymentState, ServedVersion
from framework.ports import AppArguments, AppSpec, CodeRef, TrialRows
from tests.builders import app_arguments

CODE = CodeRef("c" * 40, "x", "d" * 40)
SENT = {
    "deployment": "delay", "app": "delay-0123456789", "version": "1", "format": "lightgbm-text", "sha256": "0" * 64,
    "artifact": "/store/models/delay-classifier/1/model.txt",
    "signature": {"inputs": [{"name": "a", "dtype": "Float64"}]},
    "profiles": "/store/serving/delay/delay-0123456789/profiles",
    "predictions": "/store/serving/delay/delay-0123456789/predictions",
    "flushSeconds": 10.0, "transformer": None, "predictionKey": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("trial", "digest"),
    [({}, "4e875c0f67"), ({"trial": {"rows": None}}, "51dcb69780"), ({"trial": {"rows": [{"a": 1.5}]}}, "5e490c2507")],
)
def test_what_was_sent_before_is_read_kept_and_called_the_same(trial: dict[str, object], digest: str) -> None:
    sent = {**SENT, **trial}
    arguments = AppArguments.from_json(sent)
    assert arguments.to_json() == sent
    assert AppSpec("delay-0123456789", "delay", arguments, metadata={"a": "b"}, code=CODE).digest == digest
    version = {
        "app": "delay-0123456789", "identity": "0123456789", "training": "t", "version": "1", "commit": "c",
        "cpus": 1.0, "gpus": 0.0, "batch_size": 1, "batch_wait_seconds": 0.0, "code": None, "arguments": sent,
    }  # fmt: skip
    state = DeploymentState.model_validate({"stable": version})
    assert state.stable is not None
    assert state.stable.arguments == arguments
    assert state.model_dump(mode="json")["stable"] == version


@dataclass(frozen=True)
class Later(AppArguments):
    addedLater: int = 7


def test_one_that_is_added_with_its_default_restarts_nothing_and_one_that_is_unknown_stops_nothing() -> None:
    arguments = app_arguments(trial=TrialRows(({"a": 1},)))
    assert Later(**vars(arguments)).to_json() == arguments.to_json()
    assert AppArguments.from_json({**arguments.to_json(), "addedLater": 8, "batchSize": 4}) == arguments


@pytest.mark.parametrize("wrong", [{"artifact": None}, {"flushSeconds": "soon"}, {"trial": 3}, {"signature": []}])
def test_what_cannot_be_read_is_no_version(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AppArguments.from_json({**SENT, **wrong})
    fields = {"app": "a", "identity": "i", "training": "t", "version": "1", "commit": "c", "cpus": 1, "gpus": 0}
    with pytest.raises(ValueError, match="arguments"):
        ServedVersion.model_validate(
            {**fields, "batch_size": 1, "batch_wait_seconds": 0, "arguments": {**SENT, **wrong}}
        )
