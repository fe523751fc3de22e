"""Rows in a Redis server: for replicas on many machines.

A write fills a hash of its own, and ``now`` says which one is read, so that a whole view goes with one UNLINK. Redis
ends a hash when its newest row is older than the view lets rows be; single rows are left out by who reads them. The
password comes from MLOPS_ONLINE_PASSWORD, wherever a process goes there.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from framework import installed
from framework.api.errors import TerminalError, TransientError
from framework.online.store import STAMP, TIMEOUT, Batch, FoundRows
from framework.ports import OnlinePlace, OnlineVersion

PASSWORD = "MLOPS_ONLINE_PASSWORD"  # noqa: S105 - the name of a variable

_SWITCH = """
local now, staged, generations, current = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if redis.call('SISMEMBER', generations, ARGV[1]) == 0 or redis.call('HLEN', staged) ~= tonumber(ARGV[2]) then
  redis.call('UNLINK', staged)
  redis.call('SREM', generations, ARGV[1])
  return -1
end
local rows = staged
if ARGV[3] ~= '' then
  if redis.call('GET', now) ~= ARGV[3] then return -1 end
  rows = current
  local stamp = tonumber(ARGV[6])
  local function newer(one, other)
    for i = 1, stamp do
      local a, b = string.byte(one, i), string.byte(other, i)
      if a ~= b then return a > b end
    end
    return false
  end
  local found = redis.call('HGETALL', staged)
  for i = 1, #found, 2 do
    local old = redis.call('HGET', current, found[i])
    if not old or not newer(old, found[i + 1]) then redis.call('HSET', current, found[i], found[i + 1]) end
  end
  redis.call('UNLINK', staged)
  redis.call('SREM', generations, ARGV[1])
end
local count = redis.call('HLEN', rows)
redis.call('SET', now, ARGV[4] .. count .. ARGV[5])
if ARGV[7] ~= '' then redis.call('EXPIREAT', rows, ARGV[7]) end
return count
"""
"""The one step that readers see. Lua compares text by the server's language, so bytes are compared one by one."""


class RedisStore:
    def __init__(self, place: OnlinePlace, timeout: float = TIMEOUT) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError as error:
            raise TerminalError("DriverMissing", f"{place.store}: {installed.advice(['redis'])}") from error
        self._place = place
        self._errors = (redis.RedisError, OSError)
        self._client: Any = redis.Redis.from_url(
            place.store,
            password=os.environ.get(PASSWORD) or None,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # A connection that was kept may be dead; a server that is slow is not asked again.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
        self._switch = self._client.register_script(_SWITCH)
        self._known: dict[str, tuple[bytes, str, OnlineVersion]] = {}

    def place(self) -> OnlinePlace:
        return self._place

    def describe(self, view: str) -> OnlineVersion | None:
        """A version whose hash is gone before its time, because somebody or the server removed it, is none."""
        with self._told():
            held = self._client.get(self._key(view, "now"))
            if held is None:
                return None
            _, generation, version = self._parsed(view, held)
            gone = version.rows and not self._client.exists(self._key(view, "rows", generation))
        return None if gone and not _is_over(held) else version

    def read(self, keys: Mapping[str, Sequence[bytes]]) -> Mapping[str, FoundRows | None]:
        """What is read is guessed from the read before; where that was of an older version it is read once more."""
        found: dict[str, FoundRows | None] = {}
        pending = dict(keys)
        while pending:
            guessed = {view: self._known.get(view) for view in pending}
            with self._told():
                answers = self._answers(pending, guessed)
            for view, asked in list(pending.items()):
                held, values = answers[view]
                if held is None:
                    found[view] = None
                    del pending[view]
                elif (guess := guessed[view]) is not None and guess[0] == held:
                    found[view] = FoundRows(guess[2], values if asked else [])
                    del pending[view]
                else:
                    self._known[view] = self._parsed(view, held)
        return found

    def _answers(
        self, keys: Mapping[str, Sequence[bytes]], guessed: Mapping[str, tuple[bytes, str, OnlineVersion] | None]
    ) -> Mapping[str, tuple[bytes | None, Sequence[bytes | None]]]:
        """By view, which version there is and the values of the one that was guessed, at one moment."""
        with self._client.pipeline(transaction=True) as pipeline:
            for view, asked in keys.items():
                pipeline.get(self._key(view, "now"))
                guess = guessed[view]
                if guess is not None and asked:
                    pipeline.hmget(self._key(view, "rows", guess[1]), asked)
            answers: Iterator[Any] = iter(pipeline.execute())
            return {
                view: (next(answers), next(answers) if guessed[view] is not None and asked else [])
                for view, asked in keys.items()
            }

    def write(
        self, view: str, version: OnlineVersion, batches: Iterable[Batch], onto: OnlineVersion | None = None
    ) -> OnlineVersion:
        with self._told():
            held = self._client.get(self._key(view, "now"))
            before = self._parsed(view, held) if held is not None else None
            if onto is not None and (before is None or before[2] != onto):
                raise TransientError(f"another write of {view} came between: it is not what was to be added to")
            generation = uuid.uuid4().hex
            staged, generations = self._key(view, "rows", generation), self._key(view, "generations")
            self._client.sadd(generations, generation)
            count, newest = 0, _newest(held) if onto is not None and held is not None else b""
            for batch in batches:
                if batch:
                    self._client.hset(staged, mapping=dict(batch))
                    count += len(batch)
                    newest = max(newest, *(value[:STAMP] for _, value in batch))
            current = before[1] if onto is not None and before is not None else generation
            ends = _ends(newest, version)
            facts = {"generation": current, "newest": newest.hex(), "ends": ends}
            text = version.model_copy(update={"rows": 0, "written": datetime.now(UTC)}).model_dump_json()
            head, _, tail = json.dumps({**facts, "version": json.loads(text), "rows": _COUNT}).partition(f'"{_COUNT}"')
            done = self._switch(
                keys=[self._key(view, "now"), staged, generations, self._key(view, "rows", current)],
                args=[generation, count, held if onto is not None else b"", head, tail, STAMP, ends or ""],
            )
            if int(done) < 0:
                raise TransientError(f"another write of {view} came between")
            self._sweep(view, current)
            written = self._client.get(self._key(view, "now"))
            if written is None:
                raise TransientError(f"{view} was dropped while it was written")
            return self._parsed(view, written)[2]

    def drop(self, view: str) -> None:
        with self._told():
            self._client.delete(self._key(view, "now"))
            self._sweep(view, "")

    def _sweep(self, view: str, current: str) -> None:
        """Remove what nobody reads. A generation is forgotten first, so that whoever fills it cannot switch to it."""
        generations = self._key(view, "generations")
        for found in self._client.smembers(generations):
            generation = found.decode()
            if generation != current:
                self._client.srem(generations, generation)
                self._client.unlink(self._key(view, "rows", generation))

    def _key(self, view: str, *parts: str) -> str:
        return ":".join(("mlops", self._place.space, view, *parts))

    def _parsed(self, view: str, held: bytes) -> tuple[bytes, str, OnlineVersion]:
        known = self._known.get(view)
        if known is not None and known[0] == held:
            return known
        facts = json.loads(held)
        version = OnlineVersion.model_validate({**facts["version"], "rows": facts["rows"]})
        return held, facts["generation"], version

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise TransientError(f"the online store {self._place.store} cannot be used: {error}") from error


_COUNT = "the number of rows"
_BIAS = 2**63


def _newest(held: bytes) -> bytes:
    return bytes.fromhex(json.loads(held)["newest"])


def _ends(newest: bytes, version: OnlineVersion) -> int | None:
    """When nothing of it is found any more, in seconds since 1970; None where rows are found however old."""
    if version.ttl is None or not newest:
        return None
    moment = (int.from_bytes(newest, "big") - _BIAS) / 1e6 + version.ttl
    return max(1, int(moment) + 1)


def _is_over(held: bytes) -> bool:
    ends = json.loads(held)["ends"]
    return ends is not None and datetime.now(UTC).timestamp() >= ends
