"""What the processes of a resource, or the controller itself, wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from framework.api.errors import ConfigurationError, TransientError
from framework.api.meta import Ref
from framework.kinds.model_deployment.observed import DeploymentState
from framework.planning.grammar.reasons import RUN_STARTED
from framework.planning.grammar.remembered import state_of, status_of
from framework.ports import Log, Ports

FOLLOWED = 1000
"""Lines of a process that are looked at for new ones; more than that at once are told by their end."""
_MOST_BYTES = 1 << 20


def logs_of(ref: Ref, ports: Ports, lines: int) -> Sequence[Log]:
    """The last ``lines`` of each process; nothing where none has run yet.

    Raises:
        ConfigurationError: there are none, or they cannot be had.
    """
    match ref.kind:
        case "ModelDeployment":
            return _of_deployment(ref, ports, lines)
        case "ModelMonitor":
            raise ConfigurationError(
                f"{ref} has no process of its own: the controller judges its windows, and mlopsctl logs controller "
                "shows what that wrote"
            )
        case _:
            return _of_run(ref, ports, lines)


def controller_log(file: Path, lines: int) -> Log:
    """The end of what the controller in the background wrote into ``file``.

    Raises:
        ConfigurationError: none was ever started.
    """
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, 2) - _MOST_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no {file}: mlopsctl up has started no controller here, and one elsewhere has its log there"
        ) from None
    return Log("controller", _end(text.splitlines(), lines))


def next_lines(look: Callable[[], Sequence[Log]], seen: Sequence[Log], wait: Callable[[], None]) -> Iterator[Log]:
    """What is written after ``seen``, without an end. ``wait`` is called before each look; one that comes to nothing,
    because the cluster is away, is made up for by the next."""
    known = {(log.source, log.process): log.text.splitlines() for log in seen}
    while True:
        wait()
        try:
            found = look()
        except (TransientError, ConfigurationError):
            continue
        for log in found:
            key, now = (log.source, log.process), log.text.splitlines()
            fresh = added(known.get(key, ()), now)
            known[key] = now
            if fresh:
                yield replace(log, text="\n".join(fresh))


def added(before: Sequence[str], now: Sequence[str]) -> Sequence[str]:
    """What came after ``before``, where both are the ends of one text."""
    for start in range(len(before) + 1):
        kept = len(before) - start
        if list(before[start:]) == list(now[:kept]):
            return now[kept:]
    return now


def shortened(log: Log, lines: int) -> Log:
    return replace(log, text=_end(log.text.splitlines(), lines))


def _of_run(ref: Ref, ports: Ports, lines: int) -> Sequence[Log]:
    """Of the run that was started last, whatever became of it."""
    started = ports.state.events(ref, 1, reasons=(RUN_STARTED,))
    if not started:
        return ()
    run = str(started[-1].data.get("run", "")).rpartition("-")[0]
    return ports.runs.logs(ports.storage, run, lines)


def _of_deployment(ref: Ref, ports: Ports, lines: int) -> Sequence[Log]:
    try:
        found = ports.serving.logs(ref.name, lines)
    except TransientError as error:
        raise ConfigurationError(f"{error}; what replicas write is kept by Ray, for as long as it runs") from error
    roles = _roles(ref, ports)
    return [replace(log, source=f"{log.source}{roles.get(log.source, '')}") for log in found]


def _roles(ref: Ref, ports: Ports) -> Mapping[str, str]:
    """What apps are to the deployment now, for people."""
    state = state_of(status_of(ports.state.load(ref)), DeploymentState)
    roles = {item.app: " (retired)" for item in state.retiring}
    if state.rollout is not None:
        roles[state.rollout.version.app] = " (candidate)"
    if state.stable is not None:
        roles[state.stable.app] = " (stable)"
    return roles


def _end(text: Sequence[str], lines: int) -> str:
    return "\n".join(text[-lines:] if lines else ())
