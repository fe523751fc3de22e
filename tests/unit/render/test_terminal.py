"""Lines, columns, colours and small phrases."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from datetime import timedelta

import pytest

from framework.api.printing import printable
from framework.render.terminal import (
    Span,
    cells,
    columns,
    fitted,
    one_line,
    paragraph,
    plain,
    text_of,
    wants_colour,
)
from framework.render.wording import ago, count, short, span
from tests.unit.render.samples import TRACEBACK


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_printable_keeps_letters_and_spells_out_control() -> None:
    assert printable("Zürich 東京 🙂") == "Zürich 東京 🙂"
    assert printable("a\x1b[31mb\r\n") == "a\\x1b[31mb\\r\\n"
    assert printable("caf\udce9") == "caf\\udce9"  # the byte 0xe9, which is no UTF-8
    assert printable("user\u202egnp.exe") == "user\\u202egnp.exe"  # turns the direction of reading around


def test_one_line_is_cut_with_an_ellipsis() -> None:
    assert one_line("a\n  b\tc") == "a b c"
    assert one_line("abcdef", 6) == "abcdef"
    assert one_line("abcdefg", 6) == "abcde…"
    assert one_line("abcd fg", 6) == "abcd…"


def test_a_traceback_is_shortened_to_what_went_wrong() -> None:
    assert one_line(TRACEBACK, 400) == "the deployment failed to start 3 times in a row … KeyError: 'plane_year'"
    assert one_line(TRACEBACK, 20) == "the deployment fail…"
    assert "\n" not in one_line(TRACEBACK)
    assert "serving.py" in one_line(TRACEBACK)


def test_a_traceback_that_breaks_off_is_no_trouble() -> None:
    assert one_line("x" * 50 + "Traceback (most recent call last):", 60) == "x" * 50 + " …"


def test_paragraph_wraps_prose_and_breaks_a_word_only_where_it_fits_on_no_line() -> None:
    lines = paragraph("one two-three-four five " + "x" * 30 + " six", width=24, indent="  ")
    expected = ["  one two-three-four", "  five", "  " + "x" * 22, "  " + "x" * 8 + " six"]
    assert plain(lines).splitlines() == expected


def test_what_has_to_be_broken_is_broken_behind_a_joint() -> None:
    text = "mlops_specs/deployments/delay.yaml:9:11"
    assert plain(paragraph(text, width=26)).splitlines() == ["mlops_specs/deployments/", "delay.yaml:9:11"]


def test_a_traceback_keeps_its_indentation() -> None:
    assert plain(paragraph("File x\n    raise error", width=40)).splitlines() == ["File x", "    raise error"]


@pytest.mark.parametrize("width", [20, 40, 80])
@pytest.mark.parametrize("indent", ["", "  ", "│  " * 30 + "└─ "])
@pytest.mark.parametrize("text", ["word " * 60, "x" * 300, "東京" * 80, "e\u0301" * 100, "a/" * 200, "\x1b[2J" * 40])
def test_no_line_of_a_paragraph_is_longer_than_the_terminal(text: str, indent: str, width: int) -> None:
    rows = plain(paragraph(text, width=width, indent=indent)).splitlines()
    assert max(cells(row) for row in rows) <= width
    lost = set(printable(text)) - set("".join(rows))
    assert not lost


TABLE = [
    (Span("NAME"), Span("WORD"), Span("SAYS")),
    (Span("ModelDeployment/a-deployment-with-a-long-name"), Span("Stalled"), Span("it cannot start")),
    (Span("FeatureView/b"), Span("Synced"), Span("one two three four five six seven")),
]


def test_a_table_that_fits_is_in_columns() -> None:
    assert plain(line for row in fitted(TABLE, 100) for line in row) == plain(columns(TABLE))


def test_the_last_cell_goes_below_where_it_does_not_fit_beside_the_others() -> None:
    text = plain(line for row in fitted(TABLE, 72) for line in row)
    assert text.splitlines() == [
        "NAME                                           WORD     SAYS",
        "ModelDeployment/a-deployment-with-a-long-name  Stalled  it cannot start",
        "FeatureView/b                                  Synced",
        "    one two three four five six seven",
    ]


def test_long_names_are_cut_in_the_middle_and_words_are_not() -> None:
    text = plain(line for row in fitted(TABLE, 50) for line in row)
    assert text.splitlines() == [
        "NAME                                       WORD",
        "    SAYS",
        "ModelDeployment/a-de…ent-with-a-long-name  Stalled",
        "    it cannot start",
        "FeatureView/b                              Synced",
        "    one two three four five six seven",
    ]


def test_on_a_very_narrow_terminal_cells_follow_each_other_and_nothing_is_cut() -> None:
    text = plain(line for row in fitted(TABLE, 30) for line in row)
    assert text.splitlines()[1:6] == [
        "ModelDeployment/a-",
        "    deployment-with-a-long-",
        "    name  Stalled",
        "    it cannot start",
        "FeatureView/b  Synced",
    ]


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 110])
def test_no_line_of_a_table_is_longer_than_the_terminal(width: int) -> None:
    hostile = (Span("東京/" * 20), Span("\x1b[2J"), Span("word " * 30 + "x" * 200))
    for row in fitted([*TABLE, hostile, (Span(""), Span(""), Span(""))], width):
        assert all(cells(text) <= width for text in plain(row).splitlines())


def test_widths_are_those_of_a_terminal() -> None:
    assert [cells(text) for text in ("abc", "東京", "e\u0301", "", "…")] == [3, 4, 1, 0, 1]
    table = columns([(Span("東京"), Span("a")), (Span("abc"), Span("b"))])
    assert plain(table) == "東京  a\nabc   b\n"


def test_paragraph_keeps_its_own_breaks() -> None:
    assert plain(paragraph("one\ntwo", width=80)) == "one\ntwo\n"


def test_a_number_stays_with_its_per_cent_sign() -> None:
    text = "aaaaaaaaaaaaaaaaaa 10 % of it"
    assert plain(paragraph(text, width=22)).splitlines() == ["aaaaaaaaaaaaaaaaaa", "10 % of it"]


def test_columns_pad_all_but_the_last() -> None:
    table = columns([(Span("a"), Span("bb"), Span("c")), (Span("aaa"), Span("b"), Span("cccc"))])
    assert plain(table) == "a    bb  c\naaa  b   cccc\n"
    assert columns([]) == []


def test_colour_adds_nothing_but_colour() -> None:
    lines = [(Span("one ", "bold red"), Span("two"), Span("\x1b]0;title\x07", "dim")), (), (Span("   "),)]
    coloured = text_of(lines, colour=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text_of(lines, colour=False)


def test_colours_only_on_a_terminal_and_only_if_welcome() -> None:
    assert wants_colour(Terminal(), {})
    assert wants_colour(Terminal(), {"NO_COLOR": ""})
    assert not wants_colour(Terminal(), {"NO_COLOR": "1"})
    assert not wants_colour(Terminal(), {"TERM": "dumb"})
    assert not wants_colour(io.StringIO(), {})


def test_rich_is_not_loaded_for_plain_text() -> None:
    code = (
        "import sys; from framework.render.terminal import Span, text_of; text_of([(Span('a', 'red'),)], colour=False);"
        "sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_spans() -> None:
    words = {-5: "0s", 0.4: "0s", 59.9: "59s", 60: "1m", 3599: "59m", 3600: "1h", 86399: "23h", 86400 * 12: "12d"}
    assert {seconds: span(timedelta(seconds=seconds)) for seconds in words} == words


def test_ages_and_counts() -> None:
    assert ago(timedelta(seconds=0.9)) == "just now"
    assert ago(timedelta(seconds=200)) == "3m ago"
    assert [count(number, "resource") for number in (0, 1, 1234)] == ["0 resources", "1 resource", "1,234 resources"]
    assert count(2, "entry", "entries") == "2 entries"
    assert short("0123456789") == "0123456"
