"""What holds of every online store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from framework.api.errors import TransientError
from framework.online.store import Batch, OnlineStore
from framework.ports import OnlinePlace, OnlineVersion

VIEW, OTHER = "carrier-delays", "weather"
FIRST = OnlineVersion(
    uri="store/features/carrier-delays/a1",
    version=1,
    entities=("carrier",),
    timestamp="hour",
    columns=(("carrier", "String"), ("hour", "Datetime"), ("delay", "Float64")),
    ttl=3600.0,
)
SECOND, THIRD = FIRST.model_copy(update={"version": 2}), FIRST.model_copy(update={"version": 3})
A, B, C, ODD = b"\x00\x01a", b"b", b"c", b"\xff\x00:\x0a"


def at(moment: int, text: bytes = b"") -> bytes:
    """A value that holds from ``moment`` on, so far in the future that no store ends it."""
    return (2**63 + 10**16 + moment).to_bytes(8, "big") + text


class BrokenOffError(Exception):
    pass


def broken() -> Iterator[Batch]:
    yield [(A, at(9, b"half"))]
    raise BrokenOffError


class OnlineStoreContract:
    """Subclass it and give ``store`` as a fixture; ``open_again`` opens what is kept at the same place."""

    @pytest.fixture
    def open_again(self, store: OnlineStore) -> Callable[[], OnlineStore]:
        return lambda: store

    def test_of_a_view_that_was_never_written_there_is_nothing(self, store: OnlineStore) -> None:
        assert store.describe(VIEW) is None
        assert store.read({VIEW: [A]}) == {VIEW: None}
        store.drop(VIEW)

    def test_what_was_written_is_described_and_found_by_whoever_opens_it(
        self, store: OnlineStore, open_again: Callable[[], OnlineStore]
    ) -> None:
        written = store.write(VIEW, FIRST, [[(A, at(1, b"x")), (ODD, at(2))], [], [(B, at(3, b"\x00"))]])

        for reader in (store, open_again()):
            assert reader.describe(VIEW) == written
            found = reader.read({VIEW: [B, C, ODD, A, A]})[VIEW]
            assert found is not None
            assert found.version == written
            assert list(found.values) == [at(3, b"\x00"), None, at(2), at(1, b"x"), at(1, b"x")]
        assert written.same(FIRST)
        assert (written.rows, written.written is None) == (3, False)

    def test_several_views_are_read_together(self, store: OnlineStore) -> None:
        store.write(VIEW, FIRST, [[(A, at(1, b"of the one"))]])
        store.write(OTHER, SECOND, [[(A, at(1, b"of the other"))]])

        found = store.read({VIEW: [A], "never": [A], OTHER: [A, B], "empty": []})

        assert {view: one and list(one.values) for view, one in found.items()} == {
            VIEW: [at(1, b"of the one")], "never": None, OTHER: [at(1, b"of the other"), None], "empty": None,
        }  # fmt: skip

    def test_no_key_is_too_much_and_none_is_none(self, store: OnlineStore) -> None:
        keys = [number.to_bytes(4, "big") for number in range(25_000)]
        store.write(VIEW, FIRST, [[(key, at(1, key)) for key in keys[place : place + 10_000]] for place in (0, 10_000)])

        found = store.read({VIEW: keys})[VIEW]

        assert found is not None
        assert list(found.values) == [*(at(1, key) for key in keys[:20_000]), *[None] * 5_000]
        assert (nothing := store.read({VIEW: []})[VIEW]) is not None
        assert list(nothing.values) == []

    def test_a_new_version_takes_the_place_of_the_old_one_whole(self, store: OnlineStore) -> None:
        store.write(VIEW, FIRST, [[(A, at(5, b"old")), (B, at(5, b"old"))]])
        seen: list[Batch | list[bytes | None]] = []

        def batches() -> Iterator[Batch]:
            for key in (A, C):
                yield [(key, at(1, b"new"))]
                found = store.read({VIEW: [A, B, C]})[VIEW]
                seen.append(list(found.values) if found else [])

        written = store.write(VIEW, SECOND, batches())

        assert seen == [[at(5, b"old"), at(5, b"old"), None]] * 2, "while it is written"
        found = store.read({VIEW: [A, B, C]})[VIEW]
        assert found is not None
        assert found.version == written == store.describe(VIEW)
        assert list(found.values) == [at(1, b"new"), None, at(1, b"new")]

    def test_a_write_that_breaks_off_leaves_what_was_there(self, store: OnlineStore) -> None:
        with pytest.raises(BrokenOffError):
            store.write(VIEW, FIRST, broken())
        assert store.describe(VIEW) is None

        written = store.write(VIEW, FIRST, [[(A, at(1))]])
        for onto in (None, written):
            with pytest.raises(BrokenOffError):
                store.write(VIEW, SECOND, broken(), onto)
            assert store.describe(VIEW) == written
            found = store.read({VIEW: [A]})[VIEW]
            assert found is not None
            assert list(found.values) == [at(1)]
        assert store.write(VIEW, SECOND, [[(B, at(1))]]).rows == 1

    def test_what_differs_is_added_and_of_one_key_the_newest_wins(self, store: OnlineStore) -> None:
        before = store.write(VIEW, FIRST, [[(A, at(5, b"a")), (B, at(300, b"b")), (C, at(5, b"c"))]])

        after = store.write(VIEW, SECOND, [[(A, at(256, b"late")), (B, at(299, b"too old")), (ODD, at(1))]], before)
        again = store.write(VIEW, THIRD, [[(C, at(5, b"corrected"))]], after)

        found = store.read({VIEW: [A, B, C, ODD]})[VIEW]
        assert found is not None
        assert list(found.values) == [at(256, b"late"), at(300, b"b"), at(5, b"corrected"), at(1)]
        assert (after.rows, again.rows) == (4, 4)
        assert again.same(THIRD)
        assert store.describe(VIEW) == again

    def test_nothing_is_added_to_what_is_not_there_any_more(self, store: OnlineStore) -> None:
        first = store.write(VIEW, FIRST, [[(A, at(1, b"1"))]])
        second = store.write(VIEW, SECOND, [[(A, at(1, b"2"))]])

        with pytest.raises(TransientError, match="another write"):
            store.write(VIEW, THIRD, [[(A, at(2, b"3"))]], first)

        assert store.describe(VIEW) == second

    def test_what_is_dropped_is_gone_and_no_other(self, store: OnlineStore) -> None:
        store.write(VIEW, FIRST, [[(A, at(1))]])
        kept = store.write(OTHER, FIRST, [[(A, at(1))]])

        store.drop(VIEW)

        assert store.describe(VIEW) is None
        assert store.read({VIEW: [A]}) == {VIEW: None}
        assert store.describe(OTHER) == kept
        store.write(VIEW, SECOND, [[(B, at(1))]])
        found = store.read({VIEW: [A, B]})[VIEW]
        assert found is not None
        assert list(found.values) == [None, at(1)]

    def test_a_version_without_rows_is_one(self, store: OnlineStore) -> None:
        written = store.write(VIEW, FIRST, [])

        assert store.describe(VIEW) == written
        found = store.read({VIEW: [A]})[VIEW]
        assert found is not None
        assert (written.rows, list(found.values)) == (0, [None])
        more = store.write(VIEW, SECOND, [[(A, at(1))]], written)
        assert more.rows == 1

    def test_views_have_names_of_all_kinds(self, store: OnlineStore) -> None:
        for view in ("ä view: 'x'", "now", "rows", "%*?"):
            store.write(view, FIRST, [[(A, at(1, view.encode()))]])

        for view in ("ä view: 'x'", "now", "rows", "%*?"):
            found = store.read({view: [A]})[view]
            assert found is not None
            assert list(found.values) == [at(1, view.encode())]

    def test_a_write_that_another_one_overtook_is_not_switched_to(self, store: OnlineStore) -> None:
        def overtaken() -> Iterator[Batch]:
            yield [(A, at(1, b"slow"))]
            store.write(VIEW, SECOND, [[(A, at(1, b"quick"))]])

        with pytest.raises(TransientError, match="came between"):
            store.write(VIEW, FIRST, overtaken())
        assert (held := store.describe(VIEW)) is not None
        assert held.same(SECOND)

    def test_readers_of_many_threads_see_whole_versions(self, store: OnlineStore) -> None:
        """They go on while versions follow each other."""
        keys = [bytes([number]) for number in range(50)]
        done = threading.Event()

        def rows(version: int) -> list[Batch]:
            return [[(key, at(version, bytes([version])))] for key in keys]

        def read() -> tuple[int, list[object]]:
            """How often it was read, and what was no whole version."""
            times, mixed = 0, []
            while not done.is_set() or not times:
                found = store.read({VIEW: keys})[VIEW]
                assert found is not None
                times += 1
                if list(found.values) != [at(found.version.version, bytes([found.version.version]))] * len(keys):
                    mixed.append(found)
            return times, mixed

        def numbered(version: int) -> OnlineVersion:
            return FIRST.model_copy(update={"version": version})

        store.write(VIEW, numbered(1), rows(1))
        before = None
        with ThreadPoolExecutor(3) as pool:
            readers = [pool.submit(read) for _ in range(3)]
            try:
                for version in range(2, 12):
                    before = store.write(VIEW, numbered(version), rows(version), before if version % 2 else None)
            finally:
                done.set()
            found = [reader.result(10) for reader in readers]
        assert all(times for times, _ in found)
        assert [mixed for _, mixed in found] == [[], [], []]


def place_at(store: str, space: str = "local") -> OnlinePlace:
    return OnlinePlace(store=store, space=space)
