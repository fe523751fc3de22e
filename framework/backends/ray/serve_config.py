"""Our applications as Serve configuration and back. Pure.

Everything of an AppSpec and a RouteSpec that matters can be read back from the live configuration, so what runs is
compared with what git asks, and not with a note of what was once asked. What may change without a restart (replicas,
queue lengths, the traffic table) is kept out of ``args`` and ``runtime_env``, of which Serve makes the code version.
Names of applications are here as Serve has them; within a specification they are those of the environment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from framework.api import layout
from framework.api.errors import TerminalError
from framework.api.hashes import text_hash
from framework.api.names import own_name
from framework.backends.ray.tenancy import Thing
from framework.ports import AppArguments, AppSpec, CodeRef, Json, RouteSpec

MODEL = "framework.workloads.serving.model:build"
ROUTER = "framework.workloads.serving.router:build"
MODEL_DEPLOYMENT = "Model"
ROUTER_DEPLOYMENT = "Router"

Config = Mapping[str, Json]
"""One element of ``applications`` in Serve's REST schema."""

Mark = Mapping[str, Json] | None
"""Whose an application is (``Tenant.mark``); None for those of versions that bore none."""

_BATCH_SIZE, _BATCH_WAIT, _CODE_FOLDER = "batchSize", "batchWaitSeconds", "codeFolder"
_METADATA = "metadata"
"""For people: the dashboard shows an application's arguments. It is no part of the digest, so it never redeploys."""
_TENANT = "tenant"
"""The mark that tells whose an application is. No part of the digest either, so one without it is not redeployed."""

_COMMON = {
    "graceful_shutdown_wait_loop_s": 0.1,
    "health_check_period_s": 2.0,
    "health_check_timeout_s": 10.0,
    # Without room for one more, a rolling update would stop the old replica before the new one runs.
    "max_surge_percent": 100,
}


_ROUTER = re.compile(r"(?P<deployment>.+)-router(?P<number>(?:-2)*)")


def router_name(deployment: str) -> str:
    """What the router is called that is made for a deployment; another one beside it bears a number (``ports.seats``).
    It keeps the name when it is given another deployment's table."""
    return f"{deployment}-router"


def is_router_name(app: str) -> bool:
    return _ROUTER.fullmatch(app) is not None


def deployment_of(app: str) -> str:
    """The ModelDeployment that an application was made for, by its name: ``<deployment>-<identity>``, or a router's."""
    router = _ROUTER.fullmatch(app)
    return router["deployment"] if router else app.rpartition("-")[0]


def counted_in(router: str, deployment: str, traffic: str) -> str:
    """The folder where a router counts, whose table is that of ``deployment`` with the folder ``traffic``. One that was
    taken over goes on where it did, beside that, because an argument that changes is a restart."""
    made = _ROUTER.fullmatch(router)
    if made is None or router == router_name(deployment):
        return traffic
    number = made["number"].replace("-", "_")  # so it is the folder of no deployment
    return f"{traffic.rpartition('/')[0]}/{made['deployment']}{number}"


def render_app(app: AppSpec, working_dir: str | None, name: str, mark: Mark) -> dict[str, Json]:
    """The Serve application of one model version, under ``name`` there.

    Raises TerminalError for an archive not named by its content: Serve would not notice new bytes under that name.
    """
    if app.code is not None and (working_dir is None or _stem(working_dir) != app.code.digest):
        message = f"{working_dir} is not named by the digest of the code, {app.code.digest}"
        raise TerminalError("CodeNotAddressed", message)
    concurrency = 2 * (app.target_ongoing_requests + app.batch_size)  # room to fill a batch while another is computed
    deployment: dict[str, Json] = {
        "name": MODEL_DEPLOYMENT,
        "max_ongoing_requests": concurrency,
        "max_queued_requests": app.max_queued_requests,
        "ray_actor_options": {"num_cpus": app.cpus, **({"num_gpus": app.gpus} if app.gpus else {})},
        **_COMMON,
    }
    if app.min_replicas == app.max_replicas:
        deployment["num_replicas"] = app.min_replicas
    else:
        deployment["autoscaling_config"] = {
            "min_replicas": app.min_replicas,
            "max_replicas": app.max_replicas,
            "target_ongoing_requests": app.target_ongoing_requests,
        }
    added = {
        _BATCH_SIZE: app.batch_size,
        _BATCH_WAIT: app.batch_wait_seconds,
        _CODE_FOLDER: app.code.folder if app.code else None,
        _METADATA: dict(app.metadata),
        **_marked(mark),
    }
    return {
        "name": name,
        "route_prefix": None,
        "import_path": MODEL,
        "runtime_env": {"working_dir": working_dir} if working_dir else {},
        "args": {**app.arguments.to_json(), **added},
        "deployments": [deployment],
    }


def live_digest(config: Config) -> str:
    """``AppSpec.digest`` of what runs. A configuration that we would never have written gets a digest of its own."""
    working_dir = (config.get("runtime_env") or {}).get("working_dir")
    try:
        app = _read_app(config, working_dir)
        if render_app(app, working_dir, config["name"], mark_of(config)) == config:
            return app.digest
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, TerminalError):
        pass
    return text_hash(json.dumps(config, sort_keys=True))


def _read_app(config: Config, working_dir: str | None) -> AppSpec:
    arguments = dict(config["args"])
    batch_size = arguments.pop(_BATCH_SIZE)
    batch_wait = arguments.pop(_BATCH_WAIT)
    folder = arguments.pop(_CODE_FOLDER)
    metadata = arguments.pop(_METADATA)
    arguments.pop(_TENANT, None)
    name = own_name(config["name"])
    deployment = config["deployments"][0]
    scaling = deployment.get("autoscaling_config") or {}
    resources = deployment["ray_actor_options"]
    return AppSpec(
        name=name,
        deployment=deployment_of(name),
        arguments=AppArguments.from_json(arguments),
        min_replicas=scaling.get("min_replicas", deployment.get("num_replicas")),
        max_replicas=scaling.get("max_replicas", deployment.get("num_replicas")),
        target_ongoing_requests=deployment["max_ongoing_requests"] // 2 - batch_size,
        max_queued_requests=deployment["max_queued_requests"],
        cpus=float(resources["num_cpus"]),
        gpus=float(resources.get("num_gpus", 0.0)),
        batch_size=batch_size,
        batch_wait_seconds=batch_wait,
        metadata=metadata,
        code=CodeRef("", folder, _stem(working_dir)) if working_dir else None,
    )


def render_route(route: RouteSpec, name: str, mark: Mark, names: Mapping[str, str]) -> dict[str, Json]:
    """The router's application, under ``name``; ``names`` are those of the table's apps in Serve. Tables differ in
    ``user_config`` only, which Serve applies in place, whichever deployment's they are."""
    router = own_name(name)
    table = {
        "deployment": route.deployment,
        "weights": {names[app]: weight for app, weight in route.weights.items()},
        "stable": names[route.stable],
        "generation": route.generation,
        "shield": route.shield,
        "timeout_seconds": route.timeout_seconds,
        "sticky_header": route.sticky_header,
        "match_header": list(route.match_header) if route.match_header else None,
        "max_queued": route.max_queued,
    }
    return {
        "name": name,
        "route_prefix": route.route,
        "import_path": ROUTER,
        "args": {
            "deployment": deployment_of(router),
            "traffic": counted_in(router, route.deployment, route.traffic),
            **_marked(mark),
        },
        "deployments": [{"name": ROUTER_DEPLOYMENT, "num_replicas": 1, "user_config": table, **_COMMON}],
    }


def read_route(config: Config) -> RouteSpec | None:
    """The table that a router application was last given, None for what is not a router of ours."""
    if config["import_path"] != ROUTER:
        return None
    try:
        table = config["deployments"][0]["user_config"]
        match = table["match_header"]
        return RouteSpec(
            deployment=table["deployment"],
            route=config["route_prefix"],
            weights={own_name(app): weight for app, weight in table["weights"].items()},
            stable=own_name(table["stable"]),
            generation=table["generation"],
            shield=table["shield"],
            timeout_seconds=table["timeout_seconds"],
            sticky_header=table["sticky_header"],
            match_header=(match[0], match[1]) if match else None,
            max_queued=table["max_queued"],
            traffic=config["args"]["traffic"],
        )
    except (KeyError, IndexError, TypeError, AttributeError):
        return None


def names_in_table(config: Config) -> frozenset[str]:
    """The applications that a router's table names, as Serve has them; empty for what is not a router of ours."""
    if read_route(config) is None:
        return frozenset()
    deployments = config["deployments"]
    table = deployments[0]["user_config"]
    return frozenset({table["stable"], *table["weights"]})


def thing(config: Config) -> Thing:
    """What the configuration of an application tells of whose it is."""
    return Thing("the Serve application", str(config["name"]), mark_of(config), _storage_of(config))


def mark_of(config: Config) -> Mark:
    mark = _arguments(config).get(_TENANT)
    return mark if isinstance(mark, dict) else None


def _storage_of(config: Config) -> str | None:
    """The storage root that an application of ours was given, told by where its own files lie below it."""
    arguments, name = _arguments(config), own_name(str(config["name"]))
    if config.get("import_path") == MODEL:
        folder, below = arguments.get("profiles"), layout.profile_folder("", deployment_of(name), name)
    elif config.get("import_path") == ROUTER:
        deployment = deployment_of(name)
        folder = arguments.get("traffic")
        below = counted_in(name, deployment, layout.traffic_folder("", deployment))
    else:
        return None
    return folder.removesuffix(below) if isinstance(folder, str) and folder.endswith(below) else None


def _arguments(config: Config) -> Mapping[str, Json]:
    arguments = config.get("args")
    return arguments if isinstance(arguments, dict) else {}


def _marked(mark: Mark) -> dict[str, Json]:
    return {} if mark is None else {_TENANT: dict(mark)}


def with_app(applications: Sequence[Config], app: Config) -> list[Config]:
    """``applications`` with ``app`` in the place of the one of its name, or at the end."""
    if all(other["name"] != app["name"] for other in applications):
        return [*applications, app]
    return [app if other["name"] == app["name"] else other for other in applications]


def without_app(applications: Sequence[Config], name: str) -> list[Config]:
    return [app for app in applications if app["name"] != name]


def _stem(uri: str) -> str:
    return PurePosixPath(urlsplit(uri).path or uri).stem
