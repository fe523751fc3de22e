"""How long a running controller takes to look at a new commit.

``python -m benchmarks.controller ROOT FULL NOTES EDITS``, the last two separated by commas, prints seconds as JSON. It
is the real controller, with a SQLite state store and a branch that is moved from commit to commit.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.repository import git
from controllers.host.wiring import open_project
from controllers.settings import Settings

BRANCH = "followed"


def main() -> None:
    root, full, notes, edits = Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(","), sys.argv[4].split(",")
    _move(root, full)
    project = open_project(Settings(root=root, revision=BRANCH), lambda: datetime.now(UTC))
    leadership = project.leadership()
    assert leadership.acquire()
    try:
        controller = project.source_controller(lambda: leadership.token)
        found = {"first": [_poll(controller.poll)]}
        for name, commits in (("note", notes), ("edit", edits)):
            found[name] = []
            for commit in commits:
                _move(root, commit)
                found[name].append(_poll(controller.poll))
            assert controller.loaded is not None
            assert controller.loaded.commit == commits[-1]
    finally:
        leadership.release()
    print(json.dumps(found))


def _move(root: Path, commit: str) -> None:
    git(root, "update-ref", f"refs/heads/{BRANCH}", commit)


def _poll(poll: object) -> float:
    assert callable(poll)
    started = time.perf_counter()
    poll()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
