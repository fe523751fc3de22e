"""The prediction log joined with labels that have arrived, from the files that the workloads write."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from framework.api.errors import TerminalError
from framework.backends.performance import auc_interval
from framework.backends.profiles import Profiles
from framework.ports import TableState

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
