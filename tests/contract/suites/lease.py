"""What every StateStore promises of who leads: one holder at a time, nobody else writes, and its heartbeat is kept."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from framework.api.errors import ConflictError
from framework.ports import Lease, Outage, Record, StateStore
from tests.contract.suites.state import NOW, TTL, VIEW, event, heartbeat, record, revision, taken


class LeaseContract:
    def test_one_holder_at_a_time(self, store: StateStore) -> None:
        lease = store.acquire("a", TTL, NOW, {"pid": 7})
        assert lease == Lease(holder="a", token=1, ttl_seconds=TTL, renewed=NOW, note={"pid": 7})
        assert store.acquire("b", TTL, NOW + timedelta(days=400)) is None, "no time of day ends a lease"
        assert store.lease() == lease

    def test_renewing_keeps_the_token_and_the_note_and_counts(self, store: StateStore) -> None:
        first = store.acquire("a", TTL, NOW, {"pid": 7})
        assert first is not None
        second = store.renew(first, NOW - timedelta(days=400))
        assert second == first.model_copy(update={"renewals": 1, "renewed": NOW - timedelta(days=400)})
        assert store.lease() == second
        third = store.renew(first, NOW)
        assert third is not None, "whose renewal was written and not heard of may renew again"
        assert (third.token, third.renewals) == (first.token, 2)

    def test_only_the_lease_that_was_seen_is_taken_over_and_with_a_higher_token(self, store: StateStore) -> None:
        seen = taken(store, "a")
        renewed = store.renew(seen, NOW)
        assert store.acquire("b", TTL, NOW, over=seen) is None, "it showed a sign of life"
        assert store.lease() == renewed
        new = store.acquire("b", TTL, NOW, {"pid": 8}, over=renewed)
        assert new is not None
        assert (new.holder, new.token > seen.token, new.renewals, new.note) == ("b", True, 0, {"pid": 8})
        assert store.lease() == new
        assert store.renew(seen, NOW) is None
        assert store.acquire("a", TTL, NOW, over=renewed) is None
        assert store.lease() == new

    def test_of_many_that_saw_the_same_lease_one_takes_it(self, store: StateStore) -> None:
        seen = taken(store, "dead")
        barrier = Barrier(8)

        def take(number: int) -> Lease | None:
            barrier.wait()
            return store.acquire(f"holder-{number}", TTL, NOW, over=seen)

        with ThreadPoolExecutor(8) as pool:
            found = [lease for lease in pool.map(take, range(8)) if lease is not None]
        assert found == [store.lease()]

    def test_who_gives_the_name_of_the_holder_fences_off_what_it_was(self, store: StateStore) -> None:
        first = taken(store, "a")
        second = store.acquire("a", TTL, NOW)
        assert second is not None
        assert second.token > first.token
        assert store.renew(first, NOW) is None

    def test_a_lease_that_was_given_back_is_not_renewed(self, store: StateStore) -> None:
        lease = taken(store)
        store.release(lease)
        assert store.renew(lease, NOW) is None
        assert store.lease() is None
        assert store.acquire("b", TTL, NOW, over=lease) is not None

    def test_the_old_leader_can_write_nothing(self, store: StateStore) -> None:
        old = taken(store, "a")
        saved = store.save(record(VIEW, step=1), old.token)
        store.append_events([event(1)], old.token)
        taken(store, "b")
        for write in _writes(store, saved, old.token):
            with pytest.raises(ConflictError):
                write()
        assert list(store.records()) == [saved]
        assert len(store.events()) == 1
        assert list(store.revisions()) == []
        assert store.acquire("a", TTL, NOW) is None

    def test_without_a_lease_nothing_is_written(self, store: StateStore) -> None:
        for write in _writes(store, record(VIEW), 1):
            with pytest.raises(ConflictError):
                write()
        lease = taken(store)
        store.release(lease)
        for write in _writes(store, record(VIEW), lease.token):
            with pytest.raises(ConflictError):
                write()
        assert (list(store.records()), list(store.events()), list(store.revisions())) == ([], [], [])

    def test_no_token_is_given_twice(self, store: StateStore) -> None:
        tokens = []
        for holder in ("a", "a", "b", "a"):
            lease = taken(store, holder)
            tokens.append(lease.token)
            store.release(lease)
            assert store.lease() is None
        assert tokens == sorted(set(tokens))

    def test_a_stale_release_does_not_take_the_lease_from_its_new_holder(self, store: StateStore) -> None:
        old = taken(store, "a")
        new = taken(store, "b")
        store.release(old)
        assert store.lease() == new
        assert store.save(record(VIEW), new.token).version == 1

    def test_the_last_heartbeat_of_who_leads_is_kept(self, store: StateStore) -> None:
        assert store.heartbeat() is None
        with pytest.raises(ConflictError):
            store.beat(heartbeat(0), 1)
        old = taken(store, "a")
        store.beat(heartbeat(1), old.token)
        last = heartbeat(2, cluster=Outage(since=NOW, message="gone, ä"), process={"pid": 7, "host": None})
        store.beat(last, old.token)
        assert store.heartbeat() == last
        new = taken(store, "b", NOW + timedelta(seconds=TTL))
        with pytest.raises(ConflictError):
            store.beat(heartbeat(3), old.token)
        assert store.heartbeat() == last, "it stands until the new leader says something"
        store.beat(heartbeat(4), new.token)
        store.release(new)
        with pytest.raises(ConflictError):
            store.beat(heartbeat(5), new.token)
        assert store.heartbeat() == heartbeat(4)
        assert (list(store.words()), list(store.events())) == ([], [])


def _writes(store: StateStore, known: Record, token: int) -> list[Callable[[], Any]]:
    """Every changing verb, each with a value that would be accepted from the leader."""
    return [
        lambda: store.save(known, token),
        lambda: store.delete(known, token),
        lambda: store.append_events([event(9)], token),
        lambda: store.save_revision(revision(9), token),
    ]
