"""mlopsctl lease, as people call it, on a real database."""

from __future__ import annotations

import json
from typing import Any

import pytest

from framework.backends.state.database import open_database
from framework.backends.state.store import SqlStateStore
from framework.process import identity
from tests.builders import NOW
from tests.controllers.test_cli import Project
from tests.controllers.test_history_cli import call

ELSEWHERE = {"machine": "another", "pid": 1, "birth": "1"}


def state(project: Project) -> SqlStateStore:
    return SqlStateStore(open_database("sqlite:///.mlops/state.db", str(project.root)), "local")


def held(project: Project, note: dict[str, Any]) -> None:
    store = state(project)
    lease = store.acquire("host-a:7:abc", 15.0, NOW, note)
    assert lease is not None
    assert store.renew(lease, NOW)


def test_nobody_leads(project: Project) -> None:
    assert call(project, "lease").stdout == "Nobody holds the lease of local.\n"
    done = call(project, "lease", "--break", "--yes", "--output", "json")
    assert (done.returncode, json.loads(done.stdout)["broken"]) == (0, False)


@pytest.mark.parametrize(
    ("note", "holder", "says"),
    [
        (identity(), "alive", "Its process runs on this machine."),
        ({**identity(), "pid": 2**22 + 1}, "dead", "whoever looks next takes the lease over"),
        (ELSEWHERE, "elsewhere", "after 15 s without a sign of life"),
        ({}, "elsewhere", "mlopsctl lease --break"),
    ],
)
def test_who_leads_and_whether_it_lives(project: Project, note: dict[str, Any], holder: str, says: str) -> None:
    held(project, note)
    done = call(project, "lease")
    assert "The lease of local is held by host-a:7:abc (token 1)." in done.stdout
    assert says in done.stdout
    document = json.loads(call(project, "lease", "--output", "json").stdout)
    assert (document["holder"], document["lease"]["renewals"], document["broken"]) == (holder, 1, False)


def test_breaking_it_takes_a_word_and_frees_the_environment(project: Project) -> None:
    held(project, ELSEWHERE)
    declined = call(project, "lease", "--break")
    assert declined.returncode == 1
    assert "nothing was changed; pass --yes" in declined.stderr
    assert state(project).lease() is not None
    done = call(project, "lease", "--break", "--yes")
    assert (done.returncode, done.stdout) == (0, "The lease of host-a:7:abc is broken.\n")
    assert state(project).lease() is None
    assert [event.reason for event in state(project).events()] == ["LeaseBroken"]
    assert state(project).acquire("next", 15.0, NOW) is not None
