"""mlopsctl rollout: where a rollout stands, and what a person says about it."""

from __future__ import annotations

from typing import Any

import click

from controllers.cli.arguments import Text
from controllers.cli.options import Group

_NAME = click.argument("name", metavar="NAME", type=Text())
_MESSAGE = click.option("--message", metavar="TEXT", type=Text(), default="", help="Why: for the log.")


@click.group(cls=Group)
def rollout() -> None:
    """How the next version of a deployment gets into service, and what a person says about it."""


@rollout.command()
@_NAME
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def show(options: dict[str, Any], name: str, output: str) -> None:
    """The versions, the steps, what was measured, and what was turned away. Reads only."""
    from controllers.cli.session import emit, now, project_of, width_and_colour
    from controllers.commands.rollouts import Rollouts, report
    from framework.render.rollout import rollout_json, rollout_text

    found = report(Rollouts(project_of(options)).ongoing(name))
    width, colour = width_and_colour()
    emit(rollout_json(found) if output == "json" else rollout_text(found, now(), width=width, colour=colour))


@rollout.command()
@_NAME
@click.option("--full", is_flag=True, help="Past all steps: all traffic as soon as the candidate runs.")
@_MESSAGE
@click.pass_obj
def promote(options: dict[str, Any], name: str, full: bool, message: str) -> None:
    """Go on past the step that the candidate waits in."""
    _say(options, name, "promote", message, fully=full)


def _word(verb: str, told: str) -> click.Command:
    @click.command(verb, help=told)
    @_NAME
    @_MESSAGE
    @click.pass_obj
    def said(options: dict[str, Any], name: str, message: str) -> None:
        _say(options, name, verb, message)

    return said


for _verb, _told in {
    "abort": "Turn the candidate away: the stable version gets all traffic again.",
    "retry": "Try again the version that git asks for and that was turned away.",
    "pause": "Let the candidate go no further than the step it is in; it is watched all the same.",
    "resume": "Let a candidate that was paused go on.",
}.items():
    rollout.add_command(_word(_verb, _told))


def _say(options: dict[str, Any], name: str, verb: str, message: str, *, fully: bool = False) -> None:
    from controllers.cli.arguments import operator
    from controllers.cli.session import emit, project_of
    from controllers.commands.rollouts import Rollouts

    project = project_of(options)
    at, label = Rollouts(project).say(name, verb, operator(), message, fully=fully)
    who = (
        "the controller acts on it at its next look"
        if project.leader() is not None
        else "no controller runs: mlopsctl up, or reconcile --once"
    )
    emit(f"{at.ref}: {verb} {label}; {who}.")
