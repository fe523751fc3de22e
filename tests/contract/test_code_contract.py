from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from framework.api.errors import ConfigurationError
from framework.backends.git.source import GitSource
from framework.backends.memory import MemoryCode, MemorySource
from framework.backends.storage.code import CodeArchive
from framework.ports import CodeRef
from framework.storage import list_files, read_bytes
from tests.contract.repositories import Repository
from tests.contract.suites.code import CodeStoreContract, CodeWorld


class TestMemoryCode(CodeStoreContract):
    @pytest.fixture
    def world(self) -> CodeWorld:
        source = MemorySource()
        code = MemoryCode(source)
        return CodeWorld(source, lambda: code, source.commit, lambda: dict(code.published))


class TestCodeArchive(CodeStoreContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> CodeWorld:
        repository, store = Repository(tmp_path / "project"), str(tmp_path / "store")
        source = GitSource(repository.folder)

        def published() -> Mapping[str, bytes]:
            return {uri: read_bytes(uri) or b"" for uri in list_files(f"{store}/code")}

        return CodeWorld(source, lambda: CodeArchive(source, store), repository.commit, published)

    @pytest.mark.parametrize("digest", ["", "../../outside", "A" * 40])
    def test_what_does_not_name_code_is_refused(self, world: CodeWorld, digest: str) -> None:
        commit = world.commit({"project/__init__.py": ""})
        with pytest.raises(ConfigurationError, match="does not name code"):
            world.open().ensure(CodeRef(commit, "project", digest))
        assert world.published() == {}
