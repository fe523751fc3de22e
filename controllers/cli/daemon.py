"""mlopsctl up and down: the embedded Ray and the controller in the background."""

from __future__ import annotations

import sys
from typing import Any

import click


@click.command()
@click.option("--no-controller", is_flag=True, help="Only Ray; reconcile by hand.")
@click.pass_obj
def up(options: dict[str, Any], no_controller: bool) -> None:
    """Start the embedded Ray and the controller in the background. What runs already is left alone."""
    from controllers.background import Background
    from controllers.cli.progress import Progress
    from controllers.cli.session import emit, now, project_of

    project = project_of(options, fresh=True, creates=True)
    project.newest()  # a project that cannot be read is told before anything is started
    with Progress(now) as progress, progress.step("starting Ray"):
        project.cluster.start()
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
    emit("\n".join(f"{name + ':':16} {value}" for name, value in lines.items()))


@click.command()
@click.option("--keep-ray", is_flag=True, help="Stop the controller only; what serves goes on serving.")
@click.pass_obj
def down(options: dict[str, Any], keep_ray: bool) -> None:
    """Stop the controller and the embedded Ray. Data, models and history stay."""
    from controllers.background import Background
    from controllers.cli.progress import Progress
    from controllers.cli.session import emit, now, project_of

    project = project_of(options)
    with Progress(now) as progress, progress.step("stopping"):
        controller = Background(project.settings.folder).stop()
        was_running = project.cluster.running()
        if not keep_ray:
            project.cluster.stop()
    words = {True: "stopped", False: "was not running"}
    emit(f"controller {words[controller]}, Ray {'is kept' if keep_ray and was_running else words[was_running]}")
