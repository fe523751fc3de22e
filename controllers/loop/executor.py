"""From an action to a call of a port. The only place that knows which port does what."""

from __future__ import annotations

from typing import assert_never

from controllers.loop.proposing import propose
from framework.api import layout
from framework.api.errors import TerminalError
from framework.planning.grammar.actions import (
    Action,
    DeleteApp,
    DeleteModels,
    DeleteRoute,
    DeleteTable,
    DeployApp,
    DropOnline,
    Propose,
    RegisterModel,
    SendAlert,
    SetRoute,
    StopRun,
    SubmitRun,
    TakeBackWord,
    WriteReport,
)
from framework.ports import Ports
from framework.render.report import report_html


def execute(action: Action, ports: Ports, token: int) -> None:
    """Do it. Every verb is idempotent, so running an action twice is harmless.

    Raises:
        TransientError, TerminalError, ConflictError: as the port's backend maps them.
    """
    match action:
        case SubmitRun(run):
            if run.exported:
                ports.sources.export(run.exported)
            ports.runs.submit(run, ports.code.ensure(run.code) if run.code else None)
        case StopRun(storage, run):
            ports.runs.stop(storage, run)
        case RegisterModel(version):
            ports.registry.register(version, token)
        case DeployApp(app):
            ports.serving.deploy(app, ports.code.ensure(app.code) if app.code else None)
        case DeleteApp(app):
            ports.serving.delete(app)
        case SetRoute(route):
            ports.serving.set_route(route)
        case DeleteRoute(deployment):
            ports.serving.delete_route(deployment)
        case DeleteTable(uri):
            _delete_table(uri, ports)
        case DropOnline(view):
            ports.online.drop(view)
        case DeleteModels(training, folder):
            _delete_models(training, folder, ports, token)
        case WriteReport(uri, _, content):
            ports.reports.write(uri, report_html(content))
        case SendAlert(alert, target):
            ports.notifier.send(alert, target)
        case Propose():
            propose(action, ports)
        case TakeBackWord(word):
            ports.state.take_back(word, token)
        case _:
            assert_never(action)


def _delete_table(uri: str, ports: Ports) -> None:
    """Nothing but the environment's own tables is deleted, whatever a record says."""
    if not uri.startswith(f"{layout.feature_tables(ports.storage)}/") or ".." in uri.split("/"):
        raise TerminalError("NotOurs", f"{uri} is not where this environment keeps its tables")
    ports.tables.delete(uri)


def _delete_models(training: str, folder: str, ports: Ports, token: int) -> None:
    """The registry first: a version on record always has its files. Nothing outside of the environment is touched."""
    if folder != layout.training_folder(ports.storage, training):
        raise TerminalError("NotOurs", f"{folder} is not where this environment keeps the models of {training}")
    ports.registry.forget(training, token)
    ports.tables.delete(folder)
