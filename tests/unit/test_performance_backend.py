"""The prediction log joined with labels that have arrived, from the files that the workloads write."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from framework.api.errors import TerminalError, TransientError
from framework.backends.profiles.intervals import auc_interval
from framework.backends.profiles.store import Profiles
from framework.ports import LabelTable, TableState

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
END = START + timedelta(hours=3)
STORE = Profiles()


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


OUTPUT = {"name": "late", "kind": "probability", "task": "binary"}


def judge(folder, labels, **changes):
    given = {"metric": "auc", "output": OUTPUT, "since": START, "until": END, **changes}
    known = LabelTable(labels, given.pop("key", "flight"), given.pop("column", "late"))
    return STORE.performance(str(folder), known, **given)


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
    for changes, reason in (
        ({"metric": "f7"}, "UnknownMetric"),
        ({"column": "delay"}, "ColumnMissing"),
        ({"key": "tail"}, "ColumnMissing"),
    ):
        with pytest.raises(TerminalError) as caught:
            judge(folder, good, **changes)
        assert caught.value.reason == reason


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("labels", "counted"),
    [
        (pl.Series([0.0, 1.0, None, NAN]), (2, [])),
        (pl.Series([0.0, 1.0, 17.0, -1.0]), (2, [("neither 0 nor 1", 2, "2: 17")])),
        (pl.Series([0.0, 1.0, 0.5, INF]), (2, [("neither 0 nor 1", 2, "2: 0.5")])),
        (pl.Series([0, 1, 2, None], dtype=pl.Int8), (2, [("neither 0 nor 1", 1, "2: 2")])),
        (pl.Series([False, True, None, True]), (3, [])),
        (pl.Series(["no", "yes", None, "1"]), (0, [("neither 0 nor 1", 3, "0: no")])),
        (pl.Series([START, START, None, START]), (0, [("neither 0 nor 1", 3, f"0: {START:%Y-%m-%d %H:%M:%S}")])),
        (pl.Series([None] * 4, dtype=pl.Float64), (0, [])),
    ],
    ids=["not yet", "minutes", "no numbers", "classes", "boolean", "words", "moments", "none"],
)
def test_a_label_that_is_none_costs_that_label_and_is_told(labels, counted, scored, tmp_path):
    folder, _, _ = scored
    found = judge(folder, labelled(tmp_path, {"flight": [0, 1, 2, 3], "late": labels}))
    told = [(item.why, item.count, item.example.split(".000")[0]) for item in found.unusable]
    assert (found.labelled, told) == counted
    assert (found.value is None) is (found.labelled == 0 or len(found.classes) == 1)


def test_one_bad_label_leaves_the_others_what_they_are(scored, tmp_path):
    folder, scores, late = scored
    labels = late[:100].astype(float)
    labels[7] = 99.0
    found = judge(folder, labelled(tmp_path, {"flight": list(range(100)), "late": labels}))
    rest = [row for row in range(100) if row != 7]
    assert found.labelled == 99
    assert found.value == pytest.approx(pairs_auc(scores[rest], late[rest]), abs=1e-12)


def test_labels_of_one_key_that_contradict_each_other_are_unusable(scored, tmp_path):
    folder, _, _ = scored
    rows = {"flight": [1, 1, 2, 2, 3, 3, 4], "late": [0.0, 1.0, 1.0, 1.0, 0.0, None, 0.0]}
    for order in (slice(None), slice(None, None, -1)):
        labels = labelled(tmp_path, {name: values[order] for name, values in rows.items()})
        found = judge(folder, labels)
        assert (found.labelled, found.classes) == (3, {"0": 2, "1": 1})
        (item,) = found.unusable
        assert (item.why, item.count, item.example) == ("contradicted by another of the same key", 1, "1: 0 and 1")


def test_the_classes_are_told_as_the_table_writes_them(scored, tmp_path):
    folder, _, _ = scored
    for labels, classes in (([True] * 3, {"True": 3}), ([1] * 3, {"1": 3}), ([0.0, 0.0, 1.0], {"0": 2, "1": 1})):
        table = labelled(tmp_path, {"flight": [1, 2, 3], "late": labels}, f"labels-{labels[0]}")
        assert judge(folder, table).classes == classes


def test_a_prediction_that_is_no_number_is_left_out_and_told(tmp_path):
    folder = tmp_path / "delay-aaaaaaaaaa"
    predict(folder, [("a", "1", 0, 0.2), ("b", "2", 1, NAN), ("c", "3", 2, None), ("d", "4", 3, 0.9)])
    found = judge(folder, labelled(tmp_path, {"flight": [1, 2, 3, 4], "late": [0, 0, 1, 1]}))
    assert (found.labelled, found.value) == (2, 1.0)
    assert [(item.why, item.count) for item in found.unusable] == [("of a prediction that is no number", 2)]


KEYS = [pl.Int64, pl.Int32, pl.UInt8, pl.Float64, pl.Float32, pl.String]


@pytest.mark.parametrize("written", [str, lambda key: f"{key}.0"], ids=["7", "7.0"])
@pytest.mark.parametrize("dtype", KEYS, ids=str)
def test_a_whole_number_is_one_key_however_it_is_written(dtype, written, tmp_path):
    folder = tmp_path / "delay-aaaaaaaaaa"
    predict(
        folder, [(f"r{key}", written(key), key, key / 10) for key in range(-3 if dtype.is_signed_integer() else 0, 9)]
    )
    keys = pl.Series(range(9), dtype=pl.Int64).cast(dtype)
    found = judge(folder, labelled(tmp_path, {"flight": keys, "late": [key % 2 for key in range(9)]}))
    assert (found.labelled, found.apart) == (9, None)


def test_other_keys_are_what_they_are(tmp_path):
    folder = tmp_path / "delay-aaaaaaaaaa"
    logged = ["9007199254740993", "7.5", "007", "a.0", "", "1.00", "v1.0"]
    predict(folder, [(key, key, second, 0.5) for second, key in enumerate(logged)])

    def met(*keys, dtype=pl.String):
        return judge(folder, labelled(tmp_path, {"flight": pl.Series(keys, dtype=dtype), "late": [1] * len(keys)}))

    assert met("9007199254740992", "7", "a", "v1").labelled == 0
    assert met(9007199254740993, dtype=pl.Int64).labelled == 1
    assert met(7.5, 7.0, dtype=pl.Float64).labelled == 1
    assert met("007", "a.0", "", "1", "v1.0").labelled == 5


def test_keys_that_do_not_meet_are_told_with_one_of_each_side(scored, tmp_path):
    folder, _, _ = scored
    strange = judge(folder, labelled(tmp_path, {"flight": ["UA-1", "UA-2"], "late": [0, 1]}))
    assert (strange.labelled, strange.apart) == (0, ("0", "UA-1"))
    assert judge(folder, labelled(tmp_path, {"flight": ["UA-1", "5"], "late": [0, 1]})).apart is None
    assert judge(tmp_path / "never", labelled(tmp_path, {"flight": ["UA-1"], "late": [0]})).apart is None
    nothing = {"flight": pl.Series([], dtype=pl.Int64), "late": pl.Series([], dtype=pl.Int8)}
    assert judge(folder, labelled(tmp_path, nothing, "empty")).apart is None


def damages(data):
    """The bytes cut, emptied, replaced, and with one of them flipped here and there."""
    yield from (b"", b"no parquet", data[:-1], data[: len(data) // 2], data[8:])
    for place in range(0, len(data), max(1, len(data) // 150)):
        yield data[:place] + bytes([data[place] ^ 0x80]) + data[place + 1 :]


@pytest.mark.slow
def test_a_damaged_file_of_the_log_is_left_out_and_named(scored, tmp_path, caplog):
    folder, _, late = scored
    labels = labelled(tmp_path, {"flight": list(range(120)), "late": late})
    file = sorted(folder.iterdir())[1]
    whole, left_out = file.read_bytes(), 0
    for data in damages(whole):
        file.write_bytes(data)
        found = judge(folder, labels)
        assert found.predictions <= 120
        if found.damaged:
            assert (found.damaged, found.labelled) == ((file.name,), 80)
            left_out += 1
    assert left_out > 50
    assert file.name in caplog.text


@pytest.mark.slow
def test_a_damaged_label_table_is_an_error_that_names_it(scored, tmp_path):
    folder, _, late = scored
    labels = labelled(tmp_path, {"flight": list(range(120)), "late": late})
    (file,) = (tmp_path / "labels").glob("*.parquet")
    log = tmp_path / "labels" / "_delta_log" / "00000000000000000000.json"
    for damaged in (file, log):
        whole, told, unnoticed = damaged.read_bytes(), 0, 0
        for data in damages(whole):
            damaged.write_bytes(data)
            try:
                judge(folder, labels)
            except (TerminalError, TransientError) as error:
                told += labels.uri in str(error)
            else:
                unnoticed += 1
        assert told + unnoticed == len(list(damages(whole)))
        assert told > 10
        damaged.write_bytes(whole)


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
