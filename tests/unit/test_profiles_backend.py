"""Profiles and prediction logs as neutral values, from the files that the workloads write."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from framework.api.errors import TerminalError, TransientError
from framework.backends.profiles import store as backend
from framework.backends.profiles.files import read_profile
from framework.backends.profiles.store import Profiles
from framework.drift.verdict import DriftRules, judge_window
from framework.sketches import load_whylogs
from framework.workloads.profiling import profile_bytes, profile_frame, reference_of, write_reference

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
END = START + timedelta(hours=3)
STORE = Profiles()


@pytest.fixture(scope="module")
def training() -> pl.DataFrame:
    """Two weeks; the second is warmer."""
    generator = np.random.default_rng(7)
    times = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=20 * row) for row in range(1008)]
    temp = generator.normal(20, 5, 1008) + np.where(np.arange(1008) < 504, 0.0, 10.0)
    return pl.DataFrame(
        {
            "time": times,
            "temp": [None if row % 50 == 0 else value for row, value in enumerate(temp)],
            "hour": pl.Series(np.arange(1008) % 3, dtype=pl.Int8),
            "origin": [["JFK", "LGA", "EWR"][row % 3] for row in range(1008)],
        }
    )


@pytest.fixture(scope="module")
def folder(training, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("reference"))
    write_reference(folder, reference_of(training, "time", ["temp", "hour", "origin"], timedelta(days=7)))
    return folder


@pytest.fixture(scope="module")
def reference(folder):
    return STORE.reference(folder)


def serve(folder, frame, when=START, replica="7-1", number=0):
    """One flush of a replica."""
    target = folder / f"{int(when.timestamp() * 1000)}-{replica}-{number}.bin"
    folder.mkdir(exist_ok=True)
    target.write_bytes(profile_bytes(frame, when))
    return target


def window(folder, reference, since=START, until=END):
    return STORE.window(str(folder), since, until, reference)


def histogram(values, edges):
    """Counts in (edge, next edge], straight from the rows."""
    return tuple(float(sum(low < value <= high for value in values)) for low, high in itertools.pairwise(edges))


# ------------------------------------------------------------------ reference


def test_no_whole_no_reference(folder, tmp_path):
    assert STORE.reference(str(tmp_path / "never")) is None
    (tmp_path / "period-0.bin").write_bytes(b"whatever: the writer died before the whole")
    assert STORE.reference(str(tmp_path)) is None


def test_numbers_get_the_deciles_of_the_whole(reference, training):
    temp, values = reference.whole["temp"], training["temp"].drop_nulls()
    assert (temp.count, temp.nulls) == (1008, 21)
    assert (temp.edges[0], temp.edges[-1], len(temp.edges)) == (-math.inf, math.inf, 13)
    assert temp.counts == histogram(values, temp.edges)
    assert all(abs(count - values.len() / 10) <= 2 for count in temp.counts[1:-1])
    assert (temp.counts[0], temp.counts[-1]) == (0.0, 0.0), "for what lies outside"


def test_strings_get_categories(reference):
    assert dict(reference.whole["origin"].categories) == {"EWR": 336.0, "JFK": 336.0, "LGA": 336.0}
    assert reference.whole["origin"].edges == ()


def test_few_values_make_few_bins(reference):
    hour = reference.whole["hour"]
    assert hour.edges == (-math.inf, math.nextafter(0.0, -1.0), 0.0, 1.0, 2.0, math.inf)
    assert hour.counts == (0.0, 336.0, 336.0, 336.0, 0.0)


def test_periods_are_counted_on_the_bins_of_the_whole(reference, training):
    assert [period["temp"].count for period in reference.periods] == [504, 504]
    for index, period in enumerate(reference.periods):
        rows = training["temp"].slice(504 * index, 504).drop_nulls()
        assert period["temp"].edges == reference.whole["temp"].edges
        assert period["temp"].counts == histogram(rows, period["temp"].edges)
    assert reference.periods[0]["temp"].counts[1] > 80 > 10 > reference.periods[1]["temp"].counts[1]


def test_more_than_ten_periods_stay_in_order(tmp_path):
    times = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=row // 200) for row in range(2400)]
    frame = pl.DataFrame({"time": times, "day": [float(row // 200) for row in range(2400)]})
    write_reference(str(tmp_path), reference_of(frame, "time", ["day"], timedelta(days=1)))
    made = STORE.reference(str(tmp_path))
    places = [period["day"].counts.index(200.0) for period in made.periods]
    assert len(places) == 12
    assert places == sorted(places)


def test_a_damaged_reference_is_an_error_with_its_file(folder, tmp_path):
    for content in (b"", b"no profile", Path(folder, "whole.bin").read_bytes()[:-9]):
        (tmp_path / "whole.bin").write_bytes(content)
        with pytest.raises(TerminalError, match=r"whole\.bin") as caught:
            STORE.reference(str(tmp_path))
        assert caught.value.reason == "ProfileDamaged"


@pytest.mark.parametrize("values", [[5.0] * 50, [5.0] * 49 + [None]])
def test_a_constant_column_shows_a_move_to_either_side(tmp_path, values):
    (tmp_path / "whole.bin").write_bytes(profile_bytes(pl.DataFrame({"x": values}), START))
    made = STORE.reference(str(tmp_path))
    live = tmp_path / "live"
    serve(live, pl.DataFrame({"x": [4.9, 5.0, 5.0, 5.1, 5.1, 5.1]}))
    assert window(live, made)["x"].counts == (1.0, 2.0, 3.0)


def test_a_value_that_often_repeats_has_a_bin_of_its_own(tmp_path):
    values = [0.0] * 700 + [float(value) for value in range(1, 301)]
    (tmp_path / "whole.bin").write_bytes(profile_bytes(pl.DataFrame({"x": values}), START))
    whole = STORE.reference(str(tmp_path)).whole["x"]
    assert whole.edges[1:3] == (math.nextafter(0.0, -1.0), 0.0)
    assert whole.counts[:2] == (0.0, 700.0)
    assert sum(whole.counts) == 1000.0


# ------------------------------------------------------------------ windows


def live_rows(seed, rows=40):
    generator = np.random.default_rng(seed)
    temp = [*generator.normal(25, 8, rows - 2), None, float("nan")]
    origin = [*generator.choice(["JFK", "BOS"], rows - 1), None]
    return pl.DataFrame({"temp": temp, "hour": pl.Series([1] * rows, dtype=pl.Int8), "origin": origin})


def test_a_window_counts_every_row_where_it_belongs(tmp_path, reference):
    frames = [live_rows(seed) for seed in range(5)]
    for number, frame in enumerate(frames):
        serve(tmp_path, frame, START + timedelta(minutes=20 * number), number=number)
    rows, found = pl.concat(frames), window(tmp_path, reference)
    assert (found["temp"].count, found["temp"].nulls) == (200, 10), "count includes nulls, and NaN is one"
    assert found["temp"].counts == histogram(rows["temp"].drop_nulls().drop_nans(), found["temp"].edges)
    assert found["hour"].counts == (0.0, 0.0, 200.0, 0.0, 0.0)
    assert (found["origin"].count, found["origin"].nulls) == (200, 5)
    expected = dict(rows["origin"].drop_nulls().value_counts().iter_rows())
    assert dict(found["origin"].categories) == expected


def test_an_edge_belongs_to_the_bin_that_it_closes(tmp_path, reference):
    edges = reference.whole["temp"].edges
    serve(tmp_path, pl.DataFrame({"temp": list(edges[1:-1])}))
    assert window(tmp_path, reference)["temp"].counts == (*(1.0,) * (len(edges) - 2), 0.0)


def test_a_window_holds_what_started_in_it_and_no_more(tmp_path, reference):
    moments = [START - timedelta(milliseconds=1), START, END - timedelta(milliseconds=1), END]
    for number, moment in enumerate(moments):
        serve(tmp_path, live_rows(number, rows=10 + number), moment, number=number)
    (tmp_path / "notes.bin").write_bytes(b"nobody's")
    assert window(tmp_path, reference)["temp"].count == 11 + 12


def test_an_empty_window_is_empty(tmp_path, reference):
    assert window(tmp_path / "never", reference) == {}
    serve(tmp_path, live_rows(1), END)
    assert window(tmp_path, reference) == {}


def test_any_order_and_any_split_over_replicas_give_the_same(tmp_path, reference, monkeypatch):
    frames = [live_rows(seed) for seed in range(4)]
    whole = tmp_path / "whole"
    serve(whole, pl.concat(frames))
    expected = window(whole, reference)
    for split, order in enumerate(itertools.permutations(range(4))):
        folder = tmp_path / f"split-{split}"
        for place, index in enumerate(order):
            moment = START + timedelta(minutes=17 * place)
            serve(folder, frames[index], moment, replica=f"{index % 3}-1", number=place)
        assert window(folder, reference) == expected


def test_an_hour_that_has_passed_is_read_once(tmp_path, reference, monkeypatch):
    for hour in range(3):
        serve(tmp_path, live_rows(hour), START + timedelta(hours=hour), number=hour)
    first, read = window(tmp_path, reference), []
    original = backend.read_bytes
    monkeypatch.setattr(backend, "read_bytes", lambda uri: read.append(uri) or original(uri))
    assert window(tmp_path, reference) == first
    assert read == []
    new = serve(tmp_path, live_rows(9), START + timedelta(hours=2, minutes=5), number=9)
    assert window(tmp_path, reference)["temp"].count == first["temp"].count + 40
    assert len(read) == 2
    assert str(new) in read


def test_a_damaged_file_is_left_out_of_the_window(tmp_path, reference, caplog):
    serve(tmp_path, live_rows(1))
    cut = serve(tmp_path, live_rows(2), number=1)
    cut.write_bytes(cut.read_bytes()[:-40])
    found = window(tmp_path, reference)
    assert (found["temp"].count, found.damaged) == (40, (cut.name,))
    assert cut.name in caplog.text


def test_a_damaged_period_is_left_out_of_the_reference_and_named(folder, tmp_path):
    for file in Path(folder).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "period-0.bin").write_bytes(b"WHY1 and no more")
    (tmp_path / "period-x.bin").write_bytes(b"nobody's")
    found = STORE.reference(str(tmp_path))
    assert (len(found.periods), found.damaged) == (1, ("period-0.bin",))


def test_no_damage_of_a_profile_escapes(tmp_path, training, reference):
    """Wherever a byte is another: the file is refused, or what it says can still be judged."""
    data = profile_bytes(training[:300].drop("time"), START)
    whole, live = tmp_path / "whole.bin", tmp_path / "live" / f"{int(START.timestamp() * 1000)}-7-1-0.bin"
    live.parent.mkdir()
    refused = 0
    for place in range(0, len(data), len(data) // 150):
        damaged = data[:place] + bytes([data[place] ^ 0x80]) + data[place + 1 :]
        whole.write_bytes(damaged)
        live.write_bytes(damaged)
        backend._hour.cache_clear()
        seen = window(live.parent, reference)
        try:
            known = STORE.reference(str(tmp_path))
        except TerminalError:
            refused += seen.damaged == (live.name,)
            known = reference
        judge_window(DriftRules(0.2, 0.01, 100), known, seen)
    assert refused > 10


def test_a_storage_that_does_not_answer_is_transient(tmp_path, reference, monkeypatch):
    serve(tmp_path, live_rows(1))

    def broken(uri):
        raise OSError("unreachable")

    monkeypatch.setattr(backend, "read_bytes", broken)
    with pytest.raises(TransientError, match="unreachable"):
        window(tmp_path, reference)


def test_the_reader_agrees_with_whylogs(training, tmp_path):
    file = tmp_path / "one.bin"
    file.write_bytes(profile_bytes(training, START))
    view = load_whylogs().read(str(file)).view()
    columns = read_profile(file.read_bytes())
    assert sorted(columns) == sorted(view.get_columns())
    for name, column in columns.items():
        told = view.get_column(name).to_summary_dict()
        assert (column.count, column.nulls) == (told["counts/n"], told["counts/null"])
        if name == "temp":
            assert column.quantiles.at([0.1, 0.5, 0.95]) == [
                told[f"distribution/{q}"] for q in ("q_10", "median", "q_95")
            ]
            assert (column.quantiles.minimum, column.quantiles.maximum) == (
                told["distribution/min"],
                told["distribution/max"],
            )
        if name == "origin":
            items = told["frequent_items/frequent_strings"]
            assert dict(column.items) == {item.value: item.est for item in items}


def test_the_reader_reads_what_whylogs_merged(tmp_path, training):
    merged = profile_frame(training[:500], START).merge(profile_frame(training[500:], START))
    columns = read_profile(bytes(merged.serialize()))
    assert (columns["temp"].count, columns["temp"].nulls) == (1008, 21)
    assert columns["origin"].items == {"EWR": 336.0, "JFK": 336.0, "LGA": 336.0}


def test_a_cut_file_is_refused_and_never_half_read():
    data = profile_bytes(pl.DataFrame({"x": [1.0, 2.0], "y": ["a", "b"]}), START)
    for length in range(len(data)):
        with pytest.raises(ValueError, match=r"."):
            read_profile(data[:length])
