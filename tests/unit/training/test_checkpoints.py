"""What a fit on one worker goes on from: the newest checkpoint that can be read, and no more of them than are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from framework.workloads.training.alone import AloneWatch
from framework.workloads.training.checkpoints import Checkpoints, CheckpointState
from framework.workloads.training.progress import Rounds
from framework.workloads.training.trainer import Artifact, Part, TrainingData

PART = Part(np.zeros((4, 1)), np.array([0.0, 1.0, 0.0, 1.0]))
DATA = TrainingData(PART, PART, ("x",), {})
SCORES = np.array([0.1, 0.9, 0.2, 0.8])


def state(rounds: int, *, final: bool = False) -> CheckpointState:
    return CheckpointState(rounds, "skops", final)


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoints:
    return Checkpoints(str(tmp_path / "checkpoints"), 2)


def watch(kept: Checkpoints, folder: Path, every: int = 1) -> AloneWatch:
    return AloneWatch(DATA, 40, every, kept, Rounds(str(folder)))


def test_the_newest_are_kept(kept: Checkpoints, tmp_path: Path) -> None:
    assert kept.newest() is None
    for rounds in (4, 8, 12, 100):
        kept.add(state(rounds), str(rounds).encode())
    assert kept.newest() == (state(100), b"100")
    assert len(list((tmp_path / "checkpoints").iterdir())) == 4


@pytest.mark.parametrize("file", ["000000008.json", "000000008.model"])
@pytest.mark.parametrize("damage", [b"", b"{}", None])
def test_one_that_is_damaged_gives_way_to_the_one_before(
    kept: Checkpoints, tmp_path: Path, file: str, damage: bytes | None
) -> None:
    for rounds in (4, 8):
        kept.add(state(rounds), str(rounds).encode())
    path = tmp_path / "checkpoints" / file
    path.unlink() if damage is None else path.write_bytes(damage)
    assert kept.newest() == (state(4), b"4")


def test_every_so_many_reports_are_kept_and_gone_on_from(kept: Checkpoints, tmp_path: Path) -> None:
    first = watch(kept, tmp_path, every=2)
    assert first.resume() is None
    for rounds in (4, 8, 12, 40):
        first.report(rounds, SCORES, lambda rounds=rounds: Artifact(str(rounds).encode(), "skops"))
    assert Rounds(str(tmp_path)).told() == (40, "validation_auc 1")
    second = watch(kept, tmp_path)
    assert second.resume() == (8, Artifact(b"8", "skops"))
    assert second.resumed == (8,)


def test_a_fit_goes_on_where_no_checkpoint_can_be_written(kept: Checkpoints, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("in the way")
    watch(kept, tmp_path).report(4, SCORES, lambda: Artifact(b"4", "skops"))
    assert Rounds(str(tmp_path)).told()[0] == 4
