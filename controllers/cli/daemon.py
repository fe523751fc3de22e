"""mlopsctl up and down: the embedded Ray and the controller in the background."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click


def start_ray(cluster: Any, progress: Any) -> None:
    """Unless it runs."""
    if cluster.running():
        progress.say("Ray runs already, and goes on with what it serves")
        return
    with progress.step("starting Ray"):
        cluster.start()


@click.command()
@click.option("--no-controller", is_flag=True, help="Only Ray; reconcile by hand.")
@click.pass_obj
def up(options: dict[str, Any], no_controller: bool) -> None:
    """Start the embedded Ray and the controller in the background. What runs already is left alone."""
    from controllers.cli.progress import Progress
    from controllers.cli.session import emit, now, project_of
    from controllers.host.background import Background

    project = project_of(options, fresh=True, starts=True, creates=True)
    project.ensure_startable()  # a project that cannot be read is told before anything is started
    with Progress(now) as progress:
        start_ray(project.cluster, progress)
    lines = dict(project.cluster.links())
    if not no_controller:
        controller = Background(project.settings.folder)
        pid = controller.start(
            [
                sys.executable,
                "-m",
                "controllers.cli.main",
                "--env",
                project.settings.environment,
                "--project",
                str(project.settings.root),
                "-v",
                "reconcile",
                "--watch",
                "--quiet",
            ]
        )
        lines["Controller"] = f"pid {pid}, log {controller.log}"
    emit(_links(lines))


@click.command()
@click.option("--keep-ray", is_flag=True, help="Stop the controller only; what serves goes on serving.")
@click.pass_obj
def down(options: dict[str, Any], keep_ray: bool) -> None:
    """Stop the controller and the embedded Ray. Data, models and history stay."""
    from controllers.cli.progress import Progress
    from controllers.cli.session import emit, now, settings_of
    from controllers.host.background import Background
    from controllers.host.clusters import own_ray

    settings = settings_of(options)  # neither git nor the state store has a say in this
    ray = own_ray(settings)
    with Progress(now) as progress, progress.step("stopping"):
        controller = Background(settings.folder).stop()
        was_running = ray.running()
        if not keep_ray:
            ray.stop()
    words = {True: "stopped", False: "was not running"}
    kept = ray.running()
    emit(f"controller {words[controller]}, Ray {'is kept and goes on serving' if kept else words[was_running]}")
    if kept:
        emit(_links(ray.links()))


def _links(links: Mapping[str, str]) -> str:
    return "\n".join(f"{name + ':':16} {value}" for name, value in links.items())
