"""mlopsctl promote: what serves in one environment, pinned in another by a commit to be merged."""

from __future__ import annotations

from typing import Any

import click

from controllers.cli.errors import RefusedCommand


@click.command()
@click.option("--from", "source", metavar="ENV", required=True, help="The environment that they serve in.")
@click.option("--to", "target", metavar="ENV", required=True, help="The environment that takes them over.")
@click.option("--resource", "resources", metavar="KIND/NAME", multiple=True, help="Only this deployment; repeatable.")
@click.option("--branch", metavar="NAME", help="The branch to make; default: mlopsctl/promote-ENV-...")
@click.option("--onto", is_flag=True, help="Add the commit to --branch, which exists already.")
@click.option("--dry-run", is_flag=True, help="Show what would be pinned; change nothing.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def promote(
    options: dict[str, Any],
    source: str,
    target: str,
    resources: tuple[str, ...],
    branch: str | None,
    onto: bool,
    dry_run: bool,
    output: str,
) -> None:
    """Pin the versions that serve in one environment in another, by a commit to be merged.

    The pin is a patch in the target Environment's file: one base serves all environments, and the others stay as they
    are. Comments and formatting stay.
    """
    from controllers.cli.arguments import operator, resource_ref
    from controllers.cli.session import emit, project_of, width_and_colour
    from controllers.commands.promote import SERVING, PromotionSide, promotion, propose
    from framework.render.promotion import promotion_document, promotion_json, promotion_text, proposed_text

    if source == target:
        raise click.UsageError("--from and --to name the same environment")
    if onto and branch is None:
        raise click.UsageError("--onto needs --branch, the branch to add to")
    refs = tuple(resource_ref(text) for text in resources)
    other = next((ref for ref in refs if ref.kind not in SERVING), None)
    if other is not None:
        told = f"{other}: only a {' or '.join(SERVING)} is promoted"
        raise click.BadParameter(told, param_hint="'--resource'")
    sides = []
    for environment, revision in ((source, None), (target, branch if onto else None)):
        project = project_of({**options, "environment": environment}, fresh=True)
        loaded = project.read(project.ports.source.resolve(revision or project.settings.revision))
        sides.append(PromotionSide(environment, project.ports, loaded, project.settings.specs))
    found = promotion(sides[0], sides[1], refs)
    if output == "text":
        width, colour = width_and_colour()
        emit(promotion_text(found, width=width, colour=colour))
    if found.refused:
        names = ", ".join(str(item.ref) for item in found.refused)
        told = f"{names} cannot be promoted: {found.refused[0].message}"
        raise RefusedCommand(told, document=promotion_document(found, None))
    proposed = None
    if found.pins and not dry_run:
        proposed = propose(found, project.ports.writer, branch, operator(), sides[1].ports)
    if output == "json":
        emit(promotion_json(found, proposed))
    elif proposed is not None:
        emit(proposed_text(proposed))
    elif not found.pins:
        emit(f"Nothing to promote to {target}.")
