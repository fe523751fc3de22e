"""Being the one active controller of an environment."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from controllers.runtime.trouble import Trouble, cause
from framework.api.errors import ConflictError
from framework.panics import panics_told
from framework.planning.grammar.reasons import LEASE_BROKEN
from framework.ports import Event, Lease, StateStore
from framework.process import dead, identity

log = logging.getLogger(__name__)

_RENEWALS = 3
"""In the time that a lease lasts; after one that failed it is tried four times as often."""


@dataclass(frozen=True)
class WatchedLease:
    """Somebody else's lease, and since when it has shown no sign of life: seconds by a clock that nobody sets."""

    lease: Lease
    since: float


class Leadership:
    """Holds the lease and renews it from a thread. ``token`` fences every write: a holder that was paused too long
    finds its writes refused by the store, whatever it believes. Once lost it stays lost: what was kept in memory under
    the old token says nothing about what the new holder did.

    ``clock`` only says what people read. How long a lease lasts is measured by ``monotonic``, here and by whoever waits
    for it.
    """

    def __init__(
        self,
        state: StateStore,
        holder: str,
        ttl_seconds: float,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state, self._holder, self._ttl, self._clock = state, holder, ttl_seconds, clock
        self._monotonic = monotonic
        self._watched: WatchedLease | None = None
        self.signs_of_life = 0
        """Of whoever else holds the lease, since this one waits for it."""
        self._lease: Lease | None = None
        self._renewed = 0.0
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self) -> bool:
        """Try once; False while somebody else holds the lease. Who waits for it calls this again and again: a lease
        that shows no sign of life for as long as it lasts, or whose holder is known to be dead, is taken over."""
        lease = self._state.lease()
        if lease is not None and not self._may_take(lease):
            return False
        asked = self._monotonic()
        taken = self._state.acquire(self._holder, self._ttl, self._clock(), identity(), over=lease)
        if taken is None:
            return False
        if lease is not None and lease.holder != self._holder:
            log.warning("took the lease over from %s, which shows no sign of life", lease.holder)
        self._lease, self._renewed = taken, asked
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()
        return True

    def _may_take(self, lease: Lease) -> bool:
        now = self._monotonic()
        if self._watched is None or self._watched.lease != lease:
            self.signs_of_life += self._watched is not None
            self._watched = WatchedLease(lease, now)
        return lease.holder == self._holder or dead(lease.note) or now - self._watched.since >= lease.ttl_seconds

    @property
    def token(self) -> int:
        """Raises ConflictError when the lease was lost."""
        with self._lock:
            if not self.held or self._lease is None:
                raise ConflictError("another controller holds the lease of this environment")
            return self._lease.token

    @property
    def held(self) -> bool:
        """Whether nobody else can have it: taken, and renewed within the time that it lasts."""
        with self._lock:
            if self._lease is not None and self._monotonic() - self._renewed >= self._ttl:
                self._lost(f"it could not be renewed for {self._ttl:g} s")
            return self._lease is not None

    @property
    def over(self) -> bool:
        """Whether it was held and is not any more: there is no way back but another one."""
        return self._thread is not None and not self.held

    def release(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=self._ttl)
        with self._lock:
            lease, self._lease = self._lease, None
        if lease is None:
            return
        try:
            with panics_told():
                self._state.release(lease)
        except Exception as error:
            log.warning("the lease could not be given back and runs out in %g s: %s", self._ttl, cause(error))

    def _keep(self) -> None:
        trouble, pause = Trouble(log, "the lease could not be renewed"), self._ttl / _RENEWALS
        while not self._stop.wait(pause) and self.held:
            asked = self._monotonic()
            try:
                with panics_told():
                    self._renew(asked)
            except Exception as error:
                trouble.came_up(error)
                pause = self._ttl / _RENEWALS / 4
            else:
                trouble.over()
                pause = self._ttl / _RENEWALS

    def _renew(self, asked: float) -> None:
        with self._lock:
            lease = self._lease
        renewed = self._state.renew(lease, self._clock()) if lease is not None else None
        with self._lock:
            if self._lease is None:
                return
            if renewed is None:
                self._lost("another controller took it, or a person broke it")
            else:
                self._lease, self._renewed = renewed, asked

    def _lost(self, why: str) -> None:
        log.error("the lease is lost: %s", why)
        self._lease = None


def break_lease(state: StateStore, seen: Lease, actor: str, now: datetime) -> bool:
    """An operator's word that whoever holds the lease does not live any more; False where that one shows a sign of life
    after it was ``seen``. One that lives all the same loses it and takes it again."""
    mine = state.acquire(actor, seen.ttl_seconds, now, over=seen)
    if mine is None:
        return False
    message = f"the lease of {seen.holder} was broken by {actor}"
    event = Event(time=now, commit="", ref=None, reason=LEASE_BROKEN, message=message, actor=actor)
    state.append_events([event], mine.token)
    state.release(mine)
    return True
