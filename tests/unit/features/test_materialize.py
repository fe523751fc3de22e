"""A version is published whole or not at all, and the catalog reads what the workload wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from framework import checked
from framework.api.errors import TerminalError
from framework.backends.delta.tables import DeltaTables
from framework.ports import FailureKind, ReadTable
from framework.workloads.context import RunContext, WorkloadError
from framework.workloads.features import delta, materialize, staging
from tests.lying import data, digest
from tests.unit.features.test_transform import spec

CATALOG = DeltaTables()


def context(root: Path, name: str = "features-delays-1", form: dict | None = None, **payload: Any) -> RunContext:
    made = form or spec()
    held = data(made["sources"], root)
    return RunContext(
        name=name,
        attempt=1,
        payload={
            "view": "delays",
            "identity": "1111111111",
            "table": str(root / "store" / "features" / "delays" / "1111111111"),
            "root": str(root),
            "spec": made,
            "source_digest": held.digest,
            "files": {name: [file.model_dump() for file in files] for name, files in held.files.items()},
            "commit": "c0ffee",
            "upstream": {},
            **payload,
        },
        storage=str(root / "store"),
        folder=str(root / "store" / "runs" / name),
        metadata={},
        progress=lambda done, message: None,
    )


def flights(root: Path, delays: list[int]) -> None:
    path = root / "flights.parquet"
    pl.DataFrame({"carrier": ["AA"] * len(delays), "delay": delays}).with_row_index("minute").select(
        "carrier", (pl.datetime(2013, 1, 1) + pl.duration(minutes="minute")).alias("at"), "delay"
    ).write_parquet(path)


def test_what_is_published_is_what_the_catalog_describes(tmp_path: Path) -> None:
    flights(tmp_path, [1, 2, 3])
    result = materialize.run(context(tmp_path))
    found = CATALOG.describe(result["uri"])
    assert found is not None
    assert (found.version, found.rows, found.identity, found.commit) == (0, 3, "1111111111", "c0ffee")
    assert found.source_digest == result["source_digest"] != ""
    assert found.columns == (("carrier", "String"), ("at", "Datetime"), ("delay", "Float64"))
    assert Path(result["profile"]).stat().st_size > 0
    rows = delta.read(result["uri"], 0, found.columns).collect()
    assert rows["delay"].to_list() == [1.0, 2.0, 3.0]


def test_the_newest_event_time_that_counts_is_on_record(tmp_path: Path) -> None:
    flights(tmp_path, [1, 2, 3])
    (file,) = tmp_path.glob("*.parquet")
    mistyped = pl.datetime(2913, 1, 1, time_unit="us")
    pl.concat([pl.read_parquet(file), pl.read_parquet(file).head(1).with_columns(at=mistyped)]).write_parquet(file)
    newest = datetime(2013, 1, 1, 0, 2, tzinfo=UTC)
    plain = CATALOG.describe(materialize.run(context(tmp_path))["uri"])
    asked = {**spec(), "expectations": [{"freshness": "9000d"}]}
    fresh = CATALOG.describe(materialize.run(context(tmp_path, "features-delays-2", asked))["uri"])
    assert plain is not None
    assert fresh is not None
    assert (plain.newest, fresh.newest) == (datetime(2913, 1, 1, tzinfo=UTC), newest)


def test_an_empty_source_replaces_nothing_unless_it_may(tmp_path: Path) -> None:
    flights(tmp_path, [1, 2, 3])
    materialize.run(context(tmp_path))
    flights(tmp_path, [])
    for asked in ([], [{"unique": ["carrier"]}], [{"rows": {"max": 9}}]):
        with pytest.raises(WorkloadError, match=r"there is no row.*there are no rows in flights\.parquet") as caught:
            materialize.run(context(tmp_path, "features-delays-2", {**spec(), "expectations": asked}))
        assert caught.value.reason == "ExpectationFailed"
    allowed = {**spec(), "expectations": [{"unique": ["carrier"]}, {"rows": {"min": 0}}]}
    result = materialize.run(context(tmp_path, "features-delays-3", allowed))
    assert (result["version"], result["rows"]) == (1, 0)
    found = CATALOG.describe(result["uri"])
    assert found is not None
    assert found.newest is None


def test_a_failed_expectation_publishes_nothing(tmp_path: Path) -> None:
    flights(tmp_path, [1, 2, 3])
    good = materialize.run(context(tmp_path))
    flights(tmp_path, [1, 2, 900])
    strict = {**spec(), "expectations": [{"column": "delay", "between": [0, 100]}]}
    with pytest.raises(WorkloadError, match="nothing is published") as caught:
        materialize.run(context(tmp_path, "features-delays-2", strict))
    assert caught.value.reason == "ExpectationFailed"
    assert "(carrier 'AA', at 2013-01-01T00:02:00Z has delay 900.0)" in str(caught.value)
    row = {"carrier": "AA", "at": "2013-01-01T00:02:00Z", "delay": 900.0}
    assert [result["offending"] for result in caught.value.data["failed"]] == [[row]]
    found = CATALOG.describe(good["uri"])
    assert found is not None
    assert (found.version, found.rows) == (0, 3)


def test_one_that_only_warns_is_published_and_on_record(tmp_path: Path) -> None:
    flights(tmp_path, [1, 2, 900])
    asked = {**spec(), "expectations": [{"column": "delay", "between": [0, 100], "severity": "warn"}, {"rows": {}}]}
    result = materialize.run(context(tmp_path, form=asked))
    found = CATALOG.describe(result["uri"])
    assert found is not None
    assert [(item.check, item.severity, item.passed) for item in found.expectations] == [
        ("between", "warn", False),
        ("rows", "error", True),
    ]
    assert [row["delay"] for row in found.expectations[0].offending] == [900.0]


def test_what_came_of_all_runs_is_a_table_beside_the_rows(tmp_path: Path) -> None:
    flights(tmp_path, [1, 2, 3])
    asked = {**spec(), "expectations": [{"column": "delay", "between": [0, 100]}, {"unique": ["carrier", "at"]}]}
    uri = materialize.run(context(tmp_path, "features-delays-1", asked))["uri"]
    flights(tmp_path, [1, 2, 900])
    with pytest.raises(WorkloadError):
        materialize.run(context(tmp_path, "features-delays-2", asked))
    frame = pl.read_parquet(f"{uri}/_expectations/*.parquet")
    assert frame.select("run", "version", "check", "passed", "failing", "rows").rows() == [
        ("features-delays-1", 0, "between", True, 0.0, 3),
        ("features-delays-1", 0, "unique", True, 0.0, 3),
        ("features-delays-2", None, "between", False, 1 / 3, 3),
        ("features-delays-2", None, "unique", True, 0.0, 3),
    ]
    newest = CATALOG.checked(uri)
    assert newest is not None
    assert (newest.run, newest.version, [item.passed for item in newest.results]) == (
        "features-delays-2",
        None,
        [False, True],
    )
    assert checked.history([uri]).rows() == [*frame.rows()[2:], *frame.rows()[:2]]


def test_a_first_run_that_fails_leaves_no_table_and_says_why(tmp_path: Path) -> None:
    flights(tmp_path, [900])
    asked = context(tmp_path, form={**spec(), "expectations": [{"column": "delay", "mean": {"max": 100}}]})
    with pytest.raises(WorkloadError, match="mean is 900, expected"):
        materialize.run(asked)
    assert CATALOG.describe(asked.payload["table"]) is None
    found = CATALOG.checked(asked.payload["table"])
    assert found is not None
    assert (found.version, found.results[0].value) == (None, 900.0)


def test_an_attempt_that_was_cut_off_after_publishing_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flights(tmp_path, [1])
    asked = context(tmp_path, form={**spec(), "expectations": [{"rows": {"min": 1}}]})
    uri = asked.payload["table"]

    def cut_off(*told: Any) -> None:
        raise OSError("the node is gone")

    with monkeypatch.context() as patched:
        patched.setattr(checked, "write", cut_off)
        with pytest.raises(OSError, match="gone"):
            materialize.run(asked)
    assert CATALOG.checked(uri) is None
    for _ in range(2):
        materialize.run(asked)
    found = CATALOG.checked(uri)
    assert found is not None
    assert (found.version, checked.history([uri]).height) == (0, 1)


def test_the_next_version_is_compared_with_the_one_that_readers_have(tmp_path: Path) -> None:
    flights(tmp_path, list(range(400)))
    first = materialize.run(context(tmp_path))
    columns = [tuple(column) for column in first["columns"]]
    before = {
        "uri": first["uri"], "version": 0, "rows": 400,
        "entities": ["carrier"], "timestamp": "at", "columns": columns,
    }  # fmt: skip
    asked = {
        **spec(),
        "expectations": [
            {"rowsChange": {"maxDrop": 0.1}},
            {"column": "delay", "drift": {"statistic": "psi", "max": 0.2}},
            {"column": "carrier", "drift": {"statistic": "js", "max": 0.2}},
        ],
    }
    other = {"table": str(tmp_path / "store" / "features" / "delays" / "2222222222")}
    assert materialize.run(context(tmp_path, "features-delays-2", asked, **other))["rows"] == 400
    flights(tmp_path, list(range(300, 600)))
    with pytest.raises(WorkloadError, match=r"300 rows, 25\.000% fewer than the 400 of version 0") as caught:
        materialize.run(context(tmp_path, "features-delays-3", asked, **other, previous=before))
    assert [item["check"] for item in caught.value.data["failed"]] == ["rowsChange", "drift"]
    assert "drift of delay: psi is" in str(caught.value)
    (tmp_path / "store" / "features" / "delays" / "1111111111").rename(tmp_path / "gone")
    assert materialize.run(context(tmp_path, "features-delays-4", asked, **other, previous=before))["rows"] == 300


def test_keys_of_another_view_are_looked_up_at_the_version_that_is_pinned(tmp_path: Path) -> None:
    flights(tmp_path, [1, 2])
    known = str(tmp_path / "store" / "features" / "carriers" / "1")
    for codes in (["AA"], ["BB"]):
        delta.publish(known, [pl.DataFrame({"code": codes})], [("code", "String")], {})
    key = {"columns": ["carrier"], "view": "carriers", "to": ["code"]}
    asked = {**spec(), "expectations": [{"references": key}]}
    pinned = {"uri": known, "version": 0}
    assert materialize.run(context(tmp_path, form=asked, upstream={"carriers": pinned}))["rows"] == 2
    with pytest.raises(WorkloadError, match=r"2 of 2 rows have \(carrier\) that is not in carriers \(code\)"):
        materialize.run(context(tmp_path, "f-2", asked, upstream={"carriers": {**pinned, "version": 1}}))
    with pytest.raises(WorkloadError, match="which is not published") as caught:
        materialize.run(context(tmp_path, "f-3", asked))
    assert caught.value.reason == "UpstreamMissing"


def test_an_attempt_after_publication_reports_it_and_publishes_nothing_again(tmp_path: Path) -> None:
    flights(tmp_path, [1, 2, 3])
    first = materialize.run(context(tmp_path))
    again = materialize.run(context(tmp_path))
    assert again["version"] == 0
    assert {**again, "seconds": 0, "columns": None} == {**first, "seconds": 0, "columns": None}


def test_new_source_data_makes_a_new_version_and_old_ones_stay_readable(tmp_path: Path) -> None:
    flights(tmp_path, [1])
    first = materialize.run(context(tmp_path))
    flights(tmp_path, [5, 6])
    second = materialize.run(context(tmp_path, "features-delays-2"))
    assert second["version"] == 1
    assert second["source_digest"] != first["source_digest"]
    columns = [tuple(column) for column in first["columns"]]
    assert delta.read(first["uri"], 0, columns).collect().height == 1
    assert delta.read(first["uri"], 1, columns).collect().height == 2


def test_a_retyped_column_replaces_the_schema(tmp_path: Path) -> None:
    flights(tmp_path, [1])
    materialize.run(context(tmp_path))
    other = spec(columns={"carrier": "String", "at": "Datetime", "delay": "Int16"})
    result = materialize.run(context(tmp_path, "features-delays-2", other))
    columns = [tuple(column) for column in result["columns"]]
    assert delta.read(result["uri"], result["version"], columns).collect().schema["delay"] == pl.Int16


def test_equal_inputs_give_equal_rows_whatever_the_file_order(tmp_path: Path) -> None:
    flights(tmp_path, [3, 1, 2])
    first = materialize.run(context(tmp_path))
    frame = pl.read_parquet(tmp_path / "flights.parquet")
    frame.sample(fraction=1.0, shuffle=True, seed=1).write_parquet(tmp_path / "flights.parquet")
    second = materialize.run(context(tmp_path, "features-delays-2"))
    columns = [tuple(column) for column in first["columns"]]
    rows = [delta.read(first["uri"], version, columns).collect() for version in (0, second["version"])]
    assert rows[0].equals(rows[1])


def test_a_missing_source_has_a_name() -> None:
    with pytest.raises(TerminalError, match=r"data/none\.csv"):
        digest({"flights": {"format": "csv", "path": "data/none.csv"}}, "somewhere")


def test_the_digest_does_not_depend_on_where_the_project_lies(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "a.csv").write_text("x\n1\n")
        digests.add(digest({"a": {"format": "csv", "path": "*.csv"}}, folder))
    assert len(digests) == 1


def test_a_version_says_what_it_is_a_build_of_what_it_holds_and_what_it_was_made_from(tmp_path: Path) -> None:
    flights(tmp_path, [1, 2, 3])
    read = {"uri": "/t", "version": 4, "identity": "i", "build": "b", "content": "c"}
    first = materialize.run(context(tmp_path, "features-delays-1", build="b1", cause="data", upstream={"other": read}))
    found = CATALOG.describe(first["uri"])
    assert found is not None
    assert (found.build, found.name) == ("b1", "b1")
    assert found.upstream == {"other": ReadTable.model_validate(read)}
    assert found.digests.keys() == {"carrier", "at", "delay"}
    flights(tmp_path, [1, 2, 4])
    materialize.run(context(tmp_path, "features-delays-2", build="b2"))
    newest, before = CATALOG.versions(first["uri"])
    assert before == found
    assert {name for name in found.digests if newest.digests[name] != found.digests[name]} == {"delay"}


def test_rows_that_are_not_those_that_were_asked_for_are_not_published(tmp_path: Path) -> None:
    """A version is found again by what it was made of."""
    flights(tmp_path, [1, 2, 3])
    asked = context(tmp_path, build="b1")
    flights(tmp_path, [1, 2, 4])
    with pytest.raises(WorkloadError, match=r"^flights\.parquet changed or vanished since") as raised:
        materialize.run(asked)
    assert (raised.value.reason, raised.value.kind) == ("SourceChanged", FailureKind.INFRASTRUCTURE)
    assert CATALOG.describe(asked.payload["table"]) is None
    flights(tmp_path, [1, 2, 3])
    assert materialize.run(asked)["rows"] == 3


def test_a_table_without_event_times_is_published_by_batches_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "BATCH", 4)
    monkeypatch.setattr(staging, "_SAMPLED", 1)
    pl.DataFrame({"carrier": [f"c{number:02}" for number in reversed(range(11))], "x": range(11)}).write_parquet(
        tmp_path / "flights.parquet"
    )
    form = {**spec(columns={"carrier": "String", "x": "Int64"}), "timestamp": None}
    result = materialize.run(context(tmp_path, form=form))
    found = CATALOG.describe(result["uri"])
    assert found is not None
    assert (found.rows, found.watermark, found.covered, found.newest) == (11, None, None, None)
    assert delta.read(found.uri, found.version, found.columns).collect()["x"].to_list() == list(reversed(range(11)))


def test_a_version_says_what_event_times_it_covers(tmp_path: Path) -> None:
    flights(tmp_path, [1, 2, 3])
    found = CATALOG.describe(materialize.run(context(tmp_path))["uri"])
    assert found is not None
    first, last = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 1, 0, 2, tzinfo=UTC)
    assert (found.mode, found.since, found.watermark, found.covered) == ("full", None, last, (first, last))
