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
from framework.backends import profiles as backend
from framework.backends.performance import auc_interval
from framework.backends.profile_files import read_profile
from framework.backends.profiles import Profiles
from framework.ports import TableState
from framework.sketches import load_whylogs
from framework.workloads.profiling import profile_bytes, profile_frame, write_reference

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
    write_reference(folder, training, "time", ["temp", "hour", "origin"], timedelta(days=7))
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
    write_reference(str(tmp_path), frame, "time", ["day"], timedelta(days=1))
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
    assert window(tmp_path, reference)["temp"].count == 40
    assert cut.name in caplog.text


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


# ------------------------------------------------------------------ performance


def predict(folder, rows, start=START, replica="7-1", number=0):
    """One flush of the prediction log; rows are (request id, key, seconds after START, prediction)."""
    frame = pl.DataFrame(
        [(request, key, START + timedelta(seconds=seconds), score) for request, key, seconds, score in rows],
        schema={
            "request_id": pl.String,
            "key": pl.String,
            "time": pl.Datetime("us", "UTC"),
            "prediction": pl.Float64,
        },
        orient="row",
    )
    folder.mkdir(exist_ok=True)
    frame.write_parquet(folder / f"{int(start.timestamp() * 1000)}-{replica}-{number}.parquet")


def labelled(tmp_path, labels, name="labels"):
    """A Delta table of key -> label, as it stands after the newest write."""
    from deltalake import DeltaTable

    uri = str(tmp_path / name)
    pl.DataFrame(labels).write_delta(uri, mode="overwrite")
    return TableState(uri, DeltaTable(uri).version(), 0, "s", "i", "c", START)


def judge(folder, labels, **changes):
    given = {"key": "flight", "column": "late", "metric": "auc", "since": START, "until": END, **changes}
    return STORE.performance(str(folder), labels, **given)


def pairs_auc(scores, labels):
    """By its definition: how often a positive is above a negative, ties counting half."""
    wins = [
        (positive > negative) + (positive == negative) / 2
        for positive, late in zip(scores, labels, strict=True)
        if late
        for negative, other in zip(scores, labels, strict=True)
        if not other
    ]
    return sum(wins) / len(wins)


@pytest.fixture
def scored(tmp_path):
    """120 predictions with many ties, in 3 files; the labels of the first 100 have come."""
    generator = np.random.default_rng(3)
    late = generator.random(120) < 0.4
    scores = np.round(np.clip(0.4 + 0.2 * late + generator.normal(0, 0.2, 120), 0, 1), 1)
    folder = tmp_path / "delay-aaaaaaaaaa"
    for part in range(3):
        rows = [(f"r{n}", str(n), 60 * n, scores[n]) for n in range(40 * part, 40 * part + 40)]
        predict(folder, rows, START + timedelta(minutes=40 * part), number=part)
    return folder, scores, late


def test_auc_over_arrived_labels_is_exact_with_ties(scored, tmp_path):
    folder, scores, late = scored
    found = judge(folder, labelled(tmp_path, {"flight": list(range(100)), "late": late[:100]}))
    assert (found.app, found.metric, found.predictions, found.labelled) == ("delay-aaaaaaaaaa", "auc", 120, 100)
    assert found.value == pytest.approx(pairs_auc(scores[:100], late[:100]), abs=1e-12)
    assert found.low < found.value < found.high


def test_a_request_sent_twice_counts_once(scored, tmp_path):
    folder, scores, late = scored
    labels = labelled(tmp_path, {"flight": list(range(100)), "late": late[:100]})
    before = judge(folder, labels)
    predict(folder, [("r7", "7", 3000, scores[7])], START + timedelta(seconds=3000), replica="8-1")
    assert judge(folder, labels) == before
    predict(folder, [("other", "7", 3001, 1.0)], START + timedelta(seconds=3001), replica="8-1")
    assert judge(folder, labels).predictions == 121


def test_predictions_without_a_key_are_made_but_never_labelled(scored, tmp_path):
    folder, _, late = scored
    labels = labelled(tmp_path, {"flight": list(range(100)), "late": late[:100]})
    predict(folder, [("x", None, 10, 0.5), ("y", None, 11, 0.5)], replica="8-1")
    assert (judge(folder, labels).predictions, judge(folder, labels).labelled) == (122, 100)


def test_the_window_is_by_the_time_of_the_prediction(scored, tmp_path):
    """A file that began before the window still holds rows of it."""
    folder, scores, late = scored
    labels = labelled(tmp_path, {"flight": list(range(120)), "late": late})
    since, until = START + timedelta(minutes=50), START + timedelta(minutes=100)
    found = judge(folder, labels, since=since, until=until)
    assert found.predictions == found.labelled == 50
    assert found.value == pytest.approx(pairs_auc(scores[50:100], late[50:100]), abs=1e-12)


def test_labels_are_those_of_the_given_version(scored, tmp_path):
    folder, _, late = scored
    first = labelled(tmp_path, {"flight": list(range(100)), "late": late[:100]})
    value = judge(folder, first).value
    second = labelled(tmp_path, {"flight": list(range(100)), "late": ~late[:100]})
    assert second.version == first.version + 1
    assert judge(folder, first).value == value
    assert judge(folder, second).value == pytest.approx(1 - value)


def test_labels_that_have_not_arrived_or_are_of_one_class_give_no_value(scored, tmp_path):
    folder, _, _ = scored
    for labels, count in (([None] * 3, 0), ([True] * 3, 3)):
        frame = {"flight": [1, 2, 3], "late": pl.Series(labels, dtype=pl.Boolean)}
        found = judge(folder, labelled(tmp_path, frame))
        assert (found.labelled, found.value, found.low, found.high) == (count, None, None, None)
    nobody = judge(tmp_path / "never", labelled(tmp_path, {"flight": [1], "late": [True]}))
    assert (nobody.predictions, nobody.labelled, nobody.value) == (0, 0, None)


def test_what_cannot_be_judged_is_said(scored, tmp_path):
    folder, _, late = scored
    good = labelled(tmp_path, {"flight": list(range(100)), "late": late[:100]})
    minutes = labelled(tmp_path, {"flight": [1, 2], "late": [0.0, 17.0]}, "minutes")
    words = labelled(tmp_path, {"flight": [1, 2], "late": ["yes", "no"]}, "words")
    for labels, changes, reason in (
        (good, {"metric": "f7"}, "UnknownMetric"),
        (good, {"column": "delay"}, "ColumnMissing"),
        (good, {"key": "tail"}, "ColumnMissing"),
        (minutes, {}, "LabelNotBinary"),
        (words, {}, "LabelNotBinary"),
    ):
        with pytest.raises(TerminalError) as caught:
            judge(folder, labels, **changes)
        assert caught.value.reason == reason


def hanley_mcneil(theta, positives, negatives):
    """With both class sizes in the inner terms replaced by their mean (Newcombe 2006, method 5)."""
    extra = (positives + negatives) / 2 - 1
    inner = 1 + extra * (1 - theta) / (2 - theta) + extra * theta / (1 + theta)
    return theta * (1 - theta) * inner / (positives * negatives)


@pytest.mark.parametrize(("auc", "positives", "negatives"), [(0.7, 60, 140), (0.5, 20, 20), (0.95, 15, 500)])
def test_the_interval_ends_where_the_score_test_does(auc, positives, negatives):
    for end in auc_interval(auc, positives, negatives):
        z = abs(auc - end) / math.sqrt(hanley_mcneil(end, positives, negatives))
        assert z == pytest.approx(1.96, abs=1e-3)


@pytest.mark.parametrize(("positives", "negatives", "shift"), [(60, 140, 0.7), (15, 85, 1.5), (200, 200, 0.2)])
def test_the_interval_holds_the_true_auc_95_times_in_100(positives, negatives, shift):
    truth = 0.5 * (1 + math.erf(shift / 2))
    generator, rounds, held = np.random.default_rng(11), 2000, 0
    for _ in range(rounds):
        good = generator.normal(shift, 1, positives)
        bad = generator.normal(0, 1, negatives)
        value = float((good[:, None] > bad[None, :]).mean())
        low, high = auc_interval(value, positives, negatives)
        held += low <= truth <= high
    assert 0.93 <= held / rounds <= 0.985


def test_a_perfect_score_over_few_rows_is_not_certain():
    low, high = auc_interval(1.0, 5, 5)
    assert low < 0.8
    assert high == 1.0
    assert auc_interval(0.0, 5, 5) == (0.0, pytest.approx(1 - low))
