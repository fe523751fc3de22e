"""Make any port fail on purpose, to see what happens when the world or the controller breaks off in the middle."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar, cast

from framework.ports import Ports
from framework.ports.verbs import verbs

VERBS = verbs(Ports)
"""Every verb of every port, as ``port.verb``, and whether it changes the world."""
CHANGING = frozenset(verb for verb, changes in VERBS.items() if changes)
_PORTS = frozenset(verb.partition(".")[0] for verb in VERBS)

PortT = TypeVar("PortT")
PortsT = TypeVar("PortsT", bound=Ports)


class Crash(BaseException):
    """The process was killed. No ``except Exception`` survives it, as none survives ``kill -9``."""


@dataclass
class _Fault:
    error: BaseException
    matches: Callable[[str, int], bool]
    after: bool
    times: int | None


class FaultInjector:
    """Wraps ports; decides for each call whether it fails, before or after having done its work.

    ``changing`` lists the changing calls that reached a wrapped port, ``calls`` counts all of them, reading ones
    included, and ``reached`` has their verbs; calls that failed are among them. After a :class:`Crash` every further
    call crashes too, since a dead process calls nobody; :meth:`revive` stands for its restart.
    """

    def __init__(self) -> None:
        self.changing: list[str] = []
        self.calls = 0
        self.reached: set[str] = set()
        self._faults: list[_Fault] = []
        self._dead = False
        self._lock = threading.Lock()

    def crash_at(self, call: int, *, after: bool = False) -> None:
        """Die at the ``call``-th changing call from now (counted from 1): before its effect, or just after it."""
        self.fail_at(call, Crash(f"killed {'after' if after else 'before'} changing call {call}"), after=after)

    def fail_at(self, call: int, error: BaseException, *, after: bool = False) -> None:
        """Raise ``error`` once, at the ``call``-th changing call from now (counted from 1)."""
        target = len(self.changing) + call
        self._faults.append(_Fault(error, lambda verb, number: verb in CHANGING and number == target, after, 1))

    def fail_at_any(self, call: int, error: BaseException, *, after: bool = False) -> None:
        """Raise ``error`` once, at the ``call``-th call from now (counted from 1), reading ones included."""
        target = self.calls + call
        self._faults.append(_Fault(error, lambda verb, number: self.calls == target, after, 1))

    def fail_on(self, verb: str, error: BaseException, *, after: bool = False, times: int | None = 1) -> None:
        """Raise ``error`` at the next ``times`` calls of ``verb`` (``serving.apps``); None: until :meth:`revive`.

        Raises:
            ValueError: no port has such a verb.
        """
        if verb not in VERBS:
            raise ValueError(f"no port has the verb {verb!r}")
        self._faults.append(_Fault(error, lambda called, _: called == verb, after, times))

    @property
    def pending(self) -> bool:
        """Whether some fault has yet to come."""
        return bool(self._faults)

    def revive(self) -> None:
        """Forget all faults, and let a crashed process call again."""
        self._faults.clear()
        self._dead = False

    def wrap(self, name: str, port: PortT) -> PortT:
        """``port`` under the name of its field in Ports. Attributes that are no verbs of the port pass through."""
        return cast(PortT, _Wrapped(self, name, port))

    def around(self, ports: PortsT) -> PortsT:
        """All ports wrapped."""
        names = [item.name for item in fields(ports) if item.name in _PORTS]
        return replace(ports, **{name: self.wrap(name, getattr(ports, name)) for name in names})

    def call(self, verb: str, work: Callable[[], Any]) -> Any:
        """Run one call of a port, or fail in its place."""
        fault = self._next_fault(verb)
        if fault is not None and not fault.after:
            self._raise(fault.error)
        result = work()
        if fault is not None:
            self._raise(fault.error)
        return result

    def _next_fault(self, verb: str) -> _Fault | None:
        with self._lock:
            if self._dead:
                raise Crash("the process is dead")
            self.calls += 1
            self.reached.add(verb)
            if verb in CHANGING:
                self.changing.append(verb)
            for fault in self._faults:
                if fault.matches(verb, len(self.changing)):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times == 0:
                            self._faults.remove(fault)
                    return fault
        return None

    def _raise(self, error: BaseException) -> None:
        if isinstance(error, Crash):
            self._dead = True
        raise error


class _Wrapped:
    def __init__(self, faults: FaultInjector, name: str, port: object) -> None:
        self._faults, self._name, self._port = faults, name, port

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._port, attribute)
        verb = f"{self._name}.{attribute}"
        if verb not in VERBS:
            return value
        return lambda *args, **kwargs: self._faults.call(verb, lambda: value(*args, **kwargs))
