"""What every StateStore promises."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from framework.api.errors import ConflictError
from framework.api.meta import Ref
from framework.ports import (
    ClockMark,
    Event,
    Heartbeat,
    Lease,
    MirrorMark,
    Outage,
    Pin,
    Record,
    Recorded,
    Revision,
    StateStore,
    Word,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TTL = 30.0
VIEW, JOB, ENDPOINT = Ref("FeatureView", "flights"), Ref("TrainingJob", "delay"), Ref("ModelDeployment", "delay")


def record(ref: Ref, version: int = 0, **status: Any) -> Record:
    return Record(ref=ref, status=status, inventory=("app/one",), upstream=(VIEW,), version=version)


def event(number: int, ref: Ref | None = JOB) -> Event:
    return Event(
        time=NOW + timedelta(seconds=number),
        commit=f"{number:040x}",
        ref=ref,
        reason="Trained",
        message=f"number {number}, ä",
        data={"number": number},
        actor="controller-a",
    )


def numbers(events: Sequence[Event]) -> list[int]:
    return [item.data["number"] for item in events]


def revision(number: int, accepted: bool = True) -> Revision:
    return Revision(
        commit=f"{number:040x}", digest=f"d{number}", accepted=accepted, time=NOW, problems=() if accepted else ("why",)
    )


def pin(number: int) -> Pin:
    return Pin(commit=f"{number:040x}", over="f" * 40, actor="ann", time=NOW, message="the new one is slow, ä")


def word(subject: str, verb: str = "prune") -> Word:
    return Word(subject=subject, verb=verb, actor="ann", time=NOW, data={"why": "ä"})


def heartbeat(number: int, **more: Any) -> Heartbeat:
    moment = NOW + timedelta(seconds=number)
    late = {"FeatureView/ä": moment, "TrainingJob/delay": None}
    return Heartbeat(holder="a", started=NOW, time=moment, every=5.0, resync=10.0, seen=moment, late=late, **more)


def taken(store: StateStore, holder: str = "a", now: datetime = NOW) -> Lease:
    """The lease, whoever holds it."""
    lease = store.acquire(holder, TTL, now, over=store.lease())
    assert lease is not None
    return lease


class StateStoreContract:
    """Subclass it and provide a fixture ``store``: an empty environment whose lease nobody has taken yet."""

    def test_the_owner_is_made_once_and_can_be_claimed(self, store: StateStore) -> None:
        owner = store.owner()
        assert re.fullmatch(r"[0-9a-f]{10}", owner)
        assert store.owner() == owner
        assert store.owner("0123456789") == "0123456789"
        assert store.owner() == "0123456789"
        assert store.lease() is None

    def test_nothing_is_loaded_where_nothing_was_saved(self, store: StateStore) -> None:
        assert store.load(VIEW) is None
        assert store.lease() is None
        assert (list(store.records()), list(store.events()), list(store.revisions())) == ([], [], [])
        assert store.verify_events() == ()

    def test_what_was_saved_is_loaded(self, store: StateStore) -> None:
        token = taken(store).token
        status: dict[str, Any] = {"step": 3, "share": 0.1, "nothing": None, "deep": {"list": [1, "ä"]}}
        saved = store.save(record(VIEW, **status), token)
        assert saved == record(VIEW, **status).model_copy(update={"version": 1})
        assert store.load(VIEW) == saved
        assert store.load(JOB) is None

    def test_versions_rise_and_an_old_version_is_refused(self, store: StateStore) -> None:
        token = taken(store).token
        first = store.save(record(VIEW, step=1), token)
        second = store.save(first.model_copy(update={"status": {"step": 2}}), token)
        assert (first.version, second.version) == (1, 2)
        with pytest.raises(ConflictError):
            store.save(first.model_copy(update={"status": {"step": 9}}), token)
        assert store.load(VIEW) == second

    def test_a_new_record_must_not_exist_and_an_old_one_must(self, store: StateStore) -> None:
        token = taken(store).token
        saved = store.save(record(VIEW, step=1), token)
        with pytest.raises(ConflictError):
            store.save(record(VIEW, step=2), token)
        with pytest.raises(ConflictError):
            store.save(record(JOB, version=1), token)
        assert list(store.records()) == [saved]

    def test_records_come_sorted(self, store: StateStore) -> None:
        token = taken(store).token
        for ref in (JOB, VIEW, Ref("FeatureView", "arrivals"), ENDPOINT):
            store.save(record(ref), token)
        expected = [Ref("FeatureView", "arrivals"), VIEW, ENDPOINT, JOB]
        assert [item.ref for item in store.records()] == expected

    def test_delete_is_idempotent_and_checks_the_version(self, store: StateStore) -> None:
        token = taken(store).token
        old = store.save(record(VIEW, step=1), token)
        new = store.save(old, token)
        other = store.save(record(JOB), token)
        with pytest.raises(ConflictError):
            store.delete(old, token)
        assert store.load(VIEW) == new
        store.delete(new, token)
        store.delete(new, token)
        assert list(store.records()) == [other]
        assert store.save(record(VIEW, step=2), token).version == 1

    def test_what_the_caller_changes_later_is_not_stored(self, store: StateStore) -> None:
        token = taken(store).token
        mine = record(VIEW, deep={"step": 1})
        saved = store.save(mine, token)
        mine.status["deep"]["step"] = 8
        saved.status["deep"]["step"] = 9
        loaded = store.load(VIEW)
        assert loaded is not None
        assert loaded.status == {"deep": {"step": 1}}
        loaded.status["deep"]["step"] = 7
        assert store.records()[0].status == {"deep": {"step": 1}}

    def test_one_of_many_concurrent_writers_wins(self, store: StateStore) -> None:
        token = taken(store).token
        start = store.save(record(VIEW, writer=-1), token)
        barrier = Barrier(8)

        def write(writer: int) -> int | None:
            barrier.wait()
            try:
                return store.save(start.model_copy(update={"status": {"writer": writer}}), token).version
            except ConflictError:
                return None

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(write, range(8)))
        winners = [writer for writer, version in enumerate(results) if version is not None]
        assert len(winners) == 1
        loaded = store.load(VIEW)
        assert loaded is not None
        assert (loaded.version, loaded.status) == (2, {"writer": winners[0]})

    def test_a_pin_needs_no_lease_and_the_last_word_counts(self, store: StateStore) -> None:
        assert store.pin() is None
        store.set_pin(None)
        assert store.pin() is None
        store.set_pin(pin(1))
        assert store.pin() == pin(1)
        store.set_pin(pin(2))
        assert store.pin() == pin(2)
        store.set_pin(None)
        assert store.pin() is None

    def test_a_pin_outlives_leaders_and_is_in_nobodys_way(self, store: StateStore) -> None:
        store.set_pin(pin(1))
        old = taken(store, "a")
        saved = store.save(record(VIEW, step=1), old.token)
        store.set_pin(pin(2))
        assert store.save(saved, old.token).version == 2
        taken(store, "b")
        assert store.pin() == pin(2)
        assert store.verify_events() == ()

    def test_the_end_of_a_pin_is_told_and_a_newer_pin_stands(self, store: StateStore) -> None:
        token = taken(store).token
        store.set_pin(pin(1))
        store.end_pin(pin(1), token, [event(1)])
        assert store.pin() is None
        store.set_pin(pin(3))
        store.end_pin(pin(2), token, [event(2)])
        assert store.pin() == pin(3)
        assert numbers(store.events()) == [1, 2]
        with pytest.raises(ConflictError):
            store.end_pin(pin(3), token + 1, [event(3)])
        assert (store.pin(), numbers(store.events())) == (pin(3), [1, 2])

    def test_the_last_word_on_a_subject_stands_until_it_is_taken_back(self, store: StateStore) -> None:
        assert list(store.words()) == []
        for said in (word("rollout/b"), word("prune/a_%"), word("rollout/b", "retry")):
            store.say(said)
        assert list(store.words()) == [word("prune/a_%"), word("rollout/b", "retry")]
        token = taken(store).token
        store.take_back(word("rollout/b"), token, [event(1)])
        assert list(store.words()) == [word("prune/a_%"), word("rollout/b", "retry")]
        with pytest.raises(ConflictError):
            store.take_back(word("prune/a_%"), token + 1)
        store.take_back(word("prune/a_%"), token)
        assert list(store.words()) == [word("rollout/b", "retry")]
        assert numbers(store.events()) == [1]

    def test_what_is_written_and_what_it_comes_to_are_kept_together_or_not_at_all(self, store: StateStore) -> None:
        token = taken(store).token
        saved = store.save(record(VIEW, step=1), token, [event(1)])
        store.save_revision(revision(1), token, [event(2, None)])
        refused: Sequence[Callable[[], object]] = (
            lambda: store.save(record(VIEW), token, [event(8)]),
            lambda: store.save(saved, token + 1, [event(8)]),
            lambda: store.delete(record(VIEW, version=9), token, [event(8)]),
            lambda: store.save_revision(revision(2), token + 1, [event(8)]),
        )
        for write in refused:
            with pytest.raises(ConflictError):
                write()
        assert (list(store.records()), list(store.revisions())) == ([saved], [revision(1)])
        store.delete(saved, token, [event(3)])
        store.delete(saved, token, [event(4)])
        assert numbers(store.events()) == [1, 2, 3, 4]
        assert (list(store.records()), store.verify_events()) == ([], ())

    def test_how_a_clock_stands_is_kept_with_what_it_moved_or_nothing_is(self, store: StateStore) -> None:
        assert store.clock() is None
        token = taken(store).token
        first, second = ClockMark(boot="b", wall=NOW, uptime=1.5), ClockMark(boot="b", wall=NOW, uptime=2.5)
        store.set_clock(first, token)
        assert store.clock() == first
        view, job = store.save(record(VIEW, step=1), token), store.save(record(JOB, step=1), token)
        later = [item.model_copy(update={"status": {"step": 2}}) for item in (view, job)]
        store.set_clock(second, token, later, [event(1)])
        assert store.clock() == second
        assert [(item.version, item.status) for item in store.records()] == [(2, {"step": 2})] * 2
        stale = [store.records()[0], job]
        with pytest.raises(ConflictError):
            store.set_clock(first, token, stale, [event(2)])
        with pytest.raises(ConflictError):
            store.set_clock(first, token + 1)
        assert (store.clock(), [item.version for item in store.records()]) == (second, [2, 2])

    def test_how_far_a_mirror_is_is_kept_with_what_is_told_of_it_or_nothing_is(self, store: StateStore) -> None:
        assert store.mirror_mark() is None
        token = taken(store).token
        first = MirrorMark(address="http://mlflow", versions={"delay": ("a" * 10,)}, aliases={"delay": {"x": "a" * 10}})
        store.set_mirror_mark(first, token)
        assert store.mirror_mark() == first
        second = first.model_copy(update={"outage": Outage(since=NOW, message="down")})
        store.set_mirror_mark(second, token, [event(1)])
        assert (store.mirror_mark(), numbers(store.events())) == (second, [1])
        with pytest.raises(ConflictError):
            store.set_mirror_mark(first, token + 1, [event(2)])
        assert (store.mirror_mark(), numbers(store.events()), list(store.damage())) == (second, [1], [])

    def test_a_record_that_is_forgotten_is_gone_or_another_takes_its_place(self, store: StateStore) -> None:
        token = taken(store).token
        old = store.save(store.save(record(VIEW, step=1), token), token)
        kept = store.save(record(JOB), token)
        store.forget(VIEW, [event(1, VIEW)])
        assert (store.load(VIEW), list(store.records())) == (None, [kept])
        with pytest.raises(ConflictError):
            store.save(old, token)
        store.forget(JOB, [event(2, JOB)], left=record(JOB, version=7, anew=True))
        left = store.load(JOB)
        assert left == record(JOB, version=1, anew=True)
        assert store.save(left, token).version == 2
        store.forget(ENDPOINT, [event(3)])
        assert numbers(store.events()) == [1, 2, 3]
        assert store.verify_events() == ()

    def test_what_can_be_read_is_not_damaged(self, store: StateStore) -> None:
        token = taken(store).token
        saved = store.save(record(VIEW, step=1), token)
        store.save_revision(revision(1), token)
        store.set_pin(pin(1), [event(1, None)])
        store.say(word("prune/a"))
        assert store.recorded() == Recorded((saved,))
        assert list(store.damage()) == []
        assert numbers(store.events()) == [1]

    def test_however_many_records_there_are_each_is_found_once(self, store: StateStore) -> None:
        token = taken(store).token
        names = [f"view-{number}" for number in range(1_100)]
        made = [record(Ref(kind, name)) for kind in ("TrainingJob", "FeatureView") for name in names[: len(kind) * 50]]
        saved = {item.ref: store.save(item, token) for item in made}
        assert list(store.scan()) == [saved[ref] for ref in sorted(saved)] == list(store.records())
        scan = store.scan()
        first = next(scan)
        store.delete(saved.pop(max(saved)), token)
        assert {first.ref, *(item.ref for item in scan)} >= saved.keys(), "what else goes meanwhile"

    def test_records_are_found_by_the_names_that_stand_in_them(self, store: StateStore) -> None:
        token = taken(store).token
        view = store.save(record(VIEW, reads={"raw": ["clicks"]}), token)
        job = store.save(record(JOB, reads="clicks of a day", upstream=[VIEW.name]), token)
        assert store.naming(["clicks"]) == Recorded((view,)), "a word in a sentence is no name"
        assert store.naming(["raw"]) == Recorded((view,))
        assert store.naming([VIEW.name]) == Recorded((view, job))
        assert store.naming(["click", "licks"]) == Recorded(())
        assert store.naming([]) == Recorded(())
        many = [*(f"other-{number}" for number in range(5_000)), "clicks"]
        assert view in store.naming(many).readable, "however many are asked for"
        assert list(store.refs()) == [VIEW, JOB]

    def test_revisions_come_newest_first(self, store: StateStore) -> None:
        token = taken(store).token
        for number in (3, 1, 2):
            store.save_revision(revision(number, accepted=number != 1), token)
        assert list(store.revisions()) == [revision(2), revision(1, accepted=False), revision(3)]
        assert list(store.revisions(limit=1)) == [revision(2)]
        assert list(store.revisions(limit=2, skip=1)) == [revision(1, accepted=False), revision(3)]

    def test_a_commit_that_is_seen_again_is_the_newest(self, store: StateStore) -> None:
        token = taken(store).token
        store.save_revision(revision(1, accepted=False), token)
        store.save_revision(revision(2), token)
        store.save_revision(revision(1), token)
        assert list(store.revisions()) == [revision(1), revision(2)]
