"""mlopsctl apply: do what a plan says, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from controllers.cli.arguments import Duration
from controllers.cli.errors import RefusedCommand
from controllers.cli.reconcile import run_once

LARGEST = 1 << 27
"""Bytes of a plan that are read."""


@click.command()
@click.argument("plan", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--wait/--no-wait", default=True, help="Until everything has settled, or only until it is started.")
@click.option("--timeout", type=Duration(), default="1h", show_default=True, help="With --wait: how long.")
@click.option("--allow-prune", is_flag=True, help="Let the commit remove a large share of the environment.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--quiet", is_flag=True, help="Only the result.")
@click.pass_obj
def apply(
    options: dict[str, Any], plan: Path, wait: bool, timeout: timedelta, allow_prune: bool, output: str, quiet: bool
) -> None:
    """Reconcile what PLAN was made for, if it would still do what the plan says.

    PLAN is what mlopsctl plan wrote to --out. Everything is looked at again; a plan that is stale, was changed by hand
    or is refused changes nothing.

    Exit codes as of reconcile: 0, 1 (stalled, stale, refused, or an error), 3 (not settled within --timeout).
    """
    from controllers.cli.session import project_of

    planned = _read(plan)
    if planned.environment != options["environment"]:
        raise click.ClickException(
            f"{plan} is a plan for environment {planned.environment}, and this is {options['environment']}; "
            f"say mlopsctl --env {planned.environment} apply {plan}"
        )
    project = project_of(options, allow_prune=allow_prune, fresh=True, starts=True, creates=True)
    commit = project.ports.source.resolve(project.settings.revision)
    project = replace(project, settings=replace(project.settings, revision=commit))
    _hold_against(plan, planned, project.plan(), allow_prune)
    run_once(project, wait=wait, timeout=timeout, output=output, quiet=quiet)


def _read(path: Path) -> Any:
    """The plan, if it is one and is as it was written. Raises ClickException."""
    from framework.render.plan_document import plan_from_json

    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ValueError(f"larger than {LARGEST >> 20} MiB")
        return plan_from_json(data.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise click.ClickException(f"{path} cannot be applied: {error or type(error).__name__}") from error


def _hold_against(path: Path, planned: Any, now: Any, allow_prune: bool) -> None:
    """Raises ClickException where the plan is stale, refused, or looked at nothing live."""
    from framework.planning.admission.pruning import REASON
    from framework.render.stale import differences

    if not planned.observation_digest:
        raise click.ClickException(
            f"{path} compares two commits and says nothing of what runs; make one without --base to apply it"
        )
    stale = differences(planned, now) if now.read else ()
    if stale:
        raise RefusedCommand(f"{path} is stale, and nothing was changed; plan again:", stale)
    kept = [item for item in planned.refusals if not (allow_prune and item.reason == REASON)]
    refusals = dict.fromkeys((*now.refusals, *kept))
    if refusals:
        told = [f"{item.ref}: {item.reason}: {item.message}" for item in refusals]
        raise RefusedCommand(f"{path} is refused, and nothing was changed:", told)
