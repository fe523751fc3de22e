"""What a person sees while a pass is under way: a live table on a terminal, a line per piece of news elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from controllers.loop.reconciler import Result
from framework.api.credentials import redacted
from framework.api.meta import Ref
from framework.planning.grammar.changes import Status
from framework.render.terminal import LONGEST_MESSAGE, one_line


class Progress:
    """Listens to results. Thread-safe. ``quiet`` shows nothing at all."""

    def __init__(self, clock: Callable[[], datetime], *, quiet: bool = False) -> None:
        self._clock, self._quiet = clock, quiet
        self._console = Console(stderr=True)
        self._lock = threading.Lock()
        self._lines: dict[Ref, Status] = {}
        self._told: dict[Ref, tuple[str, str]] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if not self._quiet and self._console.is_terminal:
            self._live = Live(console=self._console, get_renderable=self._table, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """One line that stays."""
        if not self._quiet:
            line = redacted(f"{self._clock().astimezone():%H:%M:%S}  {text}")
            self._console.print(Text(line), soft_wrap=True)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Something that takes a while before there is anything to list."""
        if self._quiet or not self._console.is_terminal:
            self.say(text)
            yield
        else:
            with self._console.status(text):
                yield

    def listen(self, result: Result) -> None:
        status = result.change.status if result.change else None
        with self._lock:
            if status is None:
                self._lines.pop(result.ref, None)
                if result.change is not None:
                    self.say(f"{result.ref}  {result.change.reason}")
                return
            self._lines[result.ref] = status
            told = (status.conditions.ready.reason, status.summary)
            if self._told.get(result.ref) == told:
                return
            self._told[result.ref] = told
        if self._live is None:
            self.say(f"{result.ref!s:34}  {_word(status):11}  {_sentence(status)}")

    def _table(self) -> Table:
        table = Table(box=None, show_header=False, padding=(0, 1))
        with self._lock:
            lines = sorted(self._lines.items())
        for ref, status in lines:
            mark = Spinner("dots") if status.conditions.reconciling.status else Text(*_mark(status))
            table.add_row(mark, Text(str(ref)), Text(_word(status), style="dim"), Text(_sentence(status)))
        return table


def _mark(status: Status) -> tuple[str, str]:
    return ("✗", "red") if status.conditions.stalled.status else ("✓", "green")


def _word(status: Status) -> str:
    if status.conditions.stalled.status:
        return "Stalled"
    return "Reconciling" if status.conditions.reconciling.status else "Ready"


def _sentence(status: Status) -> str:
    """Each thing once: a message often says in other words what the summary says, or all of it."""
    summary, message = status.summary, one_line(status.conditions.ready.message, LONGEST_MESSAGE)
    if message in summary or not message:
        return summary
    return message if summary in message else f"{summary}; {message}"
