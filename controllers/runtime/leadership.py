"""Being the one active controller of an environment."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from framework.api.errors import ConflictError, MlopsError
from framework.ports import Lease, StateStore

log = logging.getLogger(__name__)


class Leadership:
    """Holds the lease and renews it from a thread. ``token`` fences every write: a holder that was paused too long
    finds its writes refused by the store, whatever it believes. Once lost it stays lost: what was kept in memory under
    the old token says nothing about what the new holder did."""

    def __init__(self, state: StateStore, holder: str, ttl_seconds: float, clock: Callable[[], datetime]) -> None:
        self._state, self._holder, self._ttl, self._clock = state, holder, ttl_seconds, clock
        self._lease: Lease | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self) -> bool:
        """Try once; False while somebody else holds the lease."""
        self._lease = self._state.acquire(self._holder, self._ttl, self._clock())
        if self._lease is not None and self._thread is None:
            self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
            self._thread.start()
        return self._lease is not None

    @property
    def token(self) -> int:
        """Raises ConflictError when the lease was lost."""
        if self._lease is None:
            raise ConflictError("another controller holds the lease of this environment")
        return self._lease.token

    @property
    def held(self) -> bool:
        return self._lease is not None

    def release(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=self._ttl)
        if self._lease is not None:
            self._state.release(self._lease)
            self._lease = None

    def _renew(self) -> None:
        while not self._stop.wait(self._ttl / 3):
            try:
                renewed = self._state.acquire(self._holder, self._ttl, self._clock())
            except MlopsError as error:
                log.warning("the lease could not be renewed: %s", error)
                continue
            if renewed is None or (self._lease is not None and renewed.token != self._lease.token):
                log.error("the lease was lost to another controller")
                self._lease = None
                if renewed is not None:
                    self._state.release(renewed)
                return
            self._lease = renewed
