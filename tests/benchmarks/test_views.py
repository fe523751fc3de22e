from __future__ import annotations

from pathlib import Path

from benchmarks import views
from framework.backends.delta.tables import DeltaTables


def test_what_is_measured_is_done(tmp_path: Path) -> None:
    views.write(tmp_path, 2_000)
    views.ours(tmp_path, 2_000)
    views.begin(tmp_path, 2_000)
    views.more(tmp_path, 2_000)
    whole = DeltaTables().describe(str(tmp_path / "table-source-2000-False"))
    grown = DeltaTables().describe(str(tmp_path / "table-grows-True"))
    assert whole is not None
    assert grown is not None
    assert (whole.rows, grown.rows, grown.version) == (2_000, 2_020, 1)
