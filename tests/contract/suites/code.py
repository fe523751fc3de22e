"""What every CodeStore promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from framework.ports import CodeRef, CodeStore, SpecSource
from tests.contract.suites.source import unpacked

FILES = {"project/__init__.py": "", "project/shape.py": "VALUE = 1\n", "specs/a.yaml": "a"}


@dataclass(frozen=True)
class CodeWorld:
    """A store over ``source``. ``open`` gives it as a fresh process has it; ``published`` are all archives by URI."""

    source: SpecSource
    open: Callable[[], CodeStore]
    commit: Callable[[Mapping[str, str]], str]
    published: Callable[[], Mapping[str, bytes]]

    def ref(self, commit: str) -> CodeRef:
        digest = self.source.tree_digest(commit, "project")
        assert digest is not None
        return CodeRef(commit, "project", digest)


class CodeStoreContract:
    """Subclass it and provide a fixture ``world``."""

    def test_the_archive_holds_the_code(self, world: CodeWorld) -> None:
        code = world.ref(world.commit(FILES))
        uri = world.open().ensure(code)
        assert uri.endswith(f"{code.digest}.zip")
        assert unpacked(world.published()[uri]) == {name: FILES[name] for name in FILES if name.startswith("project/")}

    def test_equal_code_is_published_once(self, world: CodeWorld) -> None:
        store = world.open()
        first = world.commit(FILES)
        uri = store.ensure(world.ref(first))
        before = world.published()
        second = world.commit({**FILES, "specs/a.yaml": "changed"})
        assert second != first
        assert store.ensure(world.ref(second)) == world.open().ensure(world.ref(second)) == uri
        assert world.published() == before
        assert list(before) == [uri]

    def test_other_code_lies_elsewhere(self, world: CodeWorld) -> None:
        store = world.open()
        old = store.ensure(world.ref(world.commit(FILES)))
        new = store.ensure(world.ref(world.commit({**FILES, "project/shape.py": "VALUE = 2\n"})))
        published = world.published()
        assert set(published) == {old, new}
        assert unpacked(published[old])["project/shape.py"] == "VALUE = 1\n"
        assert unpacked(published[new])["project/shape.py"] == "VALUE = 2\n"
