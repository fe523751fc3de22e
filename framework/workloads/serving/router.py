"""The traffic router: one Serve application per deployment, the only one of its applications with a route.

The table comes as Serve ``user_config``, so a change of weights is applied in the running process. What it counted and
which table it has fully changed over to leave it as a small file (see ``framework.ports.ReplicaCounters``).
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import re
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ray import serve
from ray.exceptions import RayTaskError
from ray.serve.exceptions import BackPressureError
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framework.api.names import own_name
from framework.ports import ROUTER_CPUS
from framework.storage import write_json
from framework.workloads.serving.counters import Counters
from framework.workloads.serving.dispatch import Dispatcher, OverloadedError, Reply, overload, refusal
from framework.workloads.serving.routing import TrafficTable

logger = logging.getLogger("ray.serve")

MAX_BODY_BYTES = 8 * 1024 * 1024
WRITE_SECONDS = 0.5
"""How often changed counters are written."""
IDLE_WRITE_SECONDS = 2.0
"""And unchanged ones, as a sign of life: a reader leaves out replicas that stopped writing."""

_REQUEST_ID = re.compile(r"[!-~]{1,128}")


class Handles:
    """Serve handles by app name, opened on first use and forgotten when the app leaves the table."""

    def __init__(self) -> None:
        self._open: dict[str, DeploymentHandle[Any]] = {}
        self._opening: dict[str, asyncio.Task[DeploymentHandle[Any]]] = {}

    async def call(self, app: str, body: bytes, request_id: str) -> Mapping[str, Any]:
        """``Model.predict`` of ``app``.

        Raises:
            OverloadedError: the app's queue is full.
            Exception: whatever the app raised, or that it does not exist.
        """
        handle = self._open.get(app) or await self._connect(app)
        try:
            reply: Mapping[str, Any] = await handle.predict.remote(body, request_id)
        except BackPressureError:
            raise OverloadedError from None
        except RayTaskError as error:
            if isinstance(error.cause, BackPressureError):
                raise OverloadedError from None
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # A replica that is stopped cancels its own calls, which arrives here looking like our own cancellation.
            raise ConnectionError(f"{own_name(app)} cancelled the call") from None
        return reply

    async def prepare(self, apps: Mapping[str, int], patience: float) -> None:
        """Open what is missing, so that no request pays for it; an app that is not there yet is left for later."""
        pending = [asyncio.ensure_future(self._connect(app)) for app in apps if app not in self._open]
        if pending:
            done, _ = await asyncio.wait(pending, timeout=patience)
            for task in done:
                if task.exception() is not None:
                    logger.info("an app of the new table is not there yet: %s", task.exception())

    def forget(self, keep: Mapping[str, int]) -> None:
        """Drop the handles of apps that are not in ``keep``."""
        for app in [app for app in self._open if app not in keep]:
            del self._open[app]

    async def _connect(self, app: str) -> DeploymentHandle[Any]:
        task = self._opening.get(app)
        if task is None:
            task = asyncio.ensure_future(asyncio.to_thread(_open_handle, app))
            self._opening[app] = task
            task.add_done_callback(lambda done: self._opened(app, done))
        return await asyncio.shield(task)

    def _opened(self, app: str, task: asyncio.Task[DeploymentHandle[Any]]) -> None:
        self._opening.pop(app, None)
        if not task.cancelled() and task.exception() is None:
            self._open[app] = task.result()


def _open_handle(app: str) -> DeploymentHandle[Any]:
    """A blocking question to the Serve controller.

    ``_by_reference=False`` spares the object store: 1.39 against 1.55 times the CPU of a bare app per request.
    """
    return serve.get_app_handle(app).options(_by_reference=False)


class CounterFile:
    """Snapshots are written by several threads; an older one never replaces a newer one."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._newest = 0
        self._writing = threading.Lock()

    def write(self, number: int, snapshot: Mapping[str, Any]) -> bool:
        """Whether the file is now at least as new as ``number``.

        A full disk must not stop the traffic: the counts are cumulative, so the next write makes up for this one.
        """
        with self._writing:
            if number < self._newest:
                return True
            try:
                write_json(self._uri, snapshot)
            except OSError as error:
                logger.warning("cannot write the traffic counters: %s", error)
                return False
            self._newest = number
            return True


class RouterReplica:
    """What runs in a router replica; ``Router`` below is this class as a Serve deployment."""

    def __init__(self, deployment: str, traffic: str, handles: Handles | None = None) -> None:
        self._deployment = deployment
        self._replica = f"{os.getpid()}-{time.time_ns() // 1_000_000}"
        self._handles = handles or Handles()
        self._counters = Counters()
        self._dispatcher = Dispatcher(self._handles.call, self._counters)
        self._reconfiguring = asyncio.Lock()
        self._writer: asyncio.Task[None] | None = None
        self._file = CounterFile(f"{traffic}/{self._replica}.json")
        self._written: tuple[int, int] | None = None
        self._written_at = 0.0
        self._snapshots = 0

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Serve calls this with the first and each later table; requests in flight are not touched. A table older than
        the one in force was decided on by who leads no more, and is left alone: to raise would end the replica.

        Raises:
            ValueError: not a traffic table.
        """
        table = TrafficTable.parse(user_config)
        async with self._reconfiguring:  # Serve may call again while handles open, and the older table must not win
            live = self._dispatcher.table
            if live is not None and table.generation <= live.generation:
                if table != live:
                    logger.warning(
                        "a table of generation %s came after one of generation %s", table.generation, live.generation
                    )
                return
            await self._handles.prepare(table.weights, patience=table.timeout_seconds)
            self._dispatcher.apply(table)
            self._handles.forget(keep=table.weights)
        await self._write()
        if self._writer is None:
            self._writer = asyncio.create_task(self._keep_writing())

    async def __call__(self, request: Request) -> Response:
        if request.url.path.rstrip("/") != request.scope.get("root_path", "").rstrip("/"):
            return _response(refusal(404, "not_found", f"nothing is served at {request.url.path}"))
        if request.method == "GET":
            table = self._dispatcher.table
            return JSONResponse(table.public() if table else {"deployment": self._deployment, "weights": {}})
        if request.method != "POST":
            return _response(refusal(405, "method_not_allowed", "POST instances, or GET the traffic table"))
        given = request.headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        try:
            with self._dispatcher.admit() as table:
                return _response(await self._answer(request, table, request_id))
        except OverloadedError:
            return _response(overload())

    def __del__(self) -> None:
        """Serve's documented shutdown hook: the last counts must not be lost."""
        writer, self._writer = getattr(self, "_writer", None), None
        if writer is not None:
            writer.cancel()
            self._file.write(*self._snapshot())

    async def _answer(self, request: Request, table: TrafficTable, request_id: str) -> Reply:
        try:
            async with asyncio.timeout(table.timeout_seconds):
                body = await read_body(request)
        except TimeoutError:
            return refusal(408, "timeout", "the request's body did not arrive in time")
        if body is None:
            return refusal(413, "too_large", f"a request may hold at most {MAX_BODY_BYTES} bytes")
        deadline = time.monotonic() + table.timeout_seconds
        draw = random.random()  # noqa: S311 - traffic shares, not secrets
        return await self._dispatcher.answer(body, request.headers, request_id, deadline, draw)

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            changed = self._written != (self._counters.changes, self._dispatcher.acknowledged)
            if changed or time.monotonic() - self._written_at >= IDLE_WRITE_SECONDS - WRITE_SECONDS / 2:
                await self._write()

    async def _write(self) -> None:
        state = (self._counters.changes, self._dispatcher.acknowledged)
        if await asyncio.to_thread(self._file.write, *self._snapshot()):
            self._written = state
            self._written_at = time.monotonic()

    def _snapshot(self) -> tuple[int, dict[str, Any]]:
        self._snapshots += 1
        return self._snapshots, self._counters.snapshot(self._replica, self._dispatcher.acknowledged, datetime.now(UTC))


async def read_body(request: Request) -> bytes | None:
    """The request's body, None where it is larger than MAX_BODY_BYTES; no more than that is ever held."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared[:20]) > MAX_BODY_BYTES:
        return None
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _response(answer: Reply) -> Response:
    """The HTTP answer; Serve's own middleware adds ``x-request-id``, so it is not set here."""
    headers = {}
    if answer.app is not None:
        headers["x-mlops-app"] = own_name(answer.app)
    if answer.retry_after is not None:
        headers["retry-after"] = str(answer.retry_after)
    return Response(answer.body, answer.status, headers, media_type="application/json")


Router = serve.deployment(
    name="Router",
    # The router sheds load itself, by the table's max_queued and with Retry-After, so Serve must not queue before it.
    max_ongoing_requests=1000,
    ray_actor_options={"num_cpus": ROUTER_CPUS},
    max_surge_percent=100,
    graceful_shutdown_timeout_s=20,
)(RouterReplica)


def build(args: Mapping[str, Any]) -> serve.Application:
    """The router application.

    Args:
        args: ``deployment`` (its name) and ``traffic`` (the folder for the counters).
    """
    return Router.bind(args["deployment"], args["traffic"])
