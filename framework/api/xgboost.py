"""The parameters that XGBoost knows, and which of them no spec may set.

It goes on without those that it does not know, so a misspelt one would be set, or searched over, without any effect.
The rules of specs and the trainer have to mean the same, so both go by this table, and neither needs the library.
"""

from __future__ import annotations

from collections.abc import Mapping

from framework.api.tasks import Task

_ALIASES: Mapping[str, str] = {
    "learning_rate": "eta",
    "min_split_loss": "gamma",
    "nthread": "n_jobs",
    "reg_alpha": "alpha",
    "reg_lambda": "lambda",
    "seed": "random_state",
}
"""Those that go by two names: the one that XGBoost goes by, and the other."""

_OTHERS = """
    aft_loss_distribution aft_loss_distribution_scale base_score boost_from_average booster colsample_bylevel
    colsample_bynode colsample_bytree debug_synchronize default_direction device disable_default_eval_metric eval_metric
    fail_on_invalid_gpu_id feature_selector grow_policy huber_slope interaction_constraints lambdarank_bias_norm
    lambdarank_normalization lambdarank_num_pair_per_sample lambdarank_pair_method lambdarank_score_normalization
    lambdarank_unbiased max_bin max_cached_hist_node max_cat_threshold max_cat_to_onehot max_delta_step max_depth
    max_leaves max_row_perbatch min_child_weight monotone_constraints multi_strategy ndcg_exp_gain normalize_type
    num_class num_feature num_parallel_tree num_target one_drop objective opt_dense_col process_type quantile_alpha
    rate_drop refresh_leaf sample_type sampling_method scale_pos_weight seed_per_iteration skip_drop sparse_threshold
    subsample tolerance top_k tree_method tweedie_variance_power updater validate_parameters verbosity
"""

_ARGUMENTS = """
    data early_stopping_rounds enable_categorical feature_names feature_types gpu_id missing model_in model_out
    n_estimators num_boost_round num_round predictor xgb_model
"""
"""No parameters of boosting, but of the ways to it: functions, the estimators for scikit-learn, older versions."""

CANONICAL: Mapping[str, str] = {
    **{name: name for name in (*_ALIASES, *_OTHERS.split(), *_ARGUMENTS.split())},
    **{other: name for name, other in _ALIASES.items()},
}
"""What XGBoost calls a parameter, by each of its names."""

ARGUMENTS = frozenset(_ARGUMENTS.split())
PARAMETERS = frozenset(CANONICAL)
_CHANGEABLE = """
    colsample_bylevel colsample_bynode colsample_bytree grow_policy learning_rate max_cat_threshold max_delta_step
    max_depth max_leaves min_child_weight min_split_loss reg_alpha reg_lambda subsample
"""
CHANGEABLE = frozenset(_CHANGEABLE.split())
"""As of LightGBM, see there."""

_DECLARED = "it names a file, and a spec reads none that it does not declare"
_ROUNDS = "it follows from rounds: write trainer.xgboost.rounds"
_INPUTS = "it follows from the inputs and their dtypes, of which String ones are categories: leave it out"
_MEASURED = "it has no effect: all metrics of the task are measured, and tune.metric says which one chooses"
_FIXED = "the trainer fixes it, so that the same fit gives the same bytes: leave it out"
_LINEAR = "it is for booster gblinear, which knows no categories: write trainer.sklearn with a linear estimator"
_ANEW = "it is for trees that there are already: a fit begins anew, or at its own checkpoint"
_SURVIVAL = "it is for survival times, which no task learns: leave it out"
_GONE = "XGBoost has it no longer: write device"
_REASONS: Mapping[str, str] = {
    "aft_loss_distribution": _SURVIVAL,
    "aft_loss_distribution_scale": _SURVIVAL,
    "boost_from_average": "it follows from base_score: write that, or leave both out",
    "data": f"{_DECLARED}: dataset says what is learned from",
    "disable_default_eval_metric": _MEASURED,
    "early_stopping_rounds": "it is no parameter here: write trainer.xgboost.earlyStopping",
    "enable_categorical": _INPUTS,
    "eval_metric": _MEASURED,
    "fail_on_invalid_gpu_id": "a fit that finds no GPU for its device always fails: leave it out",
    "feature_names": _INPUTS,
    "feature_selector": _LINEAR,
    "feature_types": _INPUTS,
    "gpu_id": _GONE,
    "max_row_perbatch": _LINEAR,
    "missing": "it is what the data has as null or NaN: leave it out",
    "model_in": f"{_DECLARED}: a fit begins anew, or at its own checkpoint",
    "model_out": "it has XGBoost write files of its own: the run keeps the model and what it was made of",
    "n_estimators": _ROUNDS,
    "nthread": "it follows from resources.cpusPerWorker",
    "num_boost_round": _ROUNDS,
    "num_class": "it follows from the values of the label: leave it out",
    "num_feature": _INPUTS,
    "num_round": _ROUNDS,
    "num_target": "it follows from the task: leave it out",
    "predictor": _GONE,
    "process_type": _ANEW,
    "quantile_alpha": "it follows from the quantiles: write dataset.quantiles",
    "refresh_leaf": _ANEW,
    "seed": "it follows from seed: write spec.seed",
    "seed_per_iteration": _FIXED,
    "tolerance": _LINEAR,
    "top_k": _LINEAR,
    "updater": "it follows from tree_method: write that",
    "validate_parameters": "parameters are looked at before a run, all of them: leave it out",
    "verbosity": "it changes what is printed, and nothing that is learned: leave it out",
    "xgb_model": f"{_DECLARED}: a fit begins anew, or at its own checkpoint",
}
DERIVED: Mapping[str, str] = {name: _REASONS[of] for name, of in CANONICAL.items() if of in _REASONS}
"""Why a parameter cannot be set, by each of its names."""

OBJECTIVES: Mapping[Task, tuple[str, ...]] = {
    Task.BINARY: ("binary:logistic", "reg:logistic"),
    Task.MULTICLASS: ("multi:softprob",),
    Task.REGRESSION: (
        "reg:squarederror", "reg:squaredlogerror", "reg:absoluteerror", "reg:pseudohubererror", "count:poisson",
        "reg:gamma", "reg:tweedie",
    ),
    Task.QUANTILE: ("reg:quantileerror",),
    Task.RANKING: ("rank:ndcg", "rank:pairwise", "rank:map"),
}  # fmt: skip
"""Those whose answers are what the task asks for; the first is taken where none is set."""

WORDS: Mapping[str, tuple[str, ...]] = {
    "booster": ("gbtree", "dart"),
    "default_direction": ("learn", "left", "right"),
    "device": ("cpu", "cuda", "gpu"),
    "grow_policy": ("depthwise", "lossguide"),
    "lambdarank_pair_method": ("topk", "mean"),
    "multi_strategy": ("one_output_per_tree", "multi_output_tree"),
    "normalize_type": ("tree", "forest"),
    "sample_type": ("uniform", "weighted"),
    "sampling_method": ("uniform", "gradient_based"),
    "tree_method": ("auto", "hist", "approx", "exact"),
}
"""The words of a parameter that takes words. Of devices those without a number: which one it is, the cluster says. The
booster gblinear is not among them, because it knows no categories."""

NUMBERS_ALONE = frozenset({("multi_strategy", "multi_output_tree"), ("tree_method", "exact")})
"""What XGBoost does not do where an input is a category."""

BY_COLUMN = frozenset({"monotone_constraints"})
"""Those that have one number for each input of the model."""
