"""mlopsctl. Commands are loaded when they are called, so that ``--help`` and ``validate`` start at once."""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import importlib
import os
import shutil
import sys

import click

from controllers.cli import errors, streams
from controllers.cli.options import OUTPUTS, Group
from controllers.cli.redaction import aside, log_redacted, trace_redacted
from framework import __version__, installed
from framework.panics import panics_told

COMMANDS = {
    "init": "controllers.cli.init:init",
    "validate": "controllers.cli.validate:validate",
    "fmt": "controllers.cli.fmt:fmt",
    "plan": "controllers.cli.plan:plan",
    "apply": "controllers.cli.apply:apply",
    "simulate": "controllers.cli.simulate:simulate",
    "preview": "controllers.cli.preview:preview",
    "reconcile": "controllers.cli.reconcile:reconcile",
    "up": "controllers.cli.daemon:up",
    "down": "controllers.cli.daemon:down",
    "lease": "controllers.cli.lease:lease",
    "status": "controllers.cli.inspect:status",
    "events": "controllers.cli.inspect:events",
    "why": "controllers.cli.inspect:why",
    "logs": "controllers.cli.logs:logs",
    "history": "controllers.cli.history:history",
    "lineage": "controllers.cli.lineage:lineage",
    "features": "controllers.cli.features:features",
    "models": "controllers.cli.models:models",
    "train": "controllers.cli.train:train",
    "reproduce": "controllers.cli.reproduce:reproduce",
    "audit": "controllers.cli.audit:audit",
    "forget": "controllers.cli.forget:forget",
    "rollout": "controllers.cli.rollout:rollout",
    "rollback": "controllers.cli.rollback:rollback",
    "promote": "controllers.cli.promote:promote",
    "schema": "controllers.cli.schema:schema",
    "version": "controllers.cli.version:version",
}
"""In the order of the help page: the way a project is worked with."""

SELDOM = (200_000, 20, 20)
"""When Python looks for garbage: thousands of specs are none, and looking through them takes its time."""

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130
WIDEST_HELP = 110
_UNWRITABLE = (errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC)


class LazyGroup(Group):
    """Knows its commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDEST_HELP})
@click.option(
    "--env",
    default=lambda: os.environ.get("MLOPS_ENV", "local"),
    show_default="local, or MLOPS_ENV",
    help="The Environment to work on.",
)
@click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False),
    help="The project's folder; default: found upwards from here.",
)
@click.option("--output", type=click.Choice(OUTPUTS), help="For every command that has it; after the command it wins.")
@click.option("--quiet", is_flag=True, help="For every command that has it.")
@click.option("-v", "--verbose", count=True, help="Say more: -v what is done, -vv everything.")
@click.version_option(__version__, prog_name="mlopsctl")
@click.pass_context
def cli(context: click.Context, /, env: str, project: str | None, verbose: int, **inherited: object) -> None:
    """Declarative GitOps for machine learning, on Ray.

    Specs in git say what should run; mlopsctl compares them with what does, and closes the difference.
    """
    import logging

    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    log_redacted(level)
    for noisy in ("httpx", "httpcore", "git"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
    context.obj = {"environment": env, "project": project}


def main() -> None:
    """The entry point: mistakes end in one clear message and an exit code, never in a traceback."""
    gc.set_threshold(*SELDOM)
    atexit.register(gc.freeze)  # at the end, too: all of it goes with the process
    streams.claim()
    trace_redacted()
    try:
        code = _run()
        sys.stdout.flush()
    except OSError as error:
        code = _unwritten(error)
    sys.exit(code or 0)


def _run() -> int | str | None:
    """The exit code. Raises OSError where there is nobody to tell the result, or what went wrong."""
    try:
        width = min(shutil.get_terminal_size((WIDEST_HELP, 24)).columns, WIDEST_HELP)
        with panics_told():
            code: int | None = cli.main(prog_name="mlopsctl", standalone_mode=False, terminal_width=width)
    except SystemExit as leave:
        return leave.code
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except Exception as error:
        if not errors.tell(_understood(error), sys.argv[1:]):
            raise
        return EXIT_ERROR
    return code


def _understood(error: Exception) -> Exception:
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "").partition(".")[0]
        return click.ClickException(installed.advice([package])) if package in installed.EXTRAS else error
    if isinstance(error, OSError) and error.filename is not None:
        return click.ClickException(f"{error.filename}: {error.strerror}")
    return error


def _unwritten(error: OSError) -> int:
    """Nothing more can be done for a reader who has gone away, as ``head`` does, and nothing has to be said."""
    if not isinstance(error, BrokenPipeError):
        with contextlib.suppress(OSError):
            what = "standard output cannot be written: " if error.errno in _UNWRITABLE else ""
            aside(f"error: {what}{error.strerror or error}")
    streams.abandon()
    return EXIT_ERROR


if __name__ == "__main__":
    main()
