import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from controllers.host.background import Background
from framework.api.errors import ConfigurationError


def sleeper() -> list[str]:
    return [sys.executable, "-c", "import time; time.sleep(60)"]


def test_it_is_started_once_and_stopped_by_another_command(tmp_path: Path) -> None:
    pid = Background(tmp_path).start(sleeper())
    try:
        assert Background(tmp_path).start(sleeper()) == pid
        assert Background(tmp_path).running() == pid
    finally:
        assert Background(tmp_path).stop()
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert not Background(tmp_path).stop()


def test_a_controller_that_ends_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    script = textwrap.dedent("import sys; print('no such environment', file=sys.stderr); sys.exit(1)")
    with pytest.raises(ConfigurationError, match="no such environment"):
        Background(tmp_path).start([sys.executable, "-c", script])


@pytest.mark.parametrize(
    "text",
    ['{"pid": 1, "birth": "12"}', '{"pid": 1, "birth": null}', '{"pid": "x", "birth": "1"}', "{}", "[]", "7", "", "{",
     '{"pid": -5, "birth": "1"}', f'{{"pid": {2**80}, "birth": "1"}}'],
)  # fmt: skip
def test_what_is_not_the_controller_is_not_taken_for_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "controller.json").write_text(text)
    assert Background(tmp_path).running() is None
    assert not Background(tmp_path).stop()


def test_a_clock_that_is_set_does_not_lose_the_controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = Background(tmp_path).start(sleeper())
    try:
        monkeypatch.setattr(psutil.Process, "create_time", lambda process: 86_400.0)
        assert Background(tmp_path).running() == pid
    finally:
        monkeypatch.undo()
        assert Background(tmp_path).stop()
