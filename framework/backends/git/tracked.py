"""What git tracks in a folder of a work tree now."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from framework.api.errors import TransientError
from framework.backends.git.place import find_repository
from framework.backends.git.process import variables

SECONDS = 60.0


class TrackedFiles:
    """Asks git again only once its index has changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, ...], frozenset[str]]] = {}

    def __call__(self, root: str) -> frozenset[str]:
        """Files that git tracks below ``root``, as paths from there; none where there is no work tree.

        Raises:
            TransientError: git is at work there, so that files come and go, or does not answer.
        """
        found = find_repository(Path(root))
        if found is None or found.top is None:
            return frozenset()
        if (found.folder / "index.lock").exists():
            raise TransientError(f"git is at work in {root}, or left {found.folder / 'index.lock'}")
        try:
            state = os.stat(found.folder / "index")
        except FileNotFoundError:
            return frozenset()
        marks = (state.st_mtime_ns, state.st_size, state.st_ino)
        known = self._known.get(root)
        if known is None or known[0] != marks:
            known = self._known[root] = marks, _listed(root)
        return known[1]


def _listed(root: str) -> frozenset[str]:
    try:
        done = subprocess.run(
            ["git", "ls-files", "-z"],  # noqa: S607
            cwd=root, env=variables(), stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TransientError(f"git does not tell what it tracks in {root}: {error}") from error
    if done.returncode != 0:
        raise TransientError(f"git does not tell what it tracks in {root}: {os.fsdecode(done.stderr).strip()}")
    return frozenset(os.fsdecode(name) for name in done.stdout.split(b"\0") if name)
