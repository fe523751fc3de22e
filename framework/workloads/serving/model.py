"""The model server: one Serve application per model version, reached through its deployment's router only."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import polars as pl
from ray import serve

from framework.answers import Matrix
from framework.ports import BAD_REQUEST, AppArguments
from framework.workloads import models
from framework.workloads.online.lookup import NotOnlineError
from framework.workloads.serving import failure
from framework.workloads.serving.asking import ask, ask_together
from framework.workloads.serving.online import NOT_ONLINE, OnlineInputs, unavailable
from framework.workloads.serving.recorder import Destination, Recorder
from framework.workloads.serving.scoring import BadRequestError, Preparation, answer, import_transformer, instances
from framework.workloads.serving.trial import attempt, rows_to_try

logger = logging.getLogger("ray.serve")


class ModelReplica:
    """What runs in a model replica; ``Model`` below is this class as a Serve deployment.

    Raises at construction whatever keeps the version from serving: WorkloadError for a model file that is missing,
    altered or unsafe, and for a version that fails its trial; ImportError for a transformer that is not in the code.
    Serve reports it as the app's failure.
    """

    def __init__(self, args: Mapping[str, Any]) -> None:
        arguments = AppArguments.from_json(args)
        self._app, self._version, signature = arguments.app, arguments.version, arguments.signature
        self._predictor = models.load(arguments.artifact, arguments.sha256, arguments.format, signature)
        transformer = import_transformer(arguments.transformer)
        online = None if arguments.online is None else OnlineInputs(arguments.online, signature)
        self._preparation = Preparation(signature, transformer, arguments.predictionKey, online=online)
        self._try(arguments)
        self._recorder = Recorder(
            Destination(
                profiles=arguments.profiles,
                predictions=arguments.predictions,
                replica=f"{os.getpid()}-{time.time_ns() // 1_000_000}",
                output=self._predictor.output,
            ),
            partial(models.frame_of, signature=signature),
            timedelta(seconds=arguments.flushSeconds),
        )
        self._score = self._predict_one
        if args.get("batchSize", 1) > 1:
            self._score = self._predict_together
            self._together = serve.batch(
                max_batch_size=args["batchSize"], batch_wait_timeout_s=args.get("batchWaitSeconds", 0.0)
            )(self._predict_many)

    def _try(self, arguments: AppArguments) -> None:
        given = arguments.trial.rows if arguments.trial else None
        sets = rows_to_try(given, arguments.artifact)
        if sets:
            known = attempt(self._preparation, self._predictor, sets, named=given is not None)
            self._preparation = self._preparation.knowing(known)
        else:
            logger.warning("%s starts untried: no rows of its training set were kept", self._version)

    async def predict(self, body: bytes, request_id: str) -> dict[str, Any]:
        """Answer one request: ``{"status", "body"}``, 4xx for the caller's mistakes, 503 while what is looked up cannot
        be had, and 500 for a version that failed.

        Both come with what to remember of it under ``failure`` (see ``failure.told``); the traceback is in the log.
        """
        try:
            prepared = await asyncio.to_thread(self._preparation.prepare, body)
            predictions = await self._score(prepared.frame)
            content = answer(predictions, self._predictor.output, self._version, self._app, prepared.missing)
        except BadRequestError as mistake:
            told = {"type": BAD_REQUEST, "message": mistake.gist[: failure.LONGEST], "where": ""}
            return {"status": mistake.status, "body": mistake.body(), "failure": told}
        except NotOnlineError as error:
            logger.warning("request %s: %s", request_id, error)
            told = {"type": NOT_ONLINE, "message": str(error)[: failure.LONGEST], "where": ""}
            return {"status": 503, "body": unavailable(error), "failure": told}
        except Exception as error:
            logger.exception("request %s failed", request_id)
            return {"status": 500, "body": b"", "failure": await asyncio.to_thread(_told, error, body)}
        self._recorder.append(request_id, prepared.keys, prepared.rows, predictions, len(body))
        return {"status": 200, "body": content}

    async def _predict_one(self, frame: pl.DataFrame) -> Matrix:
        return await asyncio.to_thread(ask, self._predictor, frame)

    async def _predict_together(self, frame: pl.DataFrame) -> Matrix:
        found: Matrix | Exception = await self._together(frame)
        if isinstance(found, Exception):
            raise found
        return found

    async def _predict_many(self, frames: Sequence[pl.DataFrame]) -> list[Matrix | Exception]:
        """Several requests in one call of the model, cut apart again."""
        return await asyncio.to_thread(ask_together, self._predictor, frames)

    def __del__(self) -> None:
        """Serve's documented shutdown hook: the last profile is written before the replica goes."""
        recorder: Recorder | None = getattr(self, "_recorder", None)
        if recorder is not None:
            recorder.close()


def _told(error: Exception, body: bytes) -> dict[str, str]:
    return failure.told(error, instances(body))


Model = serve.deployment(
    name="Model",
    max_ongoing_requests=8,
    max_queued_requests=200,
    ray_actor_options={"num_cpus": 0.5},
    max_surge_percent=100,
    graceful_shutdown_timeout_s=20,
)(ModelReplica)


def build(args: Mapping[str, Any]) -> serve.Application:
    """One model version's application.

    Args:
        args: ``framework.ports.AppArguments`` as they are sent, and optionally ``batchSize`` (requests per call of the
            model, 1 is off) with ``batchWaitSeconds``. Replicas, queues and resources come as deployment options.
    """
    return Model.bind(dict(args))
