"""Lines, columns, colours and small phrases."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from datetime import timedelta

import pytest

from framework.api.printing import printable
from framework.render.terminal import Span, columns, one_line, paragraph, plain, text_of, wants_colour
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


def test_paragraph_wraps_prose_but_no_identifier() -> None:
    lines = paragraph("one two-three " + "x" * 40 + " four", width=24, indent="  ")
    assert plain(lines).splitlines() == ["  one two-three", "  " + "x" * 40, "  four"]


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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0.4, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h"),
        (86399, "23h"),
        (86400 * 12, "12d"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(timedelta(seconds=seconds)) == text


def test_ages_and_counts() -> None:
    assert ago(timedelta(seconds=0.9)) == "just now"
    assert ago(timedelta(seconds=200)) == "3m ago"
    assert [count(number, "resource") for number in (0, 1, 1234)] == ["0 resources", "1 resource", "1,234 resources"]
    assert count(2, "entry", "entries") == "2 entries"
    assert short("0123456789") == "0123456"
