"""One ModelDeployment in a small world: routers that count, and a loop that can be killed between any two actions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from framework.api import layout
from framework.api.conditions import violations
from framework.api.meta import Ref
from framework.backends.memory import MemoryServing
from framework.kinds.model_deployment import words
from framework.kinds.model_deployment.observed import DeploymentObserved, DeploymentState
from framework.kinds.model_deployment.plan import plan
from framework.kinds.model_deployment.spec import ModelDeploymentSpec
from framework.kinds.model_deployment.target import served
from framework.planning.grammar.actions import Action, DeleteApp, DeleteRoute, DeployApp, SetRoute, TakeBackWord
from framework.planning.grammar.changes import Change, Desired, Status, Verb
from framework.planning.grammar.fingerprint import short_hash
from framework.ports import ModelVersion, Word
from tests.builders import NOW, STORAGE, desired, model_version

REF = Ref("ModelDeployment", "delay")
STEPS = (
    {"setWeight": 10},
    {"analyze": {"for": "10s"}},
    {"setWeight": 50},
    {"analyze": {"for": "10s"}},
    {"setWeight": 100},
)


def deployment_spec(*, serving: Mapping[str, Any] | None = None, **canary: Any) -> ModelDeploymentSpec:
    return ModelDeploymentSpec.model_validate(
        {
            "model": {"training": "delay-classifier"},
            "serving": {"route": "/delay", **(serving or {})},
            "strategy": {
                "canary": {
                    "steps": STEPS,
                    "analysis": [{"metric": "error_rate", "maxIncrease": 0.02}],
                    "minRequests": 50,
                    "scaleDownDelay": "5s",
                    "abort": {"scaleDownDelay": "2s"},
                    **canary,
                }
            },
        }
    )


class Deployment:
    """Asks for ``model`` under ``spec``; each :meth:`look` is one pass of the loop, half a second after the last."""

    def __init__(self, spec: ModelDeploymentSpec | None = None, *, observations: int = 1, routers: int = 1) -> None:
        self.now = NOW
        self.spec = spec or deployment_spec()
        self.model: ModelVersion | None = model_version("1" * 10)
        self.serving = MemoryServing(clock=self._clock, observations=observations, routers=routers)
        self.status: Status | None = None
        self.asked = True
        self.word: Word | None = None
        self.events: list[str] = []
        self.changes: list[Change] = []

    def _clock(self) -> datetime:
        return self.now

    @property
    def desired(self) -> Desired[ModelDeploymentSpec]:
        return desired(REF, self.spec, digest=short_hash(self.spec.model_dump(mode="json", by_alias=True)))

    @property
    def state(self) -> DeploymentState:
        return DeploymentState.model_validate(self.status.state if self.status else {})

    @property
    def weights(self) -> dict[str, int]:
        """Of the live table, without apps that get nothing."""
        route = self.serving.route(REF.name, "")
        return {app: weight for app, weight in route.spec.weights.items() if weight} if route else {}

    @property
    def running(self) -> set[str]:
        return set(self.serving.apps(REF.name))

    def app(self, version: str) -> str:
        return served(self.desired, model_version(version * 10)).app

    def want(self, version: str) -> None:
        self.model = model_version(version * 10)

    def observe(self) -> DeploymentObserved:
        traffic = layout.traffic_folder(STORAGE, REF.name)
        target = self.model if self.asked else None
        return DeploymentObserved(
            REF,
            target,
            "no version passed yet",
            self.serving.apps(REF.name),
            self.serving.route(REF.name, traffic),
            word=self.word,
        )

    def say(self, verb: str, version: str, **data: Any) -> None:
        """An operator says something about the rollout of ``version``."""
        about = {"identity": self.app(version).removeprefix("delay-"), **data}
        self.word = Word(subject=words.subject(REF.name), verb=verb, actor="ada", time=self.now, data=about)

    def told(self, reason: str) -> list[str]:
        """The messages of all events of a reason."""
        return [item.message for change in self.changes for item in change.events if item.reason == reason]

    def look(self, *, killed_after: int | None = None) -> Change:
        """One pass. Killed after so many actions, it forgets everything that it had decided."""
        self.now += timedelta(seconds=0.5)
        change = plan(self.desired if self.asked else None, self.observe(), self.status, self.now)
        self.changes.append(change)
        for action in change.actions[:killed_after]:
            self._execute(action)
        if killed_after is None or killed_after > len(change.actions):
            if change.status is not None:
                assert not violations(change.status.conditions)
                self.status = Status.model_validate_json(change.status.model_dump_json())
            else:
                self.status = None
            self.events += [new.reason for new in change.events]
        return change

    def _execute(self, action: Action) -> None:
        match action:
            case DeployApp(app):
                self.serving.deploy(app, None)
            case DeleteApp(app):
                self.serving.delete(app)
            case SetRoute(route):
                self.serving.set_route(route)
            case DeleteRoute(name):
                self.serving.delete_route(name)
            case TakeBackWord(word):
                assert word == self.word
                self.word = None
            case _:
                raise AssertionError(action)

    def send(self, requests: int, **more: Any) -> None:
        if self.serving.route(REF.name, "") is not None:
            self.serving.send(REF.name, requests, **more)

    def run(self, looks: int = 200, *, requests: int = 200, **traffic: Any) -> Change:
        """Look until nothing is left to do."""
        for _ in range(looks):
            change = self.look()
            if change.requeue_after is None:
                return change
            self.send(requests, **traffic)
        raise AssertionError(f"still busy: {self.changes[-1].reason}")

    def looks(self, seconds: float, *, requests: int = 200, **traffic: Any) -> None:
        """Go on looking for so long."""
        for _ in range(int(seconds * 2)):
            self.look()
            self.send(requests, **traffic)

    def run_until(self, weight: int, version: str, **traffic: Any) -> None:
        for _ in range(200):
            if self.weights.get(self.app(version)) == weight:
                return
            self.look()
            self.send(200, **traffic)
        raise AssertionError(f"never came to {weight} %: {self.changes[-1].reason}")


def serving(version: str = "1", spec: ModelDeploymentSpec | None = None, **more: Any) -> Deployment:
    """A deployment whose first version is in service."""
    deployment = Deployment(spec, **more)
    deployment.want(version)
    settled = deployment.run()
    assert settled.verb is Verb.NOOP
    deployment.events.clear()
    return deployment
