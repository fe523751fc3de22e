"""What is said while a pass is under way."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.cli.progress import Progress
from controllers.loop.reconciler import Result
from framework.api.categories import Category
from framework.api.conditions import transition
from framework.api.meta import Ref
from framework.planning.grammar.changes import Change, Status, Verb
from tests.builders import NOW

REF = Ref("ModelMonitor", "late-monitor")


def result(summary: str, message: str, **said: Any) -> Result:
    conditions = transition(None, NOW, **{"ready": True, "reason": "Watching", "message": message, **said})
    status = Status(commit="c", identity="i", digest="d", conditions=conditions, summary=summary)
    return Result(REF, Change(REF, Verb.NOOP, Category.NOOP, "", status))


def told(capsys: pytest.CaptureFixture[str], *results: Result) -> list[str]:
    with Progress(lambda: NOW) as progress:
        for item in results:
            progress.listen(item)
    return [line.split("  ", 1)[1] for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(
    ("summary", "message", "expected"),
    [
        ("watches; no window judged yet", "watches; no window judged yet", "watches; no window judged yet"),
        ("a@1 serves", "a@1 serves all traffic", "a@1 serves all traffic"),
        ("version 1, auc 0.7", "", "version 1, auc 0.7"),
        ("", "waits for a", "waits for a"),
        ("no version yet", "waits for a", "no version yet; waits for a"),
    ],
)
def test_each_thing_is_said_once(capsys: pytest.CaptureFixture[str], summary: str, message: str, expected: str) -> None:
    assert told(capsys, result(summary, message)) == [f"{REF!s:34}  Ready        {expected}"]


def test_news_is_said_and_the_same_is_not_said_again(capsys: pytest.CaptureFixture[str]) -> None:
    working = result("no version yet", "running 15%", ready=False, reconciling=True, reason="Training")
    further = result("no version yet", "running 60%", ready=False, reconciling=True, reason="Training")
    done = result("version 1", "", reason="ModelReady")
    lines = told(capsys, working, working, further, done)
    assert [line.split()[1] for line in lines] == ["Reconciling", "Ready"]
