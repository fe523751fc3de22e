"""What the installed LightGBM says of parameters before a run."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from framework.api.lightgbm import BY_COLUMN, DERIVED, OBJECTIVES, names
from framework.api.tasks import Task
from framework.workloads.training.boosting import BOUNDS, CLASSES, BoostingLibrary

_LEAVES = 31
"""As many leaves as the rows can fill: memory is taken for all that a tree may have."""
_LEAF_COUNTS = names("num_leaves")
_SHARES = names("bagging_fraction", "pos_bagging_fraction", "neg_bagging_fraction")
"""Shares of the rows, of which a small one leaves something of a real training set, and nothing of a few rows."""

_BOOSTING = ("gbdt", "gbrt", "rf", "random_forest", "dart", "goss")
_DEVICES = ("cpu", "gpu", "cuda")
_METRICS = (
    "auc", "average_precision", "binary_logloss", "binary", "binary_error", "cross_entropy", "xentropy",
    "cross_entropy_lambda", "xentlambda", "kullback_leibler", "kldiv", "l1", "mean_absolute_error", "mae",
    "regression_l1", "l2", "mean_squared_error", "mse", "regression_l2", "regression", "rmse",
    "root_mean_squared_error", "l2_root", "quantile", "mape", "mean_absolute_percentage_error", "huber", "fair",
    "poisson", "tweedie", "r2", "None", "na", "null", "custom",
)  # fmt: skip
_CONSTRAINING = ("basic", "intermediate", "advanced")
WORDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(names("boosting"), _BOOSTING),
    **dict.fromkeys(names("device_type"), _DEVICES),
    **dict.fromkeys(names("metric"), _METRICS),
    **dict.fromkeys(names("monotone_constraints_method"), _CONSTRAINING),
    "data_sample_strategy": ("bagging", "goss"),
}
"""The words of a parameter that takes words, by each of its names. Some that are none LightGBM would ignore."""

_CHECK = re.compile(r"Check failed: \((\w+)\) (>=|<=|>|<) \(([-+.\w]+)\)")
_SOURCE = re.compile(r" at \S+, line \d+ \.\s*$")
_KINDS = (
    ("should be of type int", "a whole number"),
    ("should be of type double", "a number"),
    ("Unknown token", "a number"),
    ('should be "true"', "true or false"),
    ("sto", "a list of numbers"),
)


class LightGBMLibrary(BoostingLibrary):
    title = "LightGBM"
    trainer = "lightgbm"
    derived = DERIVED
    words = WORDS
    listed = frozenset(names("metric"))
    unasked: ClassVar[frozenset[str]] = frozenset(names(*BY_COLUMN, "interaction_constraints", "device_type"))
    """Lists by column; and the device, which the cluster may have where this machine has none."""

    def said(self, params: Mapping[str, Any], *, fits: bool) -> str | None:
        import lightgbm

        task = next((one for one, able in OBJECTIVES.items() if params.get("objective") in able), self.task)
        task = task or Task.BINARY
        asked = {**params, **_OURS}
        if asked.get("objective") not in OBJECTIVES[task]:
            asked["objective"] = OBJECTIVES[task][0]
        asked |= {"num_class": CLASSES} if task is Task.MULTICLASS else {}
        if fits:
            asked |= {name: _LEAVES for name in _LEAF_COUNTS if name in asked}
            asked |= {name: 0.5 for name in _SHARES if name in asked and _below_one(asked[name])}
        x = np.arange(180, dtype=np.float64).reshape(60, 3) % 17
        y = (np.arange(60) % (2 if task is Task.BINARY else CLASSES)).astype(np.float64)
        lists = [20, 20, 20] if task is Task.RANKING else None
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                rows = lightgbm.Dataset(x, y, group=lists, params=asked, free_raw_data=False).construct()
                if fits:
                    lightgbm.train(asked, rows, 1)
        except Exception as error:  # of any kind: it also reads parameters in Python
            first = str(error).strip().splitlines() or [type(error).__name__]
            return _sentence(_SOURCE.sub("", first[0]))
        return None

    def unwritable(self, value: Any) -> str | None:
        """It is handed all parameters as one text of ``name=value`` with blanks between."""
        if isinstance(value, str):
            return "must be one word, without blanks and equals signs" if re.search(r"[\s=#]", value) else None
        return "must be a number, a word, true or false, or a list of those"

    def kind(self, message: str) -> str | None:
        return next((kind for begins, kind in _KINDS if begins in message), None)

    def bound(self, message: str) -> str | None:
        check = _CHECK.match(message)
        return f"{BOUNDS[check[2]]} {check[3]}" if check else None


def _below_one(share: Any) -> bool:
    try:
        return float(share) < 1.0
    except (TypeError, ValueError):
        return False


def _sentence(said: str) -> str:
    """Without what belongs to the library's source, except for checks of one value, which ``bound`` reads."""
    if "bagging_freq > 0 &&" in said:
        return "a random forest needs bagging_freq above 0 and bagging_fraction below 1, or feature_fraction below 1"
    plain = re.sub(r"\b(\d+\.\d+)f\b", r"\1", re.sub(r"\bconfig_?->", "", said))
    return plain if _CHECK.match(plain) else plain.replace("Check failed: ", "it demands ")


_OURS: Mapping[str, Any] = {
    "verbosity": -1, "seed": 0, "num_threads": 1, "deterministic": True, "force_row_wise": True,
}  # fmt: skip
