"""What the installed XGBoost says of parameters before a run."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from framework.api.tasks import Task
from framework.api.xgboost import BY_COLUMN, DERIVED, OBJECTIVES, PARAMETERS
from framework.workloads.formats.xgboost_ubj import said
from framework.workloads.training.boosting import BOUNDS, CLASSES, BoostingLibrary

_BOUND = re.compile(
    r"value \S+ for Parameter \w+ (?:should be (greater|smaller) (equal to|than) (\S+)|exceed bound (\S+))"
)
_KINDS = (
    (" expect int ", "a whole number"),
    (" expect float ", "a number"),
    (" expect double ", "a number"),
    (" expect boolean ", "true or false"),
    ("Some trailing characters could not be parsed", "a number"),
    ("Unknown construct, around character position", "a number"),
)
_IDLE = re.compile(r"Parameters: \{(.*)\} are not used")
_DARTS = ("normalize_type", "one_drop", "rate_drop", "sample_type", "skip_drop")
_RANKS = tuple(name for name in PARAMETERS if name.startswith(("lambdarank_", "ndcg_")))
_BESIDE: Mapping[str, Mapping[str, Any]] = {
    **{name: {"booster": "dart"} for name in _DARTS},
    **{name: {"objective": "rank:ndcg"} for name in _RANKS},
    **{name: {"tree_method": "exact"} for name in ("default_direction", "opt_dense_col")},
    "huber_slope": {"objective": "reg:pseudohubererror"},
    "tweedie_variance_power": {"objective": "reg:tweedie"},
}
"""What a parameter has an effect with, where it has none without."""
_UNDECLARED = (Task.BINARY, Task.REGRESSION, Task.MULTICLASS)
"""What a label may turn out to be."""


class XGBoostLibrary(BoostingLibrary):
    title = "XGBoost"
    trainer = "xgboost"
    derived = DERIVED
    unasked: ClassVar[frozenset[str]] = BY_COLUMN | {"interaction_constraints", "device"}
    """Lists by column; and the device, which the cluster may have where this machine has none."""

    def said(self, params: Mapping[str, Any], *, fits: bool) -> str | None:
        beside = {} if fits else {key: value for name in params for key, value in _BESIDE.get(name, {}).items()}
        return self._answer({**beside, **params}, fits=fits)[0]

    def idle(self, params: Mapping[str, Any]) -> frozenset[str]:
        return self._answer(params, fits=False)[1] & PARAMETERS  # of a name that it does not have, rules tell

    def belongs(self, name: str) -> str:
        words = [f"{key}: {value}" for key, value in _BESIDE.get(name, {}).items()]
        if words and words[0].startswith("objective: rank"):
            return "dataset.task: ranking"
        return words[0] if words else super().belongs(name)

    def _answer(self, params: Mapping[str, Any], *, fits: bool) -> tuple[str | None, frozenset[str]]:
        """What it refuses, None where one of the possible tasks would do; and what it has no use for in any."""
        given = next((one for one, able in OBJECTIVES.items() if params.get("objective") in able), self.task)
        tasks = _UNDECLARED if given is None else (given,)
        answers = [self._answer_as(task, params, fits) for task in tasks]
        fit = [idle for refused, idle in answers if refused is None]
        return (None, frozenset.intersection(*fit)) if fit else answers[0]

    @staticmethod
    def _answer_as(task: Task, params: Mapping[str, Any], fits: bool) -> tuple[str | None, frozenset[str]]:
        import xgboost

        asked = {"objective": OBJECTIVES[task][0], **params, **_MORE.get(task, {}), "nthread": 1, "seed": 0}
        if fits and "num_parallel_tree" in params:  # that many are grown, however few rows there are
            asked["num_parallel_tree"] = min(2, int(params["num_parallel_tree"]))
        x = (np.arange(180) % 17).reshape(60, 3).astype(np.float32)
        y = np.arange(60) % (2 if task in (Task.BINARY, Task.RANKING) else CLASSES)
        y += task in (Task.REGRESSION, Task.QUANTILE)  # some objectives learn what is above 0, and nothing else
        with warnings.catch_warnings(record=True) as caught, xgboost.config_context(verbosity=1):
            warnings.simplefilter("always")
            try:
                rows = xgboost.DMatrix(x, y, group=[20, 20, 20] if task is Task.RANKING else None, nthread=1)
                booster = xgboost.Booster(asked, [rows])
                booster.save_config()
                if fits:
                    booster.update(rows, 0)
            except Exception as error:  # of any kind: it also reads parameters in Python
                return said(error).partition(";")[0], frozenset()
        unused = [match[1] for one in caught if (match := _IDLE.search(str(one.message)))]
        names = {name for listed in unused for name in re.findall(r'"([^"]*)"', listed)}
        return None, frozenset(names & params.keys())

    def unwritable(self, value: Any) -> str | None:
        return None if isinstance(value, str) else "must be a number, a word, or true or false"

    def kind(self, message: str) -> str | None:
        return next((kind for part, kind in _KINDS if part in message), None)

    def bound(self, message: str) -> str | None:
        found = _BOUND.match(message)
        if found is None:
            return None
        if found[4]:
            low, high = found[4].strip("[]()").split(",")
            return f"between {low} and {high}"
        return f"{BOUNDS[('>' if found[1] == 'greater' else '<') + ('=' if found[2] == 'equal to' else '')]} {found[3]}"


_MORE: Mapping[Task, Mapping[str, Any]] = {
    Task.MULTICLASS: {"num_class": CLASSES},
    Task.QUANTILE: {"quantile_alpha": [0.5]},
}
