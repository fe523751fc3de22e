"""Actions in words: what will run, one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never
from urllib.parse import urlsplit

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
from framework.ports import AppSpec, Json, ModelVersion, RouteSpec, RunSpec


def describe(action: Action) -> str:
    """What the action does, in the imperative and without a full stop. Never contains a secret."""
    match action:
        case SubmitRun(run=run):
            return _submit(run)
        case StopRun(run=name):
            return f"stop run {name}"
        case RegisterModel(version=version):
            return _register(version)
        case DeployApp(app=app):
            return _deploy(app)
        case DeleteApp(app=name):
            return f"remove {name} from serving"
        case SetRoute(route=route):
            return _route(route)
        case DeleteRoute(deployment=deployment):
            return f"take {deployment} off its route"
        case DeleteTable(uri=uri):
            return f"delete the table {uri}"
        case DropOnline(view=view):
            return f"remove the rows of {view} from the online store"
        case DeleteModels(training=training, folder=folder):
            return f"delete every version of model {training} and the files below {folder}"
        case WriteReport(uri=uri, monitor=monitor):
            return f"write the report of {monitor} to {uri}"
        case SendAlert(alert=alert, target=target):
            return f'send the alert "{alert.title}" ({alert.state}) to {_target(target)}'
        case Propose(resource=ref, path=path, value=value, branch=branch):
            return f"{f'propose on branch {branch}' if branch else 'commit'} that {path} of {ref} is {value}"
        case TakeBackWord(word=word):
            return f'note that "{word.verb}" of {word.actor} was acted upon'
        case _:
            assert_never(action)


def _submit(run: RunSpec) -> str:
    again = f", attempt {run.attempt}" if run.attempt > 1 else ""
    title = f": {run.title}" if run.title else ""
    return f"start run {run.name}{again}{title}"


def _register(version: ModelVersion) -> str:
    verdict = "deployable" if version.deployable else "not deployable"
    return f"record model {version.training}@{version.version} ({verdict})"


def _deploy(app: AppSpec) -> str:
    low, high = app.min_replicas, app.max_replicas
    replicas = f"{low} replica{'' if low == 1 else 's'}" if low == high else f"{low} to {high} replicas"
    gpus = f", {app.gpus:g} GPU" if app.gpus else ""
    return f"serve {app.name} without traffic ({replicas}, {app.cpus:g} CPU{gpus} each)"


def _route(route: RouteSpec) -> str:
    shares = sorted(route.weights.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{weight} % to {app}" for app, weight in shares if weight)
    return f"route {route.route}: {shown}"


def _target(target: Mapping[str, Json]) -> str:
    """Where an alert goes. Of a webhook's address only the host is shown: the rest often is the key to it."""
    if "file" in target:
        return f"the file {target['file']}"
    webhook = target.get("webhook") or {}
    source = webhook.get("urlFrom") or {}
    if source.get("env"):
        return f"the webhook in ${source['env']}"
    if source.get("file"):
        return f"the webhook in the file {source['file']}"
    return f"the webhook at {urlsplit(str(webhook.get('url') or '')).hostname or 'an unknown host'}"
