"""What the processes of a resource, or the controller itself, wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from framework.api.errors import ConfigurationError, TransientError
from framework.ports import Log

FOLLOWED = 1000
"""Lines of a process that are looked at for new ones; more than that at once are told by their end."""
_MOST_BYTES = 1 << 20


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


def _end(text: Sequence[str], lines: int) -> str:
    return "\n".join(text[-lines:] if lines else ())
