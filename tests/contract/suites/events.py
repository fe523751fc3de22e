"""What every StateStore promises of the log of what happened."""

from __future__ import annotations

from datetime import timedelta, timezone

from framework.ports import StateStore
from tests.contract.suites.state import ENDPOINT, JOB, VIEW, event, numbers, taken


class EventLogContract:
    """Subclass it and provide a fixture ``store``: an empty environment whose lease nobody has taken yet."""

    def test_events_are_numbered_and_come_oldest_first(self, store: StateStore) -> None:
        token = taken(store).token
        store.append_events([event(1), event(2)], token)
        store.append_events([], token)
        store.append_events([event(3)], token)
        found = store.events()
        assert list(found) == [event(number).model_copy(update={"sequence": number}) for number in (1, 2, 3)]

    def test_events_of_one_resource_and_the_newest_of_many(self, store: StateStore) -> None:
        token = taken(store).token
        store.append_events([event(1, VIEW), event(2, JOB), event(3, None), event(4, VIEW), event(5, JOB)], token)
        assert numbers(store.events(VIEW)) == [1, 4]
        assert numbers(store.events(limit=2)) == [4, 5]
        assert numbers(store.events(JOB, limit=1)) == [5]
        assert numbers(store.events(limit=0)) == []
        assert numbers(store.events(ENDPOINT)) == []

    def test_events_are_asked_for_by_kind_reason_and_time(self, store: StateStore) -> None:
        token = taken(store).token
        told = [event(1, VIEW), event(2, JOB), event(3, None), event(4, VIEW), event(5, None)]
        told[3] = told[3].model_copy(update={"reason": "Published"})
        store.append_events(told, token)
        assert numbers(store.events(kinds=("FeatureView",))) == [1, 4]
        assert numbers(store.events(kinds=("",))) == [3, 5]
        assert numbers(store.events(kinds=("", "TrainingJob"), limit=2)) == [3, 5]
        assert numbers(store.events(reasons=("Published", "Nothing"))) == [4]
        assert numbers(store.events(VIEW, reasons=("Trained",))) == [1]
        assert numbers(store.events(since=event(4).time)) == [4, 5]
        offset = timezone(timedelta(hours=2))
        assert numbers(store.events(since=event(4).time.astimezone(offset), kinds=("",))) == [5]

    def test_the_whole_log_is_read_page_by_page(self, store: StateStore) -> None:
        token = taken(store).token
        store.append_events([event(number, VIEW if number % 3 else None) for number in range(1, 11)], token)
        pages, after = [], 0
        while page := store.log(after, 4):
            pages.append(numbers(page))
            after = page[-1].sequence
        assert pages == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
        assert numbers(store.log(2, 2, kinds=("FeatureView",))) == [4, 5]
        assert numbers(store.log(kinds=("",))) == [3, 6, 9]
        assert list(store.log(10)) == []

    def test_the_log_of_what_happened_verifies(self, store: StateStore) -> None:
        token = taken(store).token
        for number in range(1, 6):
            store.append_events([event(number), event(number, None)], token)
        assert store.verify_events() == ()

    def test_the_seal_counts_what_was_logged_and_names_the_last(self, store: StateStore) -> None:
        empty = store.seal()
        assert (empty.events, empty.first, empty.last, len(empty.head)) == (0, None, None, 64)
        token = taken(store).token
        store.append_events([event(1), event(2)], token)
        two = store.seal()
        assert (two.events, two.first, two.last) == (2, event(1).time, event(2).time)
        store.append_events([event(3)], token)
        three = store.seal()
        assert (three.events, three.first, three.last) == (3, event(1).time, event(3).time)
        assert len({empty.head, two.head, three.head}) == 3
        assert store.seal() == three
