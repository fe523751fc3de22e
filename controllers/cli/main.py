"""mlopsctl. Commands are loaded when they are called, so that ``--help`` and ``validate`` start at once."""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import os
import sys

import click

from controllers.cli.options import OUTPUTS, Group
from controllers.cli.redaction import log_redacted, trace_redacted
from framework import __version__, installed
from framework.api.credentials import redacted
from framework.api.errors import MlopsError, SpecError

COMMANDS = {
    "init": "controllers.cli.init:init",
    "validate": "controllers.cli.validate:validate",
    "fmt": "controllers.cli.fmt:fmt",
    "plan": "controllers.cli.plan:plan",
    "apply": "controllers.cli.apply:apply",
    "simulate": "controllers.cli.simulate:simulate",
    "reconcile": "controllers.cli.reconcile:reconcile",
    "up": "controllers.cli.daemon:up",
    "down": "controllers.cli.daemon:down",
    "status": "controllers.cli.inspect:status",
    "events": "controllers.cli.inspect:events",
    "why": "controllers.cli.inspect:why",
    "history": "controllers.cli.history:history",
    "lineage": "controllers.cli.lineage:lineage",
    "audit": "controllers.cli.audit:audit",
    "rollback": "controllers.cli.rollback:rollback",
    "promote": "controllers.cli.promote:promote",
    "schema": "controllers.cli.schema:schema",
    "version": "controllers.cli.version:version",
}
"""In the order of the help page: the way a project is worked with."""

EXIT_ERROR = 1


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


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
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
    gc.set_threshold(200_000, 20, 20)  # thousands of specs are no garbage, and looking through them takes its time
    atexit.register(gc.freeze)  # at the end, too: all of it goes with the process
    trace_redacted()
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.exit(130)
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)
        click.echo(redacted(told.getvalue()), nl=False, err=True)
        sys.exit(EXIT_ERROR)
    except SpecError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        click.echo(
            f"{len(error.problems)} problem{'s' if len(error.problems) != 1 else ''}; nothing was changed.", err=True
        )
        sys.exit(EXIT_ERROR)
    except MlopsError as error:
        click.echo(f"error: {redacted(str(error))}", err=True)
        sys.exit(EXIT_ERROR)
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in installed.EXTRAS:
            raise
        click.echo(f"error: {installed.advice([name])}", err=True)
        sys.exit(EXIT_ERROR)


if __name__ == "__main__":
    main()
