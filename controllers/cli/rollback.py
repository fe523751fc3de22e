"""mlopsctl rollback: an earlier commit in force again, as a pointer flip, and the revert for git."""

from __future__ import annotations

import sys
from typing import Any

import click

from controllers.cli.errors import RefusedCommand


@click.command()
@click.argument("commit", required=False, metavar="[COMMIT]")
@click.option("--end", is_flag=True, help="Take a rollback back: the newest commit takes effect again.")
@click.option("--branch", metavar="NAME", help="The branch for the revert; default: mlopsctl/rollback-COMMIT.")
@click.option("--message", metavar="TEXT", default="", help="Why: for the log and the revert.")
@click.option("--no-commit", is_flag=True, help="Prepare no revert for git.")
@click.option("--rebuild", is_flag=True, help="Go back even where a model has to be trained again.")
@click.option("--allow-prune", is_flag=True, help="Let that commit remove a large share of the environment.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def rollback(
    options: dict[str, Any],
    commit: str | None,
    end: bool,
    branch: str | None,
    message: str,
    no_commit: bool,
    rebuild: bool,
    allow_prune: bool,
    yes: bool,
    output: str,
) -> None:
    """Features, model, serving and baseline of an earlier commit in force again, without training.

    Shows what comes back and asks first. Git is left as it is; a revert is prepared on a branch to be merged.
    """
    from controllers.cli.arguments import operator
    from controllers.cli.session import emit, project_of, width_and_colour
    from controllers.commands.rollback import Rollbacks
    from framework.render.rollback import Done, done_text, prospect_text, rollback_document, rollback_json

    if (commit is None) != end:
        raise click.UsageError("name the commit to go back to, or --end to take a rollback back")
    project = project_of(options, allow_prune=allow_prune, fresh=True, creates=commit is not None)
    settings = project.settings
    rollbacks = Rollbacks(
        settings.environment,
        project.ports,
        project.read,
        settings.revision,
        settings.specs,
        project.clock,
        project.observers,
        settings.allow_prune,
    )
    if commit is None:
        emit(_ended(rollbacks.end(), output))
        return
    prospect = rollbacks.prospect(commit)
    if output == "text":
        width, colour = width_and_colour()
        emit(prospect_text(prospect, width=width, colour=colour))

    def refused(message: str) -> RefusedCommand:
        return RefusedCommand(message, document=rollback_document(prospect, None))

    if prospect.same:
        if prospect.standing is not None:
            raise refused("git asks for that, but a rollback stands; mlopsctl rollback --end takes it back")
        emit(rollback_json(prospect, None) if output == "json" else "Git asks for that already: nothing to roll back.")
        return
    if prospect.retrained and not rebuild:
        names = ", ".join(str(item.ref) for item in prospect.retrained)
        raise refused(f"{names} would have to be trained again; pass --rebuild to go back all the same")
    if not yes and not prospect.pinned and (problem := _unconfirmed()):
        raise refused(problem)
    actor = operator()
    rollbacks.pin(prospect, actor, message)
    revert = None if no_commit else rollbacks.revert(prospect, project.ports.writer, branch, actor, message)
    lease = project.leader()
    done = Done(lease.holder if lease is not None else None, revert)
    emit(rollback_json(prospect, done) if output == "json" else done_text(prospect, done))


def _unconfirmed() -> str:
    """Why nothing may be changed; empty where a person said yes."""
    if sys.stdin is None or not sys.stdin.isatty():
        return "nothing was changed: nobody can be asked here; pass --yes to go back"
    return "" if click.confirm("Go back?", err=True) else "nothing was changed"


def _ended(pin: Any, output: str) -> str:
    from framework.render.canonical import document
    from framework.render.wording import short

    if output == "json":
        return document({"format": 1, "ended": pin})
    if pin is None:
        return "No rollback is in force: nothing to end."
    return (
        f"The rollback to {short(pin.commit)} is over; the newest commit takes effect at the controller's next look, "
        "or with: mlopsctl reconcile --once"
    )
