"""The trainers by themselves: learning, determinism, resuming, and refusing what they cannot do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xgboost
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression

from framework.answers import ModelOutput
from framework.api.tasks import Task
from framework.scores import auc
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.models import Matrix
from framework.workloads.training.trainer import Artifact, FitSettings, Part, TrainingData
from framework.workloads.training.trainers import TRAINERS, chosen


def part(rows: int, seed: int) -> Part:
    """Column 0 is a string of four categories, 1 and 2 are numbers with gaps."""
    generator = np.random.default_rng(seed)
    x = np.column_stack([generator.integers(0, 4, rows), generator.normal(size=(rows, 2))]).astype(np.float64)
    y = (x[:, 1] + (x[:, 0] == 2) + generator.normal(size=rows) > 0.5).astype(np.float64)
    x[generator.random(x.shape) < 0.05] = np.nan
    return Part(x, y)


DATA = TrainingData(part(3000, 1), part(1000, 2), ("carrier", "delay", "wind"), {0: 4})
SIGNATURE = {
    "inputs": [
        {"name": "carrier", "dtype": "String", "nullable": True, "categories": ["A", "B", "C", "D"]},
        {"name": "delay", "dtype": "Float64", "nullable": True},
        {"name": "wind", "dtype": "Float64", "nullable": True},
    ],
    "output": {"name": "late", "kind": "probability"},
}


class Recorder:
    """A watch that keeps everything."""

    def __init__(self, start: tuple[int, Artifact] | None = None) -> None:
        self.start = start
        self.seen: list[tuple[int, float]] = []
        self.models: list[tuple[int, Artifact]] = []

    def resume(self) -> tuple[int, Artifact] | None:
        return self.start

    def report(self, rounds: int, scores: Matrix, model: Callable[[], Artifact], *, last: bool = False) -> None:
        self.seen.append((rounds, auc(DATA.validation.y, scores)))
        self.models.append((rounds, model()))


def own_logistic(data: TrainingData, params: dict, seed: int) -> LogisticRegression:
    return LogisticRegression(**params).fit(np.nan_to_num(data.train.x), data.train.y.astype(int))


def own_xgboost(data: TrainingData, params: dict, seed: int) -> xgboost.Booster:
    rows = xgboost.DMatrix(data.train.x, data.train.y)
    return xgboost.train({"objective": "binary:logistic", "seed": seed, **params}, rows, 20)


def no_model(data: TrainingData, params: dict, seed: int) -> str:
    return "model"


def unfitted(data: TrainingData, params: dict, seed: int) -> LogisticRegression:
    return LogisticRegression()


def gaps_are_its_own_matter(data: TrainingData, params: dict, seed: int) -> HistGradientBoostingRegressor:
    """As docs/kinds/training-job.md has it."""
    model = HistGradientBoostingRegressor(max_depth=params["depth"], random_state=seed)
    return model.fit(data.train.x, data.train.y, sample_weight=data.train.weight)


BOOSTED = FitSettings({"num_leaves": 7}, rounds=40, seed=3)
XGBOOSTED = FitSettings({"max_depth": 3}, rounds=40, seed=3)
BOTH = [("lightgbm", BOOSTED), ("xgboost", XGBOOSTED)]
LOGISTIC = FitSettings({"C": 0.5}, 1, 3, entrypoint="sklearn.linear_model.LogisticRegression")
FOREST = FitSettings({"n_estimators": 20}, 1, 3, entrypoint="sklearn.ensemble.RandomForestClassifier")


def scores(artifact: Artifact, folder: Path) -> Matrix:
    """What the saved model says about the validation rows."""
    path, sha256 = models.save(str(folder), artifact.data, artifact.format)
    return models.load(path, sha256, artifact.format, SIGNATURE)._score(DATA.validation.x)


@pytest.mark.parametrize(("name", "settings"), [*BOTH, ("sklearn", LOGISTIC), ("sklearn", FOREST)])
def test_equal_settings_give_equal_bytes_and_a_model_that_learned(
    name: str, settings: FitSettings, tmp_path: Path
) -> None:
    watch = Recorder()
    first = TRAINERS[name].fit(DATA, settings, watch)
    assert TRAINERS[name].fit(DATA, settings, Recorder()).data == first.data
    found = auc(DATA.validation.y, scores(first, tmp_path))
    assert found > 0.7
    assert watch.seen[-1] == (settings.rounds, pytest.approx(found))


def test_another_seed_gives_another_forest() -> None:
    one, two = (TRAINERS["sklearn"].fit(DATA, replace(FOREST, seed=seed), Recorder()).data for seed in (1, 2))
    assert one != two


@pytest.mark.parametrize(("name", "settings"), BOTH)
def test_boosting_is_looked_at_ten_times(name: str, settings: FitSettings) -> None:
    watch = Recorder()
    TRAINERS[name].fit(DATA, settings, watch)
    assert [rounds for rounds, _ in watch.seen] == list(range(4, 41, 4))


@pytest.mark.parametrize(("name", "settings"), BOTH)
@pytest.mark.parametrize("rounds", [1, 3, 25])
def test_the_last_round_is_always_reported(name: str, settings: FitSettings, rounds: int) -> None:
    watch = Recorder()
    TRAINERS[name].fit(DATA, replace(settings, rounds=rounds), watch)
    assert watch.seen[-1][0] == rounds


def test_boosting_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    full = Recorder()
    TRAINERS["lightgbm"].fit(DATA, BOOSTED, full)
    halfway = next(model for model in full.models if model[0] == 20)
    watch = Recorder(halfway)
    resumed = TRAINERS["lightgbm"].fit(DATA, BOOSTED, watch)
    assert [rounds for rounds, _ in watch.seen] == list(range(24, 41, 4))
    assert resumed.data.count(b"Tree=") == 40
    assert np.allclose(scores(resumed, tmp_path), scores(full.models[-1][1], tmp_path), atol=0.02)


@pytest.mark.parametrize(("name", "settings"), [*BOTH, ("sklearn", LOGISTIC)])
def test_a_finished_fit_is_not_repeated(name: str, settings: FitSettings) -> None:
    done = TRAINERS[name].fit(DATA, settings, Recorder())
    watch = Recorder((settings.rounds, done))
    assert TRAINERS[name].fit(DATA, settings, watch).data == done.data
    assert watch.seen == []


def test_an_unseen_category_is_no_category(tmp_path: Path) -> None:
    for name, settings in (*BOTH, ("sklearn", LOGISTIC)):
        artifact = TRAINERS[name].fit(DATA, settings, Recorder())
        path, sha256 = models.save(str(tmp_path), artifact.data, artifact.format)
        predictor = models.load(path, sha256, artifact.format, SIGNATURE)
        rows = [{"carrier": carrier, "delay": 0.1, "wind": 0.2} for carrier in ("Z", None)]
        unseen, missing = predictor.predict(models.frame_of(rows, SIGNATURE))
        assert 0 < unseen == missing < 1


@pytest.mark.parametrize("name", ["sklearn", "lightgbm", "xgboost"])
@pytest.mark.parametrize("inputs", [("note",), ("note", "remark"), ("note", "wind"), ("none", "note"), ("none",)])
def test_a_column_without_a_value_in_training_is_no_obstacle(
    name: str, inputs: tuple[str, ...], tmp_path: Path
) -> None:
    """``note`` and ``remark`` are Strings, ``none`` is a number; what a caller sends for them later says nothing."""
    settings = dict(BOTH).get(name, LOGISTIC)
    x = np.where(np.array(inputs) == "wind", np.linspace(-1, 1, 300)[:, None], np.nan)
    half = Part(x, (np.linspace(-1, 1, 300) > 0).astype(np.float64))
    strings = [index for index, column in enumerate(inputs) if column in ("note", "remark")]
    data = TrainingData(half, half, inputs, dict.fromkeys(strings, 0))
    artifact = TRAINERS[name].fit(data, settings, _Watch())
    path, sha256 = models.save(str(tmp_path), artifact.data, artifact.format)
    signature = {
        "inputs": [
            {"name": column, "dtype": "String", "nullable": True, "categories": []}
            if index in strings
            else {"name": column, "dtype": "Float64", "nullable": True}
            for index, column in enumerate(inputs)
        ],
        "output": {"name": "late", "kind": "probability"},
    }
    rows = [{column: ("hello" if index in strings else 0.5) for index, column in enumerate(inputs)}, {}]
    answers = models.load(path, sha256, artifact.format, signature).predict(models.frame_of(rows, signature))
    assert np.isfinite(answers).all()


class _Watch(Recorder):
    def report(self, rounds: int, scores: Matrix, model: Callable[[], Artifact], *, last: bool = False) -> None:
        assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    "names",
    [
        ("Air temperature [K]", "a b", "a_b"),
        ('q"uote', "co:lon", "com,ma"),
        ("a b", "a:b", "a_b_1"),
        ("a<b", "a[b", "a]b"),
    ],
)
def test_columns_may_have_any_name(names: tuple[str, ...]) -> None:
    plain = TRAINERS["lightgbm"].fit(DATA, BOOSTED, Recorder())
    other = TRAINERS["lightgbm"].fit(replace(DATA, names=names), BOOSTED, Recorder())
    assert other.data.count(b"Tree=") == plain.data.count(b"Tree=")
    assert TRAINERS["sklearn"].fit(replace(DATA, names=names), LOGISTIC, Recorder()).format == "skops"
    watch = Recorder()
    TRAINERS["xgboost"].fit(replace(DATA, names=names), XGBOOSTED, watch)
    assert watch.seen[-1][1] > 0.7


def test_a_function_can_bring_its_own_model() -> None:
    settings = FitSettings({"C": 2.0}, 1, 3, entrypoint=f"{__name__}:own_logistic")
    data = replace(DATA, validation=Part(np.nan_to_num(DATA.validation.x), DATA.validation.y))
    artifact = TRAINERS["function"].fit(data, settings, Recorder())
    assert artifact.format == "skops"
    watch = Recorder()
    settings = replace(settings, params={"max_depth": 3}, entrypoint=f"{__name__}:own_xgboost")
    artifact = TRAINERS["function"].fit(DATA, settings, watch)
    assert artifact.format == "xgboost-ubj"
    assert watch.seen[-1][1] > 0.7
    wrong = replace(settings, params={"objective": "multi:softprob", "num_class": 2})
    with pytest.raises(WorkloadError, match="a model that does not fit its task"):
        TRAINERS["function"].fit(DATA, wrong, Recorder())
    with pytest.raises(WorkloadError, match="returned str"):
        TRAINERS["function"].fit(DATA, replace(settings, entrypoint=f"{__name__}:no_model"), Recorder())
    with pytest.raises(WorkloadError, match="unfitted returned a model that cannot answer: This LogisticRegression in"):
        TRAINERS["function"].fit(DATA, replace(settings, entrypoint=f"{__name__}:unfitted"), Recorder())


def test_a_function_is_given_what_the_documentation_says() -> None:
    settings = FitSettings({"depth": 3}, 1, 3, entrypoint=f"{__name__}:gaps_are_its_own_matter")
    data = replace(DATA, output=ModelOutput("late", Task.REGRESSION))
    artifact = TRAINERS["function"].fit(data, settings, Recorder())
    assert artifact.format == "skops"


@pytest.mark.parametrize(
    ("name", "settings", "reason", "told"),
    [
        ("sklearn", replace(LOGISTIC, params={"Cc": 1}), "UnknownParameter", "did you mean 'C'"),
        ("sklearn", replace(LOGISTIC, entrypoint="sklearn.linear_model.Logistic"), "EstimatorMissing", "Logistic"),
        (
            "sklearn",
            replace(LOGISTIC, entrypoint="sklearn.linear_model.Ridge", params={}),
            "EstimatorMissing",
            "predict_proba",
        ),
        ("sklearn", replace(LOGISTIC, params={"C": -1}), "TrainerFailed", "C"),
        ("lightgbm", replace(BOOSTED, params={"num_threads": 8}), "UnknownParameter", "num_threads"),
        ("lightgbm", replace(BOOSTED, params={"num_leaves": 1}), "TrainerFailed", "num_leaves"),
        (
            "xgboost",
            replace(XGBOOSTED, params={"max_bin": 1}),
            "TrainerFailed",
            "XGBoost refused: value 1 for Parameter",
        ),
    ],
)
def test_mistakes_are_named(name: str, settings: FitSettings, reason: str, told: str) -> None:
    with pytest.raises(WorkloadError, match=told) as caught:
        TRAINERS[name].fit(DATA, settings, Recorder())
    assert caught.value.reason == reason


def test_trainers_that_are_not_there_are_named() -> None:
    with pytest.raises(WorkloadError, match="allowed: sklearn, lightgbm, xgboost, torch, function"):
        chosen({"sklearn": None, "jax": {"entrypoint": "a:b"}}, 1, 1)
    name, settings = chosen({"lightgbm": {"params": {"eta": 0.1}, "rounds": 9}, "sklearn": None}, seed=4, threads=2)
    assert (name, settings.rounds, settings.seed, settings.threads) == ("lightgbm", 9, 4, 2)
