"""How what went wrong in a run is told: a kind that says whether to try again, one sentence with its place, and the
traceback for whoever wants to read more."""

from __future__ import annotations

import errno
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from framework.api.errors import TerminalError, TransientError
from framework.ports import FailureKind
from framework.storage import StoreError
from framework.workloads.context import WorkloadError

_LOST_IN_RAY = {
    "ActorDiedError",
    "ActorUnavailableError",
    "LocalRayletDiedError",
    "NodeDiedError",
    "ObjectLostError",
    "OutOfDiskError",
    "OutOfMemoryError",
    "PreemptionError",
    "RaySystemError",
    "RpcError",
    "WorkerCrashedError",
}
"""Ray's exceptions for what befell a process or a node, by name: most workloads never import Ray, nor does this."""

_NO_MEMORY = "OutOfMemoryError"
_KILLED = "OOM killer"
"""In what Ray tells of a process that is suddenly gone."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)

_LONGEST_LINE = 500
_LONGEST_TRACE = 16_000
"""Characters that are kept; of a traceback the last ones, where the cause stands."""


def failure_of(error: BaseException) -> dict[str, Any]:
    """What went wrong, as the result file holds it: {kind, reason, message, data, traceback}.

    The first WorkloadError among the causes decides, so that one raised in a worker keeps its reason.
    """
    chain = list(_causes(error))
    for cause in chain:
        if isinstance(cause, WorkloadError):
            trace = str(cause.data.get("traceback") or traceback_of(error))
            return _failure(cause.kind, cause.reason, str(cause), trace, cause.data)
        if isinstance(cause, TerminalError):
            return _failure(FailureKind.USER, cause.reason, str(cause), traceback_of(error))
    for cause in chain:
        if type(cause).__name__ == _NO_MEMORY and _of_ray(cause):
            told = f"a process was ended because its node ran out of memory: {first_line(cause)}"
            return _failure(FailureKind.INFRASTRUCTURE, "OutOfMemory", told, traceback_of(error))
    for cause in chain:
        if _is_infrastructure(cause):
            return _described(cause, FailureKind.INFRASTRUCTURE, error)
    own = [cause for cause in chain if not _of_ray(cause)]
    return _described((own or chain)[0], FailureKind.USER, error)


def raised(error: BaseException) -> str:
    """``ZeroDivisionError: division by zero (demo/features.py:12, in raises)``: what user code raised, and where."""
    return f"{type(error).__name__}: {first_line(error)}{place_of(error)}"


def place_of(error: BaseException) -> str:
    """`` (demo/features.py:12, in raises)``: the deepest place in user code; empty where it passed through none."""
    return _told(_place(error, _own))


def first_line(error: BaseException) -> str:
    """What an exception says, without the essays and plans that libraries append; its name where it says nothing."""
    line = str(error).strip().partition("\n")[0]
    return line[:_LONGEST_LINE] or type(error).__name__


def traceback_of(error: BaseException) -> str:
    """The whole traceback, causes included, up to its last 16,000 characters."""
    text = "".join(traceback.format_exception(error))
    return text if len(text) <= _LONGEST_TRACE else f"[...]\n{text[-_LONGEST_TRACE:]}"


def _failure(
    kind: FailureKind, reason: str, message: str, trace: str, data: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    kept = {key: value for key, value in (data or {}).items() if key != "traceback"}
    return {"kind": kind, "reason": reason, "message": message, "data": kept, "traceback": trace}


def _described(cause: BaseException, kind: FailureKind, error: BaseException) -> dict[str, Any]:
    place = _place(cause, _own) or _place(cause, _any)
    killed = ""
    if _of_ray(cause) and _KILLED in str(cause):
        killed = "; a process that takes more memory than there is ends so"
    return _failure(kind, type(cause).__name__, f"{first_line(cause)}{_told(place)}{killed}", traceback_of(error))


def _of_ray(error: BaseException) -> bool:
    return type(error).__module__.startswith("ray.")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it was raised for, outermost first. Ray's wrappers keep the cause in own attributes."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        workers = getattr(current, "worker_failures", None)
        found = [
            current.__cause__,
            *(getattr(current, name, None) for name in ("cause", "controller_failure", "_base_exc")),
            *(workers.values() if isinstance(workers, Mapping) else ()),
        ]
        waiting += [cause for cause in found if isinstance(cause, BaseException)]


def _is_infrastructure(error: BaseException) -> bool:
    if isinstance(error, MemoryError | TransientError | StoreError | ConnectionError | TimeoutError):
        return True
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return any(kind.__name__ in _LOST_IN_RAY and kind.__module__.startswith("ray.") for kind in type(error).__mro__)


# -- places ----------------------------------------------------------------------------------------------------------

_LIBRARIES = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
_NOT_THE_USERS = tuple(f"{Path(folder).absolute()}/" for folder in (*_LIBRARIES, str(Path(__file__).parents[1])))


def _own(file: str) -> bool:
    return _any(file) and not str(Path(file).absolute()).startswith(_NOT_THE_USERS)


def _any(file: str) -> bool:
    return not file.startswith("<")  # what is made of text at run time


def _place(error: BaseException, counts: Callable[[str], bool]) -> str:
    """The deepest frame in a file that counts."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if counts(frame.filename)]
    return f"{_short(frames[-1].filename)}:{frames[-1].lineno}, in {frames[-1].name}" if frames else ""


def _told(place: str) -> str:
    return f" ({place})" if place else ""


def _short(file: str) -> str:
    """A file as its package has it, wherever the code was unpacked."""
    folders = [f"{Path(folder).absolute()}/" for folder in sys.path]
    beneath = [file.removeprefix(folder) for folder in folders if file.startswith(folder)]
    return min(beneath, key=len, default=Path(file).name)
