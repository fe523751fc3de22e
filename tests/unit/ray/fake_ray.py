"""Ray's dashboard as an httpx transport: just the endpoints that the backends use, with Ray's own status codes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from fnmatch import fnmatch
from typing import Any

import httpx

from framework.backends.ray.rest import RayAddress, RayRest

TOKEN = "t0ken"


class FakeRay:
    """``fail`` answers the next requests instead: a status code, or an exception to raise. ``before_put`` and
    ``after_put`` are what somebody else does around the next PUT of the list of applications, one each."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.apps: dict[str, dict[str, Any]] = {}
        self.details: dict[str, Any] = {}
        self.state: dict[str, list[dict[str, Any]]] = {"nodes": [], "placement_groups": [], "actors": []}
        self.files: dict[tuple[str, str], str] = {}
        """Log files by (node, name)."""
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[Any] = []
        self.fail: list[int | Exception | httpx.Response] = []
        self.runs_at_once = False
        self.before_put: list[Callable[[], None]] = []
        self.after_put: list[Callable[[], None]] = []

    def rest(self, token: str | None = TOKEN) -> RayRest:
        address = RayAddress("http://127.0.0.1:8265", token, serve_port=8123)
        return RayRest(lambda: address, transport=httpx.MockTransport(self._answer))

    def changes(self) -> list[tuple[str, str]]:
        return [request for request in self.requests if request[0] != "GET"]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append((request.method, request.url.path))
        if self.fail:
            failure = self.fail.pop(0)
            if isinstance(failure, Exception):
                raise failure
            return failure if isinstance(failure, httpx.Response) else httpx.Response(failure, text="no")
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return httpx.Response(401, text="Unauthorized")
        body: Any = json.loads(request.content) if request.content else None
        self.bodies.append(body)
        match request.method, request.url.path.strip("/").split("/"):
            case "POST", ["api", "jobs"]:
                if body["submission_id"] in self.jobs:
                    return httpx.Response(500, text="ValueError: Job with submission_id already exists.")
                status = "RUNNING" if self.runs_at_once else "PENDING"
                self.jobs[body["submission_id"]] = {"status": status, "start_time": int(time.time() * 1000), **body}
                return httpx.Response(200, json={"submission_id": body["submission_id"]})
            case "POST", ["api", "jobs", name, "stop"]:
                self.jobs[name]["status"] = "STOPPED"
                return httpx.Response(200, json={"stopped": True})
            case "GET", ["api", "jobs"]:
                return httpx.Response(200, json=list(self.jobs.values()))
            case "GET", ["api", "jobs", name]:
                found = self.jobs.get(name)
                return httpx.Response(200, json=found) if found else httpx.Response(404, text="does not exist")
            case "GET", ["api", "v0", "logs"]:
                node, pattern = request.url.params["node_id"], request.url.params["glob"]
                found = [name for where, name in self.files if where == node and fnmatch(name, pattern)]
                return httpx.Response(200, json={"result": True, "data": {"result": {"internal": found}}})
            case "GET", ["api", "v0", "logs", "file"]:
                return self._log_file(request.url.params)
            case "GET", ["api", "v0", what] if what in self.state:
                wanted = request.url.params.get("filter_values")
                listed = [item for item in self.state[what] if item["state"] == wanted]
                return httpx.Response(200, json={"result": True, "data": {"result": {"result": listed}}})
            case "GET", ["api", "serve", "applications"]:
                return httpx.Response(200, json={"applications": self.apps, **self.details})
            case "PUT", ["api", "serve", "applications"]:
                for meddle in self.before_put[:1]:
                    self.before_put.pop(0)
                    meddle()
                self.replace(body["applications"])
                for meddle in self.after_put[:1]:
                    self.after_put.pop(0)
                    meddle()
                return httpx.Response(200)
            case _:
                return httpx.Response(404, text="no such page")

    def _log_file(self, asked: httpx.QueryParams) -> httpx.Response:
        """As Ray does it: what is not there is a failure."""
        if asked["node_id"] not in {node for node, _ in self.files}:
            return httpx.Response(500, text=f"Agent for node id: {asked['node_id']} doesn't exist.")
        text = self.files.get((asked["node_id"], asked["filename"]))
        if text is None:
            return httpx.Response(500, text=f"A file is not found at: /tmp/ray/logs/{asked['filename']}")
        return httpx.Response(200, text="".join(text.splitlines(keepends=True)[-int(asked["lines"]) :]))

    def listed(self) -> list[dict[str, Any]]:
        """The declarative applications in force."""
        live = [app for app in self.apps.values() if app["status"] != "DELETING"]
        return [app["deployed_app_config"] for app in live if app.get("deployed_app_config")]

    def replace(self, configs: list[dict[str, Any]]) -> None:
        """As Serve does: what is missing from the list is deleted, what was started imperatively stays."""
        wanted = {config["name"] for config in configs}
        for name, app in self.apps.items():
            if name not in wanted and app["source"] == "declarative":
                app.update(status="DELETING")
                app.pop("deployed_app_config", None)
        for config in configs:
            self.apps[config["name"]] = live_app(config)


def live_app(config: dict[str, Any], status: str = "RUNNING", **more: Any) -> dict[str, Any]:
    """One element of what Serve tells."""
    return {
        "name": config["name"],
        "route_prefix": config.get("route_prefix"),
        "status": status,
        "message": "",
        "source": "declarative",
        "deployed_app_config": config,
        "deployments": {},
        **more,
    }
