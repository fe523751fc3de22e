"""Deleting models: what is ours, and nothing else, from the registry and from the disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controllers.loop.executor import execute
from framework.api import layout
from framework.api.errors import ConflictError, TerminalError
from framework.backends.delta.tables import DeltaTables
from framework.backends.memory import MemoryPorts, memory_ports
from framework.planning.grammar.actions import DeleteModels
from framework.ports import Ports
from tests.builders import NOW, model_version


def ports_on(storage: Path) -> tuple[MemoryPorts, Ports, int]:
    memory = memory_ports(storage=str(storage))
    lease = memory.state.acquire("test", 60.0, NOW)
    assert lease is not None
    for name in ("a", "b"):
        memory.registry.register(model_version("v1", training=name), lease.token)
        folder = Path(layout.model_folder(str(storage), name, "v1"))
        folder.mkdir(parents=True)
        (folder / "model.txt").write_text("a model")
    return memory, Ports(**{**vars_of(memory), "tables": DeltaTables()}), lease.token


def vars_of(memory: MemoryPorts) -> dict[str, Any]:
    return {name: getattr(memory, name) for name in Ports.__dataclass_fields__}


def test_every_version_of_the_job_goes_with_its_files_and_nothing_of_another(tmp_path: Path) -> None:
    memory, ports, token = ports_on(tmp_path / "store")
    action = DeleteModels("a", layout.training_folder(ports.storage, "a"))
    execute(action, ports, token)
    execute(action, ports, token)  # done twice, it does no harm
    assert memory.registry.versions("a") == []
    assert not Path(action.folder).exists()
    assert memory.registry.versions("b")
    assert Path(layout.model_folder(ports.storage, "b", "v1"), "model.txt").read_text() == "a model"


@pytest.mark.parametrize(
    "folder", ["{storage}", "{storage}/models", "{storage}/models/b", "{storage}/../x/models/a", "/"]
)
def test_a_folder_that_is_not_the_jobs_own_is_never_deleted(tmp_path: Path, folder: str) -> None:
    memory, ports, token = ports_on(tmp_path / "store")
    with pytest.raises(TerminalError, match="is not where"):
        execute(DeleteModels("a", folder.format(storage=ports.storage)), ports, token)
    assert memory.registry.versions("a")
    assert len(list(tmp_path.rglob("model.txt"))) == 2


def test_who_lost_the_lease_deletes_nothing(tmp_path: Path) -> None:
    memory, ports, token = ports_on(tmp_path / "store")
    with pytest.raises(ConflictError):
        execute(DeleteModels("a", layout.training_folder(ports.storage, "a")), replace(ports), token - 1)
    assert memory.registry.versions("a")
    assert len(list(tmp_path.rglob("model.txt"))) == 2
