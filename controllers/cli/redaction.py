"""What looks like a credential is hidden in the log, whoever writes it, and in the words of errors."""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType

import click

from framework.api.credentials import redacted

LINE = "%(asctime)s %(levelname)-7s %(message)s"
TIME = "%H:%M:%S"


def aside(text: str) -> None:
    """A line beside the result, on standard error."""
    click.echo(redacted(text), err=True)


class Redacting(logging.Formatter):
    """Formats as ever, the words of exceptions included, and hides what looks like a credential."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


def log_redacted(level: int) -> None:
    """Log to standard error from ``level`` on, and nowhere else."""
    handler = logging.StreamHandler()
    handler.setFormatter(Redacting(LINE, TIME))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def trace_redacted() -> None:
    """What ends the process by a fault of ours is traced, and what it says is redacted like everything else."""

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.stderr.write(redacted("".join(traceback.format_exception(kind, error, trace))))

    sys.excepthook = show
