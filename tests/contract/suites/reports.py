"""What every ReportStore promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from framework.ports import ReportStore


@dataclass(frozen=True)
class ReportWorld:
    """``read`` gives the page at a URI below ``root``, None where nothing is."""

    reports: ReportStore
    root: str
    read: Callable[[str], str | None]


class ReportStoreContract:
    """Subclass it and provide a fixture ``world``."""

    def test_a_report_is_written_and_replaced(self, world: ReportWorld) -> None:
        uri = f"{world.root}/reports/delay-monitor/index.html"
        assert world.read(uri) is None
        for page in ("<p>a first one, ä and longer</p>", "<p>ü</p>"):
            world.reports.write(uri, page)
            assert world.read(uri) == page

    def test_reports_do_not_mix(self, world: ReportWorld) -> None:
        for name in ("one", "two"):
            world.reports.write(f"{world.root}/reports/{name}/index.html", name)
        assert world.read(f"{world.root}/reports/one/index.html") == "one"
        assert world.read(f"{world.root}/reports/two/index.html") == "two"
