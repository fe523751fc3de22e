"""What every SpecSource promises: one that shows a single state, and one that also keeps what was."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import pytest

from framework.api.errors import ConfigurationError, SpecError, TerminalError
from framework.backends.memory import SymbolicLink
from framework.ports import SYMLINK, Blob, DataSource, Repository, SpecSource

Files = Mapping[str, str | SymbolicLink]

CODE: Files = {"code/one.txt": "one\n", "code/sub/two.txt": "two\n"}
ONE = "5626abf0f72e58d7a153368ba57db4c673c0e171"
CODE_TREE = "ec556a4111a1861f8d0f3fe0a07352d6130c1f37"
ROOT_TREE = "c937cfba62d7e1e385fe3705840cbbb2e2810a94"
"""What git 2.39 calls them."""


@dataclass(frozen=True)
class SourceWorld:
    """``commit`` makes ``files`` all there is, and gives the name of that state."""

    source: SpecSource
    commit: Callable[[Files], str]

    def contents(self, commit: str, folder: str) -> dict[str, str]:
        blobs = self.source.blobs(commit, folder)
        data = self.source.read(blobs)
        return {blob.path: data[blob.sha].decode() for blob in blobs}


def unpacked(data: bytes) -> dict[str, str]:
    """Path -> text of an archive's files."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {item.filename: file.read(item).decode() for item in file.infolist() if not item.is_dir()}


class SpecSourceContract:
    """Subclass it and provide a fixture ``world``."""

    def test_the_files_below_a_folder_come_sorted_with_their_bytes(self, world: SourceWorld) -> None:
        files = {
            "specs/b.yaml": "b: ä\n",
            "specs/a/z.yaml": "z",
            "specs/a.yaml": "",
            "specsmore/no.yaml": "n",
            "top": "",
        }
        commit = world.commit(files)
        blobs = world.source.blobs(commit, "specs")
        assert [blob.path for blob in blobs] == ["specs/a.yaml", "specs/a/z.yaml", "specs/b.yaml"]
        assert world.contents(commit, "specs") == {name: files[name] for name in sorted(files) if "specs/" in name}
        assert world.contents(commit, "specs/a.yaml") == {"specs/a.yaml": ""}
        assert list(world.source.blobs(commit, "nowhere")) == []
        assert set(world.contents(commit, "")) == set(files)

    def test_nothing_to_read_is_nothing_read(self, world: SourceWorld) -> None:
        world.commit(CODE)
        assert dict(world.source.read([])) == {}

    def test_digests_are_gits_own(self, world: SourceWorld) -> None:
        commit = world.commit(CODE)
        assert world.source.tree_digest(commit, "code/one.txt") == ONE
        assert world.source.tree_digest(commit, "code") == CODE_TREE
        assert world.source.tree_digest(commit, "") == ROOT_TREE
        assert world.source.tree_digest(commit, "nowhere") is None
        assert world.source.tree_digest(commit, "code/nowhere") is None

    def test_a_folders_digest_changes_with_its_content_only(self, world: SourceWorld) -> None:
        def digest(files: Files) -> str | None:
            return world.source.tree_digest(world.commit(files), "code")

        before = digest(CODE)
        assert digest({**CODE, "specs/a.yaml": "other"}) == before
        changes = (
            {"code/one.txt": "1\n"},
            {"code/three.txt": ""},
            {"code/sub/two.txt": "2"},
        )
        digests = [digest({**CODE, **change}) for change in changes]
        digests.append(digest({"code/one.txt": "one\n", "code/two.txt": "two\n"}))
        assert len({before, *digests}) == 5
        assert digest(CODE) == before

    def test_an_archive_holds_the_folder_and_equal_trees_give_equal_bytes(self, world: SourceWorld) -> None:
        files = {"package/__init__.py": "", "package/part/__init__.py": "x = 1\n", "package/other.py": "y = 2\n"}
        first = world.source.archive(world.commit(files), "package/part")
        assert unpacked(first) == {name: files[name] for name in ("package/__init__.py", "package/part/__init__.py")}
        second = world.source.archive(world.commit({**files, "package/other.py": "y = 3\n"}), "package/part")
        assert second == first
        third = world.source.archive(world.commit({**files, "package/part/new.py": ""}), "package/part")
        assert third != first

    def test_symbolic_links_are_refused(self, world: SourceWorld) -> None:
        commit = world.commit(
            {"specs/a.yaml": "", "specs/out.yaml": SymbolicLink("/etc/passwd"), "code/one.txt": "one\n"}
        )
        with pytest.raises(SpecError, match=r"specs/out\.yaml.*symbolic link"):
            world.source.blobs(commit, "specs")
        with pytest.raises(SpecError, match=r"specs/out\.yaml"):
            world.source.archive(commit, "specs")
        assert world.source.tree_digest(commit, "specs/out.yaml") is None
        assert world.contents(commit, "code") == {"code/one.txt": "one\n"}

    @pytest.mark.parametrize("path", ["/etc", "../outside", "code/../../outside", "code\0"])
    def test_paths_stay_inside(self, world: SourceWorld, path: str) -> None:
        commit = world.commit(CODE)
        for read in (world.source.blobs, world.source.tree_digest, world.source.archive):
            with pytest.raises(ConfigurationError):
                read(commit, path)


class CommittedSourceContract(SpecSourceContract):
    """For sources with a history; the branch is called ``main``."""

    def test_names_resolve_to_commits(self, world: SourceWorld) -> None:
        first = world.commit(CODE)
        assert world.source.resolve("main") == first
        second = world.commit({**CODE, "more.txt": ""})
        assert world.source.resolve("main") == second != first
        assert world.source.resolve(first) == first

    @pytest.mark.parametrize("name", ["nowhere", "0" * 40, "", "-", "--output=x", "main; ls"])
    def test_unknown_and_unsafe_names_are_refused(self, world: SourceWorld, name: str) -> None:
        world.commit(CODE)
        with pytest.raises(ConfigurationError):
            world.source.resolve(name)

    def test_all_that_a_commit_holds_is_listed_links_included(self, world: SourceWorld) -> None:
        source = cast(DataSource, world.source)
        commit = world.commit({"b/ä x.csv": "x\n", "b-c": "", "b/link": SymbolicLink("ä x.csv"), "a": "1"})
        listed = source.listing(commit)
        assert [(item.path, item.mode) for item in listed if item.path != "top.txt"] == [
            ("a", "100644"), ("b-c", "100644"), ("b/link", SYMLINK), ("b/ä x.csv", "100644"),
        ]  # fmt: skip
        shas = {item.path: item.sha for item in listed}
        assert source.read([Blob("b/link", shas["b/link"])])[shas["b/link"]].decode() == "ä x.csv"
        sizes = source.sizes(shas.values())
        assert {path: sizes[sha] for path, sha in shas.items()} | {"top.txt": 0} == {
            "a": 1, "b-c": 0, "b/link": 8, "b/ä x.csv": 2, "top.txt": 0,
        }  # fmt: skip
        assert source.sizes([]) == {}

    @pytest.mark.parametrize("text", ["", "x\n", "0123456789" * 100_000])
    def test_a_file_is_copied_whole_however_large_it_is(self, world: SourceWorld, text: str) -> None:
        source, commit, into = cast(DataSource, world.source), world.commit({"data.csv": text}), io.BytesIO()
        (sha,) = [item.sha for item in source.listing(commit) if item.path == "data.csv"]
        source.copy(sha, into)
        assert into.getvalue().decode() == text

    def test_an_old_commit_reads_as_it_was(self, world: SourceWorld) -> None:
        first = world.commit({"specs/a.yaml": "one", "specs/gone.yaml": "here"})
        digest, archived = world.source.tree_digest(first, "specs"), world.source.archive(first, "specs")
        second = world.commit({"specs/a.yaml": "two"})
        assert world.contents(first, "specs") == {"specs/a.yaml": "one", "specs/gone.yaml": "here"}
        assert world.contents(second, "specs") == {"specs/a.yaml": "two"}
        assert world.source.tree_digest(first, "specs") == digest != world.source.tree_digest(second, "specs")
        assert world.source.archive(first, "specs") == archived

    def test_equal_bytes_have_equal_names(self, world: SourceWorld) -> None:
        first = world.source.blobs(world.commit({"a.yaml": "same", "b.yaml": "same", "c.yaml": "other"}), "")
        second = world.source.blobs(world.commit({"d.yaml": "same"}), "")
        a, b, c = (blob.sha for blob in first)
        assert a == b == second[0].sha != c

    def test_a_folder_that_is_not_there_cannot_be_archived(self, world: SourceWorld) -> None:
        commit = world.commit(CODE)
        for path in ("nowhere", "code/one.txt"):
            with pytest.raises(TerminalError, match="has no folder") as raised:
                world.source.archive(commit, path)
            assert raised.value.reason == "CodeMissing"


@dataclass(frozen=True)
class RepositoryWorld:
    """``commit`` makes ``files`` all there is on ``main``, at the place that ``source`` follows."""

    source: Repository
    commit: Callable[..., str]
    force: Callable[[str], None]
    """Moves ``main`` as a forced push would."""


class RepositoryContract:
    """What a controller asks of the repository it follows. Subclass it and provide a fixture ``repository``."""

    def test_what_is_new_is_seen_after_a_refresh(self, repository: RepositoryWorld) -> None:
        first = repository.commit({"a.yaml": "1"})
        repository.source.refresh()
        assert repository.source.resolve("main") == first
        second = repository.commit({"a.yaml": "2"})
        repository.source.refresh()
        repository.source.refresh()
        assert repository.source.resolve("main") == second

    def test_a_commit_says_what_it_is(self, repository: RepositoryWorld) -> None:
        commit = repository.commit({"a.yaml": "1"}, "Raise the bar\n\nBecause of ä.\n")
        repository.source.refresh()
        info = repository.source.info(commit)
        assert (info.sha, info.subject) == (commit, "Raise the bar")
        assert info.time.tzinfo is not None
        assert info.author

    def test_a_commit_descends_from_itself_and_from_what_came_before(self, repository: RepositoryWorld) -> None:
        first, second, third = (repository.commit({"a.yaml": text}) for text in "123")
        repository.source.refresh()
        assert repository.source.descends(third, third)
        assert repository.source.descends(third, first)
        assert repository.source.descends(second, first)
        assert not repository.source.descends(first, second)
        assert not repository.source.descends(third, "1" * 40)

    def test_a_forced_push_does_not_descend(self, repository: RepositoryWorld) -> None:
        first, second = (repository.commit({"a.yaml": text}) for text in "12")
        repository.source.refresh()
        repository.force(first)
        other = repository.commit({"a.yaml": "other"})
        repository.source.refresh()
        assert repository.source.resolve("main") == other
        assert not repository.source.descends(other, second)
        assert repository.source.descends(other, first)

    def test_nobody_signed_an_unsigned_commit(self, repository: RepositoryWorld) -> None:
        commit = repository.commit({"a.yaml": "1"})
        repository.source.refresh()
        found = repository.source.signature(commit)
        assert (found.trusted, found.signer, found.problem) == (False, "", "is not signed")

    def test_a_commit_that_nobody_has_is_refused(self, repository: RepositoryWorld) -> None:
        commit = repository.commit({"a.yaml": "1"})
        repository.source.refresh()
        for ask in (repository.source.info, repository.source.signature):
            with pytest.raises(ConfigurationError, match="1111111"):
                ask("1" * 40)
        with pytest.raises(ConfigurationError, match="1111111"):
            repository.source.descends("1" * 40, commit)
