from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from framework import storage
from framework.api.errors import ConfigurationError, TransientError
from framework.backends.memory import MemoryReports
from framework.backends.storage.files import FileReports
from tests.contract.suites.reports import ReportStoreContract, ReportWorld


def _page(uri: str) -> str | None:
    data = storage.read_bytes(uri)
    return None if data is None else data.decode()


class TestMemoryReports(ReportStoreContract):
    @pytest.fixture
    def world(self) -> ReportWorld:
        reports = MemoryReports()
        return ReportWorld(reports, "memory://store", reports.pages.get)


class TestFileReports(ReportStoreContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> ReportWorld:
        return ReportWorld(FileReports(), str(tmp_path), _page)

    def test_what_cannot_be_written_now_is_transient(self, world: ReportWorld, tmp_path: Path) -> None:
        (tmp_path / "reports").write_text("a file where a folder should be")
        with pytest.raises(TransientError, match="could not be written"):
            world.reports.write(f"{world.root}/reports/one/index.html", "page")

    def test_an_unknown_kind_of_storage_is_a_configuration_error(self, world: ReportWorld) -> None:
        with pytest.raises(ConfigurationError, match="nosuch"):
            world.reports.write("nosuch://bucket/index.html", "page")


class TestUrlReports(ReportStoreContract):
    """Any fsspec URL."""

    @pytest.fixture
    def world(self) -> ReportWorld:
        return ReportWorld(FileReports(), f"memory://{uuid.uuid4().hex}", _page)
