"""Signs of leakage: found where there is one, not where there is none, and never a reason to stop."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from framework.answers import Matrix, ModelOutput
from framework.api.tasks import Task
from framework.scores import Answered
from framework.workloads import models
from framework.workloads.training.card.inside import leakage as card
from framework.workloads.training.leakage import leakage, look_at

CLASSES, QUANTILES = ("a", "b", "c"), (0.1, 0.5, 0.9)


def output(task: Task) -> ModelOutput:
    return ModelOutput(
        "y", task, CLASSES if task is Task.MULTICLASS else (), QUANTILES if task is Task.QUANTILE else ()
    )


def drawn(task: Task, rows: int = 1_200, seed: int = 1) -> pl.DataFrame:
    """The label depends a little on each of three inputs."""
    generator = np.random.default_rng(seed)
    inputs = {f"x{place}": generator.normal(size=rows) for place in range(3)}
    pull = sum(inputs.values()) + generator.normal(size=rows)
    return pl.DataFrame(inputs).with_columns(
        y=pl.Series(_label(task, pull)),
        machine=pl.Series(np.arange(rows) % 40),
        kind=pl.Series(["k", "l"] * (rows // 2)),
    )


def _label(task: Task, pull: Matrix) -> Any:
    match task:
        case Task.BINARY:
            return (pull > 0).astype(np.int8)
        case Task.MULTICLASS:
            return np.array(CLASSES)[np.digitize(pull, [-1, 1])]
    return pull


def perfect(task: Task, test: pl.DataFrame) -> Matrix:
    """Answers of a model that is right, but for a little."""
    truth = output(task).truth(test)
    match task:
        case Task.MULTICLASS:
            return np.eye(3)[truth.astype(int)] * 0.7 + 0.1
        case Task.QUANTILE:
            return np.stack([truth - 1, truth, truth + 1], axis=1)
        case Task.BINARY:
            return np.where(truth > 0, 0.8, 0.2)
    return truth


def look(task: Task, frame: pl.DataFrame, inputs: list[str], **more: Any) -> dict[str, Any]:
    half = frame.height // 2
    parts = {"train": more.pop("train", frame[:half]), "test": more.pop("test", frame[half:])}
    parts["validation"] = more.pop("validation", parts["train"][:0])
    form = models.signature_of(parts["train"], inputs, [], output(task))
    answers = more.pop("answers", perfect(task, parts["test"]))
    quantiles = QUANTILES if task is Task.QUANTILE else ()
    known = Answered(output(task).truth(parts["test"]), answers, task, quantiles=quantiles)
    seen = look_at(parts, more.get("learned", ["train"]), form, more.get("entities", []), 7)
    return leakage(seen, known, more.get("split", "random"))


@pytest.mark.parametrize("task", [Task.BINARY, Task.MULTICLASS, Task.REGRESSION, Task.QUANTILE])
def test_an_input_that_alone_says_nearly_everything_is_told(task: Task) -> None:
    frame = drawn(task)
    assert look(task, frame, ["x0", "x1", "x2"])["hints"] == []
    leaking = frame.with_columns(**{"paid back é": pl.Series(-output(task).truth(frame))})
    found = look(task, leaking, ["x0", "x1", "x2", "paid back é"])
    assert found["inputs"][0]["input"] == "paid back é"
    (hint,) = found["hints"]
    assert hint.startswith(f"paid back é alone reaches {found['metric']} ")
    assert hint.endswith("is it known before the label is?")
    assert found == look(task, leaking, ["x0", "x1", "x2", "paid back é"])


def test_a_leak_need_not_rise_or_fall_nor_be_a_number() -> None:
    frame = drawn(Task.BINARY).with_columns(
        middle=pl.when(pl.col("y") == 1).then(0.0).otherwise(pl.Series([-1.0, 1.0] * 600)),
        word=pl.when(pl.col("y") == 1).then(pl.lit("paid")).otherwise(pl.lit(None)),
        flag=pl.col("y") == 0,
    )
    found = look(Task.BINARY, frame, ["x0", "middle", "word", "flag"])
    assert [row["value"] for row in found["inputs"][:3]] == [1.0, 1.0, 1.0]
    assert len(found["hints"]) == 3


@pytest.mark.parametrize(
    "column",
    [
        pl.lit(1.0), pl.lit(None, dtype=pl.Float64), pl.lit(float("nan")), pl.lit(float("inf")),
        pl.Series("odd", [float("inf"), float("-inf")] * 600), pl.lit(None, dtype=pl.String),
        pl.Series("odd", [f"only {place}" for place in range(1_200)]), pl.Series("odd", [True, None] * 600),
    ],
)  # fmt: skip
def test_odd_columns_say_nothing_and_break_nothing(column: Any) -> None:
    frame = drawn(Task.BINARY).with_columns(column.alias("odd"))
    found = look(Task.BINARY, frame, ["x0", "odd"])
    assert {row["input"]: row["value"] for row in found["inputs"]}["odd"] == pytest.approx(0.5, abs=0.1)
    assert found["hints"] == []


def test_of_a_weak_model_the_input_that_it_goes_by_is_no_sign() -> None:
    generator = np.random.default_rng(2)
    frame = drawn(Task.BINARY)
    late = (0.5 * frame["x0"].to_numpy() + generator.normal(size=frame.height) > 0).astype(np.int8)
    frame = frame.with_columns(y=pl.Series(late))
    found = look(Task.BINARY, frame, ["x0", "x1"], answers=1 / (1 + np.exp(-frame["x0"].to_numpy()[600:])))
    assert found["inputs"][0]["value"] > 0.5 + 0.8 * (found["model"] - 0.5)
    assert found["hints"] == []


@pytest.mark.parametrize("task", [Task.RANKING, Task.BINARY])
def test_where_it_says_nothing_nothing_is_said(task: Task) -> None:
    frame = drawn(task)
    inputs = ["x0"] if task is Task.BINARY else ["x0", "x1"]
    found = look(task, frame, inputs)
    assert (found["model"], found["inputs"]) == (None, [])
    broken = look(Task.BINARY, drawn(Task.BINARY), ["x0", "x1"], answers=np.full(600, np.nan))
    assert (broken["model"], broken["inputs"]) == (None, [])


def test_rows_in_both_parts_are_counted() -> None:
    frame = drawn(Task.REGRESSION).with_columns(x2=pl.when(pl.col("kind") == "k").then(float("nan")).otherwise(1.0))
    twice = pl.concat([frame[600:900], frame[:300]])
    found = look(Task.REGRESSION, frame, ["x0", "x1", "x2"], train=frame[:600], test=twice)
    assert found["rows"] == {"equal": 300, "of": 600}
    assert "300 of 600 test rows are equal to training rows, label included" in found["hints"]
    other = twice.with_columns(y=pl.col("y") + 1)
    assert look(Task.REGRESSION, frame, ["x0", "x1", "x2"], train=frame[:600], test=other)["rows"]["equal"] == 0


def test_rows_of_all_parts_that_were_learned_from_are_counted_and_called_so() -> None:
    frame = drawn(Task.REGRESSION)
    parts = {"train": frame[:500], "validation": frame[500:700], "test": pl.concat([frame[600:900], frame[:100]])}
    entities = {"entities": ["x0"], "split": "group"}
    alone = look(Task.REGRESSION, frame, ["x0", "x1"], **entities, **parts)
    assert (alone["learned"], alone["rows"]["equal"], alone["entities"]["shared"]) == ("training rows", 100, 100)
    both = look(Task.REGRESSION, frame, ["x0", "x1"], learned=["train", "validation"], **entities, **parts)
    assert both["learned"] == "training or validation rows"
    assert (both["rows"]["equal"], both["entities"]["shared"]) == (200, 200)
    told = (
        "200 of 400 test rows are equal to training or validation rows, label included",
        "200 of 400 test rows are of an entity (x0) that training or validation rows are of, too",
    )
    for sentence in told:
        assert any(hint.startswith(sentence) for hint in both["hints"])
        (section,) = card(both)
        assert any(sentence in one for one in section.sentences)


def test_rows_that_are_equal_by_their_nature_are_no_hint() -> None:
    frame = drawn(Task.BINARY).with_columns(level=pl.Series([1, 2, 3] * 400))
    found = look(Task.BINARY, frame, ["kind", "level"])
    assert found["rows"]["equal"] > 500
    assert not [hint for hint in found["hints"] if "equal to training rows" in hint]


@pytest.mark.parametrize(("split", "told"), [("random", True), ("group", True), ("time", False)])
def test_entities_in_both_parts_are_told_unless_they_recur_by_time(split: str, told: bool) -> None:
    frame = drawn(Task.BINARY)
    found = look(Task.BINARY, frame, ["x0", "x1"], entities=["machine"], split=split)
    assert found["entities"] == {"columns": ["machine"], "shared": 600, "of": 600}
    hint = "600 of 600 test rows are of an entity (machine) that training rows are of, too"
    assert any(one.startswith(hint) for one in found["hints"]) is told
    apart = look(
        Task.BINARY, frame, ["x0", "x1"], entities=["machine"], split=split,
        train=frame.filter(pl.col("machine") < 20), test=frame.filter(pl.col("machine") >= 20),
    )  # fmt: skip
    assert apart["entities"]["shared"] == 0
    assert not [one for one in apart["hints"] if "entity" in one]
