"""What the demo shows: one line an act with its time, and what is happening right now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text


@dataclass
class Act:
    """One act under way. ``now`` says what is happening at this moment."""

    number: int
    title: str
    began: float
    now: Callable[[], str] = lambda: ""

    def waits_for(self, now: Callable[[], str]) -> None:
        self.now = now

    def line(self) -> Text:
        doing = self.now()
        text = Text.assemble((f"{self.number}. {self.title}", "bold"), f"  {time.monotonic() - self.began:.0f} s")
        return text.append(f"\n     {doing}", style="dim") if doing else text


class Screen:
    """A live display on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._acts = 0

    @contextmanager
    def act(self, title: str) -> Iterator[Act]:
        self._acts += 1
        act = Act(self._acts, title, time.monotonic())
        if self._console.is_terminal:
            spinner = Spinner("dots")

            def frame() -> Spinner:
                spinner.update(text=act.line())
                return spinner

            with Live(console=self._console, get_renderable=frame, refresh_per_second=4, transient=True):
                yield act
        else:
            self._console.print(f"{act.number}. {title}", soft_wrap=True)
            yield act
        seconds = time.monotonic() - act.began
        self._console.print(
            Text.assemble(("✓ ", "green"), f"{act.number}. {title}", (f"  {seconds:.1f} s", "bold")), soft_wrap=True
        )

    def tell(self, text: str) -> None:
        self._console.print(Text(f"     {text}"), soft_wrap=True)

    def show(self, text: str) -> None:
        self._console.print(Text.from_ansi(text), soft_wrap=True)

    def rule(self) -> None:
        self._console.rule(style="dim")
