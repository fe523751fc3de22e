from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from framework.backends.git.mirror import GitMirror
from framework.backends.git.remote import parse_remote
from framework.backends.git.source import GitSource
from framework.backends.git.writer import NOBODY, GitWriter, LocalBranches, RemoteBranches
from framework.backends.memory import MemorySource
from tests.builders import NOW
from tests.contract.repositories import Repository
from tests.contract.suites.writer import Files, WriterContract, WriterWorld


class TestMemoryWriter(WriterContract):
    @pytest.fixture
    def world(self) -> WriterWorld:
        source = MemorySource()

        def head(branch: str) -> str | None:
            return source.resolve(branch) if source.has(branch) else None

        return WriterWorld(source, source.commit, head, source.files, source.parent)


class TestLocalWriter(WriterContract):
    """A bare repository, or one where ``main`` is not checked out."""

    @pytest.fixture(params=[True, False])
    def world(self, tmp_path: Path, request: pytest.FixtureRequest) -> WriterWorld:
        repository = Repository(tmp_path / "repository", bare=request.param)
        source = GitSource(repository.folder)
        return real(repository, GitWriter(source, LocalBranches(source), lambda: NOBODY, lambda: NOW))


class TestWriterInAFolder(WriterContract):
    """The project is a folder of a larger repository, whose rest stays as it is."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> WriterWorld:
        repository = Repository(tmp_path, bare=True)
        source = GitSource(tmp_path, folder="teams/flights")
        writer = GitWriter(source, LocalBranches(source), lambda: NOBODY, lambda: NOW)
        return real(repository, writer, "teams/flights/")


@pytest.mark.slow
class TestRemoteWriter(WriterContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> WriterWorld:
        repository = Repository(tmp_path / "upstream", bare=True)
        mirror = GitMirror(tmp_path / "mirror.git", parse_remote(repository.folder.as_uri()), "main")
        return real(repository, GitWriter(mirror, RemoteBranches(mirror), lambda: NOBODY, lambda: NOW), refresh=mirror)


def real(repository: Repository, writer: GitWriter, prefix: str = "", refresh: GitMirror | None = None) -> WriterWorld:
    around: Files = {"top.txt": "stays\n"} if prefix else {}

    def commit(files: Files) -> str:
        made = repository.commit({**around, **{prefix + path: content for path, content in files.items()}})
        if refresh is not None:
            refresh.refresh()
        return made

    def files(commit: str) -> Files:
        found = repository.files(commit)
        assert {path: text for path, text in found.items() if not path.startswith(prefix)} == around
        return {path.removeprefix(prefix): text for path, text in found.items() if path.startswith(prefix)}

    head: Callable[[str], str | None] = repository.head
    return WriterWorld(writer, commit, head, files, repository.parent, remote=refresh is not None)
