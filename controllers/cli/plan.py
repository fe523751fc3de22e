"""mlopsctl plan."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from controllers.cli.options import ensure_installed
from controllers.cli.redaction import aside

EXIT_REFUSED = 1
EXIT_CHANGES = 2


@click.command()
@click.option("--base", metavar="REV", help="Compare with this commit, and look at nothing that runs.")
@click.option(
    "--head", metavar="REV", help="The commit to plan; default: the checked-out one. With --base also: worktree."
)
@click.option("--output", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write it to a file, too, for apply.")
@click.option("--unchanged", is_flag=True, help="List resources that need nothing, too.")
@click.option("--explain", is_flag=True, help="Show every action up to the end, stage by stage.")
@click.pass_obj
def plan(
    options: dict[str, Any],
    base: str | None,
    head: str | None,
    output: str,
    out: Path | None,
    unchanged: bool,
    explain: bool,
) -> None:
    """Show what would change, what that costs, what will run, and who notices. Changes nothing.

    Without --base the plan is made against what runs now; with it, from one commit to another, without a cluster.

    Exit code 0: nothing to do; 2: changes; 1: refused, or an error.
    """
    from controllers.cli.session import emit, now, project_of, settings_of, width_and_colour
    from framework.planning.grammar.changes import Verb

    if out is not None:
        _ensure_own(out)
    if explain and (base is not None or output != "text"):
        raise click.UsageError("--explain follows what runs now, as text; for commits and JSON: mlopsctl simulate")
    if base is not None:
        from controllers.host.checkout import uncommitted_specs
        from controllers.host.offline import plan_between

        settings = settings_of(options)
        project, result = None, plan_between(settings, base, head, now())
        if head is None and settings.follows_here:
            _tell_uncommitted(uncommitted_specs(settings.root, settings.specs))
    else:
        ensure_installed("data")
        project = project_of(options, fresh=True)
        result = project.plan(head)
        if head is None and result.read:
            _tell_waiting(project, project.read(result.commit))
    if out is not None:
        _write(out, result)
    width, colour = width_and_colour()
    emit(_shown(result, output, width, colour, unchanged))
    if explain and project is not None and result.read:
        from framework.render.steps import steps_text

        for sequence in project.simulate(None, head):
            emit("")
            emit(steps_text(sequence, width=width, colour=colour))
    if result.refusals:
        sys.exit(EXIT_REFUSED)
    sys.exit(EXIT_CHANGES if any(change.verb is not Verb.NOOP for change in result.changes) else 0)


def _tell_waiting(project: Any, planned: Any) -> None:
    held = project.withheld(planned)
    if held is not None:
        aside(f"not now: {held.message}")
    _tell_uncommitted(project.uncommitted(planned.desired))


def _tell_uncommitted(found: Any) -> None:
    from framework.render.uncommitted import not_looked_at, untracked

    if found is not None and found.files:
        aside(f"note: {not_looked_at(found)}")
    if found is not None and found.untracked:
        aside(f"note: {untracked(found)}")


def _shown(result: Any, output: str, width: int, colour: bool, unchanged: bool) -> str:
    if output == "json":
        from framework.render.plan_document import plan_json

        return plan_json(result)
    if output == "markdown":
        from framework.render.markdown import plan_markdown

        return plan_markdown(result)
    from framework.render.plan import plan_text

    return plan_text(result, width=width, colour=colour, unchanged=unchanged)


def _ensure_own(path: Path) -> None:
    """Refuse to write over a spec, or over what git keeps: a plan is read again, and committed by nobody.

    Raises:
        UsageError: says which of them it is.
    """
    from controllers.host.checkout import is_committed
    from framework.specs.loader import is_spec

    if is_spec(path.name):
        raise click.UsageError(
            f"{path} has the name of a spec file, and a plan is JSON: name another, such as plan.json"
        )
    if is_committed(path):
        raise click.UsageError(f"{path} is a file that git tracks; name another, such as .mlops/plan.json")


def _write(path: Path, result: Any) -> None:
    from framework.render.plan_document import plan_json

    try:
        path.write_text(plan_json(result), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error
