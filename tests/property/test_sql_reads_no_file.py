"""SQL of a spec calls none of the engine's readers, however the call is written."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framework.workloads.context import WorkloadError
from framework.workloads.features.query import refuse_files

MARKS = ("", '"', "`", "'")
GAPS = (" ", "\n", "\t", "\r\n", "\u00a0", "/**/", "/* ' */", "/* /* \" */ ' */", "-- '\n", "--`$$\n", "/* $$ */")
ASIDES = (
    "1",
    "''",
    "''''",
    "'--'",
    "'/*'",
    "'\\'",
    "$$'$$",
    "$a$/* ' $$ $a$",
    '1 AS "\'"',
    '1 AS `"`',
    "1 AS `''`",
    '1 AS "/*"',
    "'read_csv'",
    "'$$'",
)
FRAMES = (
    "SELECT {aside},{gap}* FROM{gap}{call}",
    "SELECT {aside},{gap}* FROM m CROSS JOIN{gap}{call}",
    "SELECT {aside} FROM m,{gap}{call}",
    "SELECT {aside} FROM m WHERE x IN (SELECT a FROM{gap}{call})",
    "WITH c AS (SELECT {aside} AS z, * FROM{gap}{call}) SELECT * FROM c",
    "SELECT * FROM (SELECT {aside} AS z, * FROM{gap}{call})",
)

gaps = st.lists(st.sampled_from(GAPS), max_size=3).map("".join)


@st.composite
def calls(draw: st.DrawFn, path: str = "x.csv") -> str:
    name = "".join(draw(st.sampled_from((letter, letter.upper()))) for letter in "read_csv")
    mark = draw(st.sampled_from(MARKS))
    call = f"{mark}{name}{mark}{draw(gaps)}('{path}')"
    gap = draw(gaps) if mark else draw(gaps.filter(bool))
    frame = draw(st.sampled_from(FRAMES))
    aside = draw(st.sampled_from([aside for aside in ASIDES if " AS " not in aside or " AS z" not in frame]))
    return frame.format(aside=aside, gap=gap, call=call)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sql=calls())
def test_a_call_of_a_reader_is_refused_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    """Each of them is one that the engine makes."""
    (tmp_path / "x.csv").write_text("a\n1\n")
    monkeypatch.chdir(tmp_path)
    pl.SQLContext(frames={"m": pl.LazyFrame({"x": [1]})}).execute(sql, eager=False).collect_schema()
    with pytest.raises(WorkloadError, match="reads a file that is no source"):
        refuse_files(sql)


@given(
    told=st.text(st.sampled_from("read_csv(')\"`-/*$ \n"), max_size=30),
    name=st.sampled_from(["read_csv", '"read_csv"', '"read_csv (a)"', "`read_csv(x)`"]),
)
def test_text_and_names_that_only_look_like_a_call_are_left_alone(told: str, name: str) -> None:
    text = "'" + told.replace("'", "''").replace("\\", "") + "'"
    refuse_files(f"SELECT {text}, {name} FROM m WHERE a IN ({text})")
