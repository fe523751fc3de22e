from __future__ import annotations

from dataclasses import dataclass

import pytest

from framework.backends.memory import MemoryRuns
from framework.ports import Capacity, RunSpec
from tests.contract.suites.polling import Patience
from tests.contract.suites.runs import RunContract, RunWorld


@dataclass(frozen=True)
class MemoryRunWorld(RunWorld):
    """The cluster does at once what the three workloads would do."""

    def submit(self, run: RunSpec) -> None:
        super().submit(run)
        runs = self.backend
        assert isinstance(runs, MemoryRuns)
        if run.workload == self.echo:
            runs.succeed(run.name, {"value": run.payload.get("value"), "attempt": run.attempt})
        elif run.workload == self.refuse:
            runs.fail(run.name, reason="Refused", message="42 is too many")
        else:
            runs.progress(run.name, 0.25, "asleep")


class TestMemoryRuns(RunContract):
    @pytest.fixture
    def world(self) -> RunWorld:
        runs = MemoryRuns()
        runs.cluster = Capacity({"CPU": 2.0}, {"CPU": 2.0}, {}, (), ({"pool": "trains"}, {}))
        return MemoryRunWorld(
            runs,
            "memory://store",
            Patience(1.0, 0.001),
            echo="test:echo",
            refuse="test:refuse",
            sleep="test:sleep",
        )
