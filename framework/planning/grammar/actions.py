"""What a plan may ask for. Frozen data with two interpreters: the executor runs it, framework.render shows it.

``key`` is deterministic: running an action twice is harmless. ``item`` is what it touches, as an inventory names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from framework.ports import Alert, AppSpec, Json, ModelVersion, RouteSpec, RunSpec, Word


@dataclass(frozen=True)
class SubmitRun:
    run: RunSpec

    @property
    def key(self) -> str:
        return f"submit/{self.run.submission_id}"

    @property
    def item(self) -> str:
        return f"run:{self.run.name}"


@dataclass(frozen=True)
class StopRun:
    storage: str
    run: str

    @property
    def key(self) -> str:
        return f"stop/{self.run}"

    @property
    def item(self) -> str:
        return f"run:{self.run}"


@dataclass(frozen=True)
class RegisterModel:
    version: ModelVersion

    @property
    def key(self) -> str:
        return f"register/{self.version.training}/{self.version.version}"

    @property
    def item(self) -> str:
        return f"model:{self.version.training}@{self.version.version}"


@dataclass(frozen=True)
class DeployApp:
    app: AppSpec

    @property
    def key(self) -> str:
        return f"deploy/{self.app.name}"

    @property
    def item(self) -> str:
        return f"app:{self.app.name}"


@dataclass(frozen=True)
class DeleteApp:
    app: str

    @property
    def key(self) -> str:
        return f"delete-app/{self.app}"

    @property
    def item(self) -> str:
        return f"app:{self.app}"


@dataclass(frozen=True)
class SetRoute:
    route: RouteSpec

    @property
    def key(self) -> str:
        return f"route/{self.route.deployment}/{self.route.generation}"

    @property
    def item(self) -> str:
        return f"route:{self.route.deployment}"


@dataclass(frozen=True)
class DeleteRoute:
    deployment: str

    @property
    def key(self) -> str:
        return f"delete-route/{self.deployment}"

    @property
    def item(self) -> str:
        return f"route:{self.deployment}"


@dataclass(frozen=True)
class DeleteTable:
    uri: str

    @property
    def key(self) -> str:
        return f"delete-table/{self.uri}"

    @property
    def item(self) -> str:
        return f"table:{self.uri}"


@dataclass(frozen=True)
class DropOnline:
    """The rows of a view that are found while serving."""

    view: str

    @property
    def key(self) -> str:
        return f"drop-online/{self.view}"

    @property
    def item(self) -> str:
        return f"online:{self.view}"


@dataclass(frozen=True)
class DeleteModels:
    """Every version of a training job, and the files of all of them below ``folder``."""

    training: str
    folder: str

    @property
    def key(self) -> str:
        return f"delete-models/{self.training}"

    @property
    def item(self) -> str:
        return f"models:{self.training}"


@dataclass(frozen=True)
class WriteReport:
    """``content`` is the drift evidence as plain values; framework.render.html makes the page."""

    uri: str
    monitor: str
    content: Mapping[str, Json]

    @property
    def key(self) -> str:
        return f"report/{self.monitor}"

    @property
    def item(self) -> str:
        return f"report:{self.monitor}"


@dataclass(frozen=True)
class SendAlert:
    alert: Alert
    target: Mapping[str, Json]

    @property
    def key(self) -> str:
        return f"alert/{self.alert.episode}/{self.alert.state}"

    @property
    def item(self) -> str:
        return f"alert:{self.alert.episode}"


@dataclass(frozen=True)
class Propose:
    """A commit on top of ``base`` that sets the field at ``path`` of ``resource``, which stands in ``file``, from
    ``before`` to ``value``: on ``branch``, or, where that is empty, on the one that is followed. Where the file says
    nothing ``default`` holds."""

    resource: str
    file: str
    path: str
    before: Json
    default: Json
    value: Json
    base: str
    branch: str
    message: str
    item: str

    @property
    def key(self) -> str:
        return f"propose/{self.resource}/{self.path}/{self.value}"


@dataclass(frozen=True)
class TakeBackWord:
    """An operator's word was acted upon, and what came of it is saved."""

    word: Word

    @property
    def key(self) -> str:
        return f"take-back/{self.word.subject}"

    @property
    def item(self) -> str:
        return f"word:{self.word.subject}"


Action = (
    SubmitRun
    | StopRun
    | RegisterModel
    | DeployApp
    | DeleteApp
    | SetRoute
    | DeleteRoute
    | DeleteTable
    | DropOnline
    | DeleteModels
    | WriteReport
    | SendAlert
    | Propose
    | TakeBackWord
)
