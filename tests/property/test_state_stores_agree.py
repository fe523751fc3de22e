"""The two state stores are one: whatever is done to both, in whatever order, they answer alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from framework.api.errors import ConflictError
from framework.api.meta import Ref
from framework.backends.memory import MemoryRegistry, MemoryStateStore
from framework.backends.state.database import open_database
from framework.backends.state.registry import SqlModelRegistry
from framework.backends.state.store import SqlStateStore
from framework.ports import (
    ClockMark,
    Event,
    Heartbeat,
    Lease,
    ModelRegistry,
    ModelVersion,
    Pin,
    Record,
    Revision,
    StateStore,
    Word,
)

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
REFS = (Ref("FeatureView", "flights"), Ref("FeatureView", "weather"), Ref("TrainingJob", "delay"))

Step = Callable[[StateStore, ModelRegistry], Any]

refs = st.sampled_from(REFS)
tokens = st.integers(0, 4)
moments = st.integers(0, 100).map(lambda seconds: START + timedelta(seconds=seconds))
holders = st.sampled_from("ab")
values = st.dictionaries(st.text(max_size=3), st.none() | st.integers(-9, 9) | st.floats(0, 1) | st.text(max_size=3))
records = st.builds(Record, ref=refs, status=values, version=st.integers(0, 3))
events = st.builds(
    Event, time=moments, commit=st.text("abc", max_size=2), ref=st.none() | refs, reason=st.just("R"),
    message=st.text(max_size=3), data=values,
)  # fmt: skip
revisions = st.builds(
    Revision, commit=st.sampled_from("xyz"), digest=st.text("01", max_size=2), accepted=st.booleans(), time=moments
)


def _version(name: str, created: datetime, auc: float) -> ModelVersion:
    return ModelVersion(
        training="delay", version=name, commit="c", created=created, artifact="a", sha256="0", format="skops",
        signature={}, profile="p", metrics={"auc": auc}, parameters={}, lineage={},
    )  # fmt: skip


pins = st.builds(Pin, commit=st.sampled_from("xyz"), over=st.just("o"), actor=holders, time=moments)
words = st.builds(Word, subject=st.sampled_from("xy"), verb=st.sampled_from("vw"), actor=st.just("a"), time=moments)
beats = st.builds(Heartbeat, holder=holders, started=st.just(START), time=moments, every=st.just(5), resync=st.just(9))
told = st.lists(events, max_size=3)
versions = st.builds(_version, st.sampled_from("uvw"), moments, st.floats(0, 1))


def _current(store: StateStore, ref: Ref, status: dict[str, Any]) -> Record:
    found = store.load(ref) or Record(ref=ref, status={})
    return found.model_copy(update={"status": status})


def _token(store: StateStore, given_token: int) -> int:
    """Mostly the right one, which otherwise would hardly ever be hit."""
    lease = store.lease()
    return lease.token if lease is not None and given_token else given_token


def _save(record: Record, token: int, told: list[Event]) -> Step:
    return lambda store, _: store.save(record, _token(store, token), told)


def _renew(ref: Ref, status: dict[str, Any], token: int) -> Step:
    return lambda store, _: store.save(_current(store, ref, status), _token(store, token))


def _delete(record: Record, token: int, told: list[Event]) -> Step:
    return lambda store, _: store.delete(record, _token(store, token), told)


def _forget(ref: Ref, token: int) -> Step:
    return lambda store, _: store.delete(_current(store, ref, {}), _token(store, token))


def _append(items: list[Event], token: int) -> Step:
    return lambda store, _: store.append_events(items, _token(store, token))


def _accept(revision: Revision, token: int) -> Step:
    return lambda store, _: store.save_revision(revision, _token(store, token))


def _register(version: ModelVersion, token: int) -> Step:
    return lambda store, registry: registry.register(version, _token(store, token))


def _adopt(version: ModelVersion) -> Step:
    return lambda store, registry: registry.adopt(version)


def _forget_versions(token: int) -> Step:
    return lambda store, registry: registry.forget("delay", _token(store, token))


def _pin(pin: Pin | None) -> Step:
    return lambda store, _: store.set_pin(pin)


def _end_pin(pin: Pin, token: int) -> Step:
    return lambda store, _: store.end_pin(pin, _token(store, token), [])


def _say(word: Word) -> Step:
    return lambda store, _: store.say(word)


def _take_back(word: Word, token: int) -> Step:
    return lambda store, _: store.take_back(word, _token(store, token))


def _acquire(holder: str, ttl: int, now: datetime, note: dict[str, Any] | None, over: int) -> Step:
    return lambda store, _: store.acquire(holder, float(ttl), now, note, over=_lease(store, over))


def _renew_lease(token: int, now: datetime) -> Step:
    return lambda store, _: store.renew(_lease(store, token), now)


def _set_clock(ref: Ref, status: dict[str, Any], wall: datetime, token: int, told: list[Event]) -> Step:
    mark = ClockMark(boot="b", wall=wall, uptime=1.0)
    return lambda store, _: store.set_clock(mark, _token(store, token), [_current(store, ref, status)], told)


def _beat(heartbeat: Heartbeat, token: int) -> Step:
    return lambda store, _: store.beat(heartbeat, _token(store, token))


def _release(token: int) -> Step:
    return lambda store, _: store.release(_lease(store, token))


def _lease(store: StateStore, given_token: int) -> Lease:
    """Mostly the one that is held."""
    return (store.lease() if given_token else None) or Lease(holder="a", token=given_token)


steps = st.lists(
    st.one_of(
        st.builds(_acquire, holders, st.integers(0, 50), moments, st.none() | values, tokens),
        st.builds(_renew_lease, tokens, moments),
        st.builds(_save, records, tokens, told),
        st.builds(_renew, refs, values, tokens),
        st.builds(_delete, records, tokens, told),
        st.builds(_forget, refs, tokens),
        st.builds(_append, told, tokens),
        st.builds(_accept, revisions, tokens),
        st.builds(_register, versions, tokens),
        st.builds(_adopt, versions),
        st.builds(_forget_versions, tokens),
        st.builds(_pin, st.none() | pins),
        st.builds(_end_pin, pins, tokens),
        st.builds(_say, words),
        st.builds(_take_back, words, tokens),
        st.builds(_set_clock, refs, values, moments, tokens, told),
        st.builds(_beat, beats, tokens),
        st.builds(_release, tokens),
    ),
    min_size=5,
    max_size=25,
)


def _answer(step: Step, store: StateStore, registry: ModelRegistry) -> Any:
    try:
        return step(store, registry)
    except ConflictError:
        return ConflictError


def _all_of(store: StateStore, registry: ModelRegistry) -> list[Any]:
    return [
        store.lease(),
        list(store.records()),
        [store.load(ref) for ref in REFS],
        list(store.events()),
        store.seal(),
        store.pin(),
        list(store.words()),
        store.clock(),
        store.heartbeat(),
        [list(store.events(ref, limit=2)) for ref in REFS],
        list(store.revisions()),
        list(store.revisions(limit=1)),
        list(registry.versions("delay")),
        [registry.get("delay", name) for name in "uvw"],
    ]


@given(script=steps)
# Shrinking would take minutes of commits to disk; a script of at most 25 steps can be read as it is.
@settings(max_examples=20, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_they_agree(script: list[Step], tmp_path_factory: pytest.TempPathFactory) -> None:
    database = open_database("sqlite:///state.db", str(tmp_path_factory.mktemp("state")))
    memory = MemoryStateStore()
    ours = memory, MemoryRegistry(memory)
    theirs = SqlStateStore(database, "local"), SqlModelRegistry(database, "local")
    for step in (_acquire("a", 30, START, None, 0), *script):
        assert _answer(step, *ours) == _answer(step, *theirs)
        assert _all_of(*ours) == _all_of(*theirs)
    assert ours[0].verify_events() == theirs[0].verify_events() == ()
    database.close()
