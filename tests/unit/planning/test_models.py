"""What is told of model versions: which one a name means, and in what two differ."""

from __future__ import annotations

from datetime import timedelta

import pytest

from framework.api.errors import ConfigurationError
from framework.planning.reports.models import (
    ModelDifference,
    compared,
    figures,
    found_model,
    model_report,
    model_row,
    result_of,
)
from framework.ports import ModelVersion
from framework.workloads.training.card import model_card
from tests.unit.render.model_samples import INPUTS, KEPT, LATER, LINEAGE, ROW, version

KNOWN = [version(version="b2", deployable=False), version(version="a12"), version(version="a1"), version(version="a2")]


def named(name: str, known: list[ModelVersion] = KNOWN) -> str:
    return found_model(name, ["delay-classifier"], lambda training: known).version


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("delay-classifier", "a12"),
        ("delay-classifier@b", "b2"),
        ("delay-classifier@a1", "a1"),
        ("delay-classifier@a2", "a2"),
    ],
)
def test_a_name_means_one_version(name: str, found: str) -> None:
    assert named(name) == found


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("delay-clasifier", "did you mean 'delay-classifier'"),
        ("delay-classifier@a", "3 versions of 'delay-classifier' begin with 'a': a12, a1, a2"),
        ("delay-classifier@c9", "no version 'c9' of 'delay-classifier'; it has b2, a12, a1, a2"),
        ("delay-classifier@", "names no version"),
    ],
)
def test_what_means_none_or_several_is_refused(name: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        named(name)
    assert told in str(refused.value)


def test_a_message_names_a_few_versions_and_counts_the_others() -> None:
    many = [version(version=f"v{number}") for number in range(9)]
    with pytest.raises(ConfigurationError, match="v0, v1, v2, v3, v4 and 4 more"):
        named("delay-classifier@x", many)
    with pytest.raises(ConfigurationError, match="it has none that can be read"):
        named("delay-classifier@x", [])


def test_what_was_kept_of_another_model_is_left_out() -> None:
    assert model_report(ROW, KEPT).kept == KEPT
    assert model_report(ROW, {**KEPT, "sha256": "0" * 64}).kept is None
    assert model_report(ROW, None).kept is None


def test_the_registry_goes_before_what_the_run_left() -> None:
    moved = model_report(ROW, {**KEPT, "artifact": "/old/model.txt", "parameters": {}, "trials": []})
    found = result_of(moved)
    assert (found["artifact"], found["parameters"]["num_leaves"]) == (ROW.model.artifact, 15)
    assert (found["diagnosis"], found["trials"]) == ({"rows": 2000}, [])
    assert found["slices"] == LINEAGE["slices"]
    alone = result_of(model_report(model_row(version(lineage={})), None))
    assert model_card("delay-classifier", "aa11bb22cc", alone).sections, "a version from before has a card, too"


def test_metrics_stand_side_by_side_in_the_order_of_their_table() -> None:
    found = figures(version(metrics={"validation_log_loss": 0.4, "log_loss": 0.5, "auc": 0.7, "not_finite": 3.0}))
    assert [(one.name, one.test, one.validation, one.live, one.loss) for one in found] == [
        ("auc", 0.7, None, 0.8125, False),
        ("log_loss", 0.5, 0.4, None, True),
        ("not_finite", 3.0, None, None, None),
    ]


def test_two_versions_differ_in_what_they_are_made_of_and_how_good_they_are() -> None:
    found = compared(ROW, LATER)
    assert found.same_rows is False
    assert list(found.differences) == [
        ModelDifference("parameters", "bagging_fraction", None, 0.5),
        ModelDifference("parameters", "learning_rate", 0.1, None),
        ModelDifference("parameters", "num_leaves", 15, 31),
        ModelDifference("metrics", "auc", 0.8342, 0.8, "worse"),
        ModelDifference("metrics", "log_loss", 0.41, 0.39, "better"),
        ModelDifference("metrics", "validation_log_loss", 0.4, None),
        ModelDifference("inputs", "carrier", "String of 3 categories", None, "removed"),
        ModelDifference("inputs", "hour", "Int64, may be missing", "Float64, may be missing", "retyped"),
        ModelDifference("data", "training set", "da" * 32, "db" * 32),
        ModelDifference("code", "commit", ROW.model.commit, "f" * 40),
        ModelDifference("libraries", "lightgbm", "4.6.0", "4.7.0"),
        ModelDifference("artefact", "sha256", "ab" * 32, "cd" * 32),
    ]


def test_a_version_does_not_differ_from_itself() -> None:
    later = model_row(version(version="other", created=ROW.model.created + timedelta(days=9)))
    assert compared(ROW, later).differences == ()
    assert compared(ROW, later).same_rows is True
    assert compared(ROW, model_row(version(lineage={}))).same_rows is None


def test_inputs_that_stay_what_they_are_may_have_other_values() -> None:
    other = [{**INPUTS[0], "categories": ["AA", "B6", "ZZ"]}, {**INPUTS[1], "nullable": False}]
    output = ROW.model.signature["output"]
    found = compared(ROW, model_row(version(signature={"inputs": other, "output": output}))).differences
    assert [(item.name, item.before, item.after, item.verdict) for item in found] == [
        ("carrier", "String of 3 categories", "String of 3 categories", "other categories"),
        ("hour", "Int64, may be missing", "Int64", ""),
    ]


def test_another_version_of_a_table_may_hold_equal_values() -> None:
    def views(number: int, content: str) -> ModelVersion:
        table = {"uri": "s3://b/x", "version": number, "build": f"b{number}", "content": content}
        return version(lineage={"views": {"x": table}})

    equal = compared(model_row(views(1, "c")), model_row(views(2, "c"))).differences
    assert equal == (ModelDifference("data", "x", "build b1, version 1", "build b2, version 2", "equal values"),)
    (other,) = compared(model_row(views(1, "c")), model_row(views(2, "d"))).differences
    assert other.verdict == ""
