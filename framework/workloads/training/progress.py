"""How far a training is, told by what was counted: trials that are over, rounds that were boosted. Where nothing of it
runs, it is told what for it waits."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from framework import storage
from framework.api import spaces
from framework.workloads.context import WorkloadError

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0

Progress = tuple[float | None, str]
"""(fraction done in 0..1 or None, what is happening now)"""


def trials_in_all(tune: Mapping[str, Any]) -> int:
    """How many trials a search has that runs to its end. A grid tries every combination once.

    Raises:
        WorkloadError: "GridNeedsChoice" for a distribution that has no finite list.
    """
    if tune["algorithm"] != "grid":
        return int(tune["trials"])
    among = spaces.parameters(tune["search"])
    if endless := spaces.ranges(among):
        raise WorkloadError("GridNeedsChoice", f"algorithm: grid needs choice for {', '.join(endless)}")
    return spaces.grid_size(among)


class Pace:
    """How long what is counted takes at the pace so far. It begins with the first count: what was done before, by an
    earlier attempt for instance, says nothing of it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None
        self._last: tuple[float, int] = (0.0, 0)

    def left(self, done: int | None, total: int) -> str:
        """``about 3 min left``; empty where nobody can tell yet."""
        if done is None:
            return ""
        now = self._clock()
        if self._first is None:
            self._first = self._last = (now, done)
        if done != self._last[1]:
            self._last = (now, done)
        (began, before), (seen, _) = self._first, self._last
        if done <= before or done >= total:
            return ""
        return time_left((total - done) * (seen - began) / (done - before) - (now - seen))


def time_left(seconds: float) -> str:
    """Coarse, so that it does not change with every look.

    >>> time_left(3), time_left(42), time_left(170), time_left(9000)
    ('a few seconds left', 'about 50 s left', 'about 3 min left', 'about 3 h left')
    """
    if seconds < _FEW:
        return "a few seconds left"
    if seconds < 1.5 * _MINUTE:
        return f"about {10 * math.ceil(seconds / 10):g} s left"
    if seconds < 1.5 * _HOUR:
        return f"about {round(seconds / _MINUTE):g} min left"
    return f"about {math.ceil(seconds / _HOUR):g} h left"


_FEW, _MINUTE, _HOUR = 10, 60, 3600


def of_search(
    algorithm: str,
    total: int,
    ended: int,
    running: int,
    needs: str,
    best: str = "",
    left: str = "",
) -> Progress:
    """``best`` says what the best trial so far is worth, ``left`` how long the others take.

    >>> of_search("grid", 6, 2, 1, "1 CPU", "best validation_auc 0.71 (trial 1)", "about 3 min left")[1]
    'searching with grid: 2 of 6 trials done, best validation_auc 0.71 (trial 1), about 3 min left'
    >>> of_search("grid", 6, 2, 1, "1 CPU")
    (0.3333333333333333, 'searching with grid: 2 of 6 trials done')
    >>> of_search("grid", 6, 2, 0, "1 CPU")
    (0.3333333333333333, 'waits for a worker (needs 1 CPU): 2 of 6 trials done')
    """
    doing = f"searching with {algorithm}" if running or ended >= total else _waits(1, needs)
    told = f"{doing}: {ended} of {total} trial{'' if total == 1 else 's'} done"
    return min(1.0, ended / total), ", ".join(filter(None, (told, best, left)))


def of_fit(
    trainer: str,
    workers: int,
    rounds: int,
    done: int | None,
    needs: str,
    measured: str = "",
    left: str = "",
) -> Progress:
    """``done`` rounds of ``rounds``, of which there is one where a model is fitted at once; None: no worker runs yet.
    ``measured`` says how good the model is by then, ``left`` how long the rest takes.

    >>> of_fit("lightgbm", 2, 50, 20, "1 CPU")
    (0.4, 'fitting lightgbm on 2 workers: 20 of 50 rounds done')
    >>> of_fit("lightgbm", 1, 50, 20, "1 CPU", "validation_auc 0.71")
    (0.4, 'fitting lightgbm on 1 worker: 20 of 50 rounds done, validation_auc 0.71')
    >>> of_fit("sklearn", 1, 1, 0, "1 CPU")
    (None, 'fitting sklearn on 1 worker')
    >>> of_fit("lightgbm", 2, 50, None, "1 CPU and 1 GPU")
    (None, 'waits for 2 workers (each needs 1 CPU and 1 GPU)')
    """
    if done is None:
        return None, _waits(workers, needs)
    doing = f"fitting {trainer} on {workers} worker{'' if workers == 1 else 's'}"
    if rounds == 1:
        return None, doing
    told = f"{doing}: {done} of {rounds} rounds done"
    return min(1.0, done / rounds), ", ".join(filter(None, (told, measured, left)))


def _waits(workers: int, needs: str) -> str:
    if workers == 1:
        return f"waits for a worker (needs {needs})"
    return f"waits for {workers} workers (each needs {needs})"


class Rounds:
    """A file by which the worker of a fit tells the driver how far it is: they are processes on two machines, maybe."""

    def __init__(self, folder: str) -> None:
        self._file = f"{folder}/rounds.json"

    def tell(self, done: int | None, measured: str = "") -> None:
        """None: no worker runs yet. A fit goes on where nobody can be told."""
        try:
            storage.write_sealed(self._file, {"done": done, "measured": measured})
        except OSError as error:
            log.warning("how far the fit is could not be told: %s", error)

    def told(self) -> tuple[int | None, str]:
        try:
            found = storage.readable_json(self._file)
        except OSError:
            found = None
        return (found["done"], found.get("measured", "")) if found else (None, "")

    @contextmanager
    def followed(self, tell: Callable[[int | None, str], None]) -> Iterator[None]:
        """``tell`` is called every second with what the worker told last."""
        self.tell(None)
        over = threading.Event()

        def follow() -> None:
            tell(None, "")
            while not over.wait(POLL_SECONDS):
                tell(*self.told())

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
