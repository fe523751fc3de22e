"""What Polars says of a view before it is run, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from framework.workloads.context import WorkloadError
from framework.workloads.examining import Mistake
from framework.workloads.features.checks.condition import condition
from framework.workloads.features.look import look
from framework.workloads.features.query import place_of, refuse_files
from framework.workloads.features.transform import transform

COLUMNS = {"UDI": "Int64", "t": "Datetime", "x": "Float64"}
HEADER = "UDI,Air temperature [K],t,x\n1,298.1,2024-01-01T00:00:00,0.5\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "m.csv").write_text(HEADER)
    pl.DataFrame({"k": [1], "w": ["a"]}).write_parquet(tmp_path / "data" / "k.parquet")
    return tmp_path


M = {"format": "csv", "path": "data/m.csv", "options": {"parseDates": True}}


def found(
    root: Path | None,
    sql: str | None = None,
    sources: dict[str, Any] | None = None,
    expectations: list[dict[str, Any]] | None = None,
    columns: dict[str, str] | None = None,
    views: dict[str, Any] | None = None,
    whole: bool = True,
) -> list[Mistake]:
    spec = {
        "sources": sources or {"m": M},
        "columns": [{"name": name, "dtype": dtype} for name, dtype in (columns or COLUMNS).items()],
        "expectations": expectations or [],
        **({"transform": {"sql": sql}} if sql else {}),
    }
    return list(look({"spec": spec, "views": views or {}, "root": root and str(root), "whole": whole}))


@pytest.mark.parametrize(
    ("sql", "message", "wanted", "place"),
    [
        ("SELECT UDI, t, x FROM m", None, None, (0, 0)),
        ('SELECT UDI, t, "Air temperature [K]" AS x FROM m', None, None, (0, 0)),
        ("SELECT UDI, t,\n  Air temperature [K] AS x\nFROM m", "Expected: end of statement, found: [", None, (2, 19)),
        ("SELECT UDI,\n  t x z FROM m", "Expected: end of statement, found: z", None, (2, 7)),
        ("SELEC UDI FROM m", "Expected: an SQL statement, found: SELEC", None, (1, 1)),
        ("SELECT 'x\nFROM m", "Unterminated string literal", None, (1, 8)),
        ("SELECT UDI, t, x\nFROM machines", "no source 'machines'", "machines", (2, 6)),
        ("SELECT UDI, t, x FROM m\nJOIN h ON m.UDI = h.k", "no source 'h'", "h", (2, 6)),
        ("SELECT 'udi' AS a, -- udi\n  udi, t, x FROM m", "no column 'udi'", "udi", (2, 3)),
        ("SELECT m.uid, t, x FROM m", "m has no column 'uid'", "uid", (1, 10)),
        ("SELECT UDI, t, x FROM m WHERE\n  tt > 3", "no column 'tt'", "tt", (2, 3)),
        ("SELECT UDI, t, x FROM m ORDER BY zz", "no column 'zz'", "zz", (1, 34)),
        ("SELECT UDI, t, NOPE(x) AS x FROM m", "unsupported function 'nope'", "nope", (1, 16)),
        ("SELECT CAST(UDI AS NOPE) AS UDI FROM m", 'datatype "NOPE" is not currently supported', None, (0, 0)),
        ("SELECT 1; SELECT 2", "one (and only one) statement can be parsed at a time", None, (0, 0)),
        ("SELECT UDI, t FROM m", "the SQL yields no column 'x'", "x", (0, 0)),
    ],
)
def test_sql_is_read_before_it_is_run(
    root: Path, sql: str, message: str | None, wanted: str | None, place: tuple[int, int]
) -> None:
    mistakes = found(root, sql)
    assert [mistake.message for mistake in mistakes] == ([] if message is None else [message])
    for mistake in mistakes:
        assert (mistake.wanted, mistake.line, mistake.column) == (wanted, *place)
        assert (mistake.files, mistake.warning) == (("data/m.csv",), False)
        assert mistake.path == ("spec.columns[2].name" if "yields" in mistake.message else "spec.transform.sql")


def test_names_that_would_do_are_given(root: Path) -> None:
    (column,) = found(root, "SELECT udi, t, x FROM m")
    assert column.allowed == ("UDI", "Air temperature [K]", "t", "x")
    (table,) = found(root, "SELECT UDI, t, x FROM n", {"m": M, "k": {"format": "parquet", "path": "data/k.parquet"}})
    assert table.allowed == ("m", "k")


@pytest.mark.parametrize(
    "source",
    [
        {"format": "csv", "path": "data/none.csv"},
        {"format": "csv", "path": "s3://bucket/m.csv"},
        {"function": "a.b:c"},
        {"featureView": "unknown"},
        {"format": "parquet", "path": "data/k.parquet", "options": {"allowMissingColumns": True}},
    ],
)
def test_where_columns_are_not_known_only_what_is_certain_is_told(root: Path, source: dict[str, Any]) -> None:
    def told(sql: str) -> list[str]:
        return [item.message for item in found(root, sql, {"m": M, "n": source}, whole=False)]

    assert told("SELECT what, ever FROM n") == []
    assert told("SELECT n.what, m.UDI FROM n JOIN m ON n.what = m.UDI") == []
    assert told("SELECT COUNT(*) AS c FROM n HAVING c > 1") == []
    assert told("SELECT what FROM o") == ["no source 'o'"]
    assert told("SELECT what FROM n WHERE") == ["Expected: an expression, found: EOF"]
    assert told("SELECT NOPE(what) FROM n") == ["unsupported function 'nope'"]


def test_another_view_has_the_columns_that_it_declares(root: Path) -> None:
    source = {"above": {"featureView": "machines"}}
    views = {"machines": [["UDI", "Int64"], ["t", "Datetime"], ["x", "Float64"]]}
    assert found(None, "SELECT UDI, t, x FROM above", source, views=views) == []
    (column,) = found(None, "SELECT UDI, t, y AS x FROM above", source, views=views)
    assert (column.message, column.files) == ("no column 'y'", ())
    (dtypes,) = found(None, "SELECT UDI, t, x + t AS x FROM above", source, views=views)
    assert "not allowed on" in dtypes.message


def test_without_a_transform_the_source_has_to_have_the_columns(root: Path) -> None:
    (mistake,) = found(root, columns={"UDI": "Int64", "t": "Datetime", "y": "Float64"})
    assert (mistake.path, mistake.message) == ("spec.columns[2].name", "the source has no column 'y'")
    assert mistake.allowed == ("UDI", "Air temperature [K]", "t", "x")


K = {"format": "parquet", "path": "data/k.parquet"}
RENAMED = {**M, "rename": {"Air temperature [K]": "air_k"}}


def test_columns_have_the_names_that_the_spec_gives_them(root: Path) -> None:
    assert found(root, "SELECT UDI, t, air_k AS x FROM m", {"m": RENAMED}) == []
    (column,) = found(root, 'SELECT UDI, t, "Air temperature [K]" AS x FROM m', {"m": RENAMED})
    assert (column.message, column.allowed) == ("no column 'Air temperature [K]'", ("UDI", "air_k", "t", "x"))


@pytest.mark.parametrize(
    ("source", "path", "told"),
    [
        (
            {**M, "rename": {"Air temperature": "air_k"}},
            'rename["Air temperature"]',
            "gone: 'Air temperature'; did you mean",
        ),
        (
            {**M, "rename": {"Air temperature [K]": "x"}},
            'rename["Air temperature [K]"]',
            "x is the name of a column already",
        ),
        ({**RENAMED, "columns": {"airk": "Float64"}}, 'columns["airk"]', "gone: 'airk'; did you mean 'air_k'"),
        (
            {"format": "parquet", "path": "data/k.parquet", "columns": {"w": "Int64"}},
            'columns["w"]',
            "w is String and must be",
        ),
    ],
)
def test_a_source_without_the_columns_that_it_must_have_is_told(
    root: Path, source: dict[str, Any], path: str, told: str
) -> None:
    (mistake,) = found(root, "SELECT whatever FROM m", {"m": source})
    assert (mistake.path, mistake.message.startswith(told)) == (f'spec.sources["m"].{path}', True), mistake
    assert (mistake.files, mistake.warning) == ((source["path"],), False)


def test_a_source_that_has_more_than_it_must_is_right(root: Path) -> None:
    must = {"UDI": "Int32", "air_k": "Float32", "t": "Datetime"}
    assert found(root, "SELECT UDI, t, x FROM m", {"m": {**RENAMED, "columns": must}}) == []


@pytest.mark.parametrize(
    ("path", "told", "meant"),
    [
        ("data/n.csv", "no file at data/n.csv", "data/m.csv"),
        ("data/zebra.parquet", "no file at data/zebra.parquet", None),
        ("data/*.json", "no file at data/*.json, nor any that matches it as a pattern", None),
    ],
)
def test_a_file_that_is_missing_among_others_is_told(root: Path, path: str, told: str, meant: str | None) -> None:
    (mistake,) = found(root, "SELECT UDI, t, x FROM m", {"m": {"format": "csv", "path": path}})
    assert (mistake.path, mistake.message, mistake.warning) == ('spec.sources["m"].path', told, True)
    assert mistake.allowed == ((meant,) if meant else ())
    assert found(root, "SELECT UDI FROM m", {"m": {"format": "csv", "path": f"elsewhere/{path}"}}) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git-lfs pointer"),
        ("", "cannot be read"),
        ("U\0D\0I\0\n\0", "UTF-16"),
    ],
)
def test_a_file_that_is_none_is_told_on_disk_and_no_matter_in_a_commit(root: Path, content: str, told: str) -> None:
    (root / "data" / "m.csv").write_text(content)
    (mistake,) = found(root, "SELECT UDI, t, x FROM m")
    assert told in mistake.message
    assert (mistake.warning, mistake.files) == (True, ("data/m.csv",))
    assert found(root, "SELECT UDI, t, x FROM m", whole=False) == []


@pytest.mark.parametrize(
    ("expectation", "path", "told"),
    [
        ({"sql": "x > 0 AND UDI IN (1, 2)"}, None, ""),
        ({"sql": "COUNT(*) > 3"}, None, ""),
        ({"sql": "COUNT(*) > 3", "tolerance": 0.1}, "tolerance", "takes no tolerance"),
        ({"sql": "y > 0"}, "sql", "no column 'y'"),
        ({"sql": "x + 1"}, "sql", "no condition"),
        ({"sql": "x >"}, "sql", "unable to parse 'x >' as Expr"),
        ({"column": "x", "matches": "[A-Z"}, "matches", "no regular expression: unclosed character class"),
        ({"column": "x", "matches": "[A-Z]{3}|b"}, None, ""),
    ],
)
def test_expectations_are_read_before_they_are_checked(
    root: Path, expectation: dict[str, Any], path: str | None, told: str
) -> None:
    mistakes = found(root, expectations=[{"rows": {"min": 1}}, expectation])
    assert [mistake.path for mistake in mistakes] == ([f"spec.expectations[1].{path}"] if path else [])
    assert all(told in mistake.message for mistake in mistakes)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "select * from READ_PARQUET ('x')",
        "SELECT 1 FROM m, read_json('x')",
        "FROM read_ipc('x')",
        "SELECT * FROM \"read_csv\"('/etc/passwd')",
        "SELECT * FROM `Read_Csv`('/etc/passwd')",
        "SELECT * FROM 'read_csv'('/etc/passwd')",
        "SELECT 1 FROM m JOIN\"read_ndjson\"('x') r ON TRUE",
        "SELECT * FROM read_csv/* */('x')",
        "SELECT * FROM \"read_csv\" /* a /* b */ ' */ ('x')",
        "SELECT * FROM 'read_csv' -- why\r\n\t('x')",
        "SELECT * FROM read_csv\u00a0\u2003('x')",
        "SELECT $$'$$ , * FROM read_csv('/x')",
        "SELECT $a$'$$'$a$, * FROM `read_csv`('/x') --'",
        "SELECT '''', * FROM read_csv('/x') --'",
        "SELECT 'a\\', * FROM read_csv('/x') --'",
        "SELECT q'!'!', * FROM read_csv('/x') --'",
        "SELECT E'\\'', * FROM 'read_csv'('/x') --'",
        "SELECT x AS \"'\", * FROM read_csv('/x') AS \"'\"",
        "SELECT x AS `'`, * FROM read_csv('/x') AS `'`",
        "SELECT /* /* */ ' */ * FROM read_csv('/x') --'",
        "SELECT * -- '\nFROM read_csv('/x')",
        "SELECT * -- '\r'\nFROM read_csv('/x') --'",
        "WITH c AS (SELECT * FROM `read_csv`('/x')) SELECT * FROM c",
        "SELECT * FROM (m CROSS JOIN ('read_csv'('/x')))",
        "SELECT x FROM m WHERE x IN (SELECT a FROM \"READ_JSON\"('/x'))",
        "SELECT (SELECT a FROM `read_csv`('/x') LIMIT 1) FROM m",
        "SELECT * FROM read_what_the_engine_learns_next('/x')",
    ],
)
def test_sql_reads_its_sources_and_no_file(root: Path, sql: str) -> None:
    (mistake,) = found(root, sql)
    assert "reads a file that is no source" in mistake.message
    with pytest.raises(WorkloadError, match="reads a file that is no source"):
        transform({"sql": sql}, {"m": pl.LazyFrame({"x": [1]})})
    with pytest.raises(WorkloadError, match="reads a file that is no source"):
        condition(pl.Schema({"x": pl.Int64()}), f"x IN ({sql}\n)")


@pytest.mark.parametrize("sql", ["SELECT * FROM read_csv('{}')", "SELECT y, * FROM read_csv('{}')"])
def test_of_a_file_that_the_plan_alone_shows_nothing_is_told(
    root: Path, sql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the engine will call a reader one day."""
    monkeypatch.setattr("framework.workloads.features.query.refuse_files", lambda sql: None)
    (root / "secret.csv").write_text("token-4711\n1\n")
    (mistake,) = found(root, sql.format(root / "secret.csv"))
    assert "reads a file that is no source" in mistake.message
    assert "4711" not in repr(mistake)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT UDI, t, x FROM m, UNNEST([1, 2], ['a', 'b']) AS u(v, w)",
        "SELECT UDI, t, x FROM m WHERE UDI IN (SELECT n FROM UNNEST([1]) AS u(n))",
        "WITH c(UDI, t, x) AS (SELECT UDI, t, x FROM m) SELECT * FROM c",
        "SELECT UDI, t, x FROM m, (VALUES (1, 'read_csv(')) AS v(a, b) WHERE v.b <> 'Csv SCAN ['",
        'SELECT UDI, t, x, UDI AS read_csv, COUNT(*) OVER () AS "read_x (a)" FROM m -- $5 it\'s\nWHERE x > 0',
        "SELECT UDI, t, x, $$($$ AS read_csv FROM m WHERE $$read_csv$$ <> $$a('$$",
    ],
)
def test_sql_that_reads_no_file_is_refused_for_none(root: Path, sql: str) -> None:
    refuse_files(sql)
    assert not [mistake for mistake in found(root, sql) if "file" in mistake.message]


def test_words_in_text_and_comments_are_no_names() -> None:
    refuse_files("SELECT 'read_csv(' AS a, \"read_csv\" -- read_csv(\nFROM m /* read_json('x') */")
    assert place_of("SELECT 'udi', /* udi\n */ udix, xudi, udi", "udi") == (2, 17)
    assert place_of('SELECT "a b"', "a b") == (1, 8)
    assert place_of("SELECT 1", "udi") == (0, 0)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("path", ["data/l.csv", "data/*.csv", "out/m.csv", "out/n.csv", "out", "table"])
def test_a_link_that_leaves_the_project_is_not_looked_through(tmp_path: Path, path: str, whole: bool) -> None:
    """Else the first line of any file of the machine would be among the columns that are allowed."""
    root, away = tmp_path / "project", tmp_path / "away"
    (root / "data").mkdir(parents=True)
    away.mkdir()
    (away / "m.csv").write_text("secret\n")
    pl.DataFrame({"secret": [1]}).write_delta(away / "table")
    (root / "data" / "l.csv").symlink_to(away / "m.csv")
    (root / "out").symlink_to(away)
    (root / "table").symlink_to(away / "table")
    form = "delta" if path == "table" else "csv"
    assert found(root, "SELECT UDI FROM m", {"m": {"format": form, "path": path}}, whole=whole) == []


def test_a_link_that_stays_in_the_project_is_followed(root: Path) -> None:
    (root / "data" / "l.csv").symlink_to(root / "data" / "m.csv")
    mistakes = found(root, "SELECT udi FROM m", {"m": {"format": "csv", "path": "data/l.csv"}})
    assert [mistake.message for mistake in mistakes] == ["no column 'udi'"]


def test_of_however_many_columns_the_one_that_was_meant_is_among_those_that_are_allowed(root: Path) -> None:
    """The engine's list of them is cut off."""
    many = [f"a_measurement_of_something_{number}" for number in range(60)]
    (root / "data" / "m.csv").write_text(",".join(["UDI", "t", *many]) + "\n1,2024-01-01T00:00:00" + ",1.5" * 60 + "\n")
    (mistake,) = found(root, "SELECT UDI, t, a_measurement_of_somethin_59 AS x FROM m")
    assert mistake.message == "no column 'a_measurement_of_somethin_59'"
    assert mistake.wanted == "a_measurement_of_somethin_59"
    assert many[-1] in mistake.allowed
