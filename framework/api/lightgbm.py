"""The parameters that LightGBM knows, and which of them no spec may set.

It ignores what it does not know, so a misspelt one would be set, or searched over, without any effect. The rules of
specs and the trainer have to mean the same, so both go by this table, and neither needs the library for it.
"""

from __future__ import annotations

from collections.abc import Mapping

from framework.api.tasks import Task

_ALIASES: Mapping[str, str] = {
    "bagging_fraction": "bagging sub_row subsample",
    "bagging_freq": "subsample_freq",
    "bagging_seed": "bagging_fraction_seed",
    "bin_construct_sample_cnt": "subsample_for_bin",
    "boosting": "boost boosting_type",
    "categorical_feature": "cat_column cat_feature categorical_column categorical_features",
    "config": "config_file",
    "convert_model": "convert_model_file",
    "data": "data_filename train train_data train_data_file",
    "data_random_seed": "data_seed",
    "device_type": "device",
    "drop_rate": "rate_drop",
    "early_stopping_round": "early_stopping early_stopping_rounds n_iter_no_change",
    "enable_bundle": "bundle is_enable_bundle",
    "eval_at": "map_at map_eval_at ndcg_at ndcg_eval_at",
    "extra_trees": "extra_tree",
    "feature_contri": "fc feature_contrib feature_penalty fp",
    "feature_fraction": "colsample_bytree sub_feature",
    "feature_fraction_bynode": "colsample_bynode sub_feature_bynode",
    "forcedsplits_filename": "forced_splits forced_splits_file forced_splits_filename fs",
    "group_column": "group group_id query query_column query_id",
    "header": "has_header",
    "histogram_pool_size": "hist_pool_size",
    "ignore_column": "blacklist ignore_feature",
    "input_model": "model_in model_input",
    "is_enable_sparse": "enable_sparse is_sparse sparse",
    "is_provide_training_metric": "is_training_metric train_metric training_metric",
    "is_unbalance": "unbalance unbalanced_sets",
    "label_column": "label",
    "lambda_l1": "l1_regularization reg_alpha",
    "lambda_l2": "l2_regularization lambda reg_lambda",
    "learning_rate": "eta shrinkage_rate",
    "linear_tree": "linear_trees",
    "local_listen_port": "local_port port",
    "machine_list_filename": "machine_list machine_list_file mlist",
    "machines": "nodes workers",
    "max_bin": "max_bins",
    "max_delta_step": "max_leaf_output max_tree_output",
    "metric": "metric_types metrics",
    "metric_freq": "output_freq",
    "min_data_in_leaf": "min_child_samples min_data min_data_per_leaf min_samples_leaf",
    "min_gain_to_split": "min_split_gain",
    "min_sum_hessian_in_leaf": "min_child_weight min_hessian min_sum_hessian min_sum_hessian_per_leaf",
    "monotone_constraints": "mc monotone_constraint monotonic_cst",
    "monotone_constraints_method": "mc_method monotone_constraining_method",
    "monotone_penalty": "mc_penalty monotone_splits_penalty ms_penalty",
    "neg_bagging_fraction": "neg_bagging neg_sub_row neg_subsample",
    "num_class": "num_classes",
    "num_iterations": (
        "max_iter n_estimators n_iter nrounds num_boost_round num_iteration num_round num_rounds num_tree num_trees"
    ),
    "num_leaves": "max_leaf max_leaf_nodes max_leaves num_leaf",
    "num_machines": "num_machine",
    "num_threads": "n_jobs nthread nthreads num_thread",
    "objective": "app application loss objective_type",
    "output_model": "model_out model_output",
    "output_result": "name_pred pred_name predict_name predict_result prediction_name prediction_result",
    "pos_bagging_fraction": "pos_bagging pos_sub_row pos_subsample",
    "pre_partition": "is_pre_partition",
    "predict_contrib": "contrib is_predict_contrib",
    "predict_leaf_index": "is_predict_leaf_index leaf_index",
    "predict_raw_score": "is_predict_raw_score predict_rawscore raw_score",
    "save_binary": "is_save_binary is_save_binary_file",
    "seed": "random_seed random_state",
    "snapshot_freq": "save_period",
    "task": "task_type",
    "top_k": "topk",
    "tree_learner": "tree tree_learner_type tree_type",
    "two_round": "two_round_loading use_two_round_loading",
    "valid": "test test_data test_data_file valid_data valid_data_file valid_filenames",
    "verbosity": "verbose",
    "weight_column": "weight",
}
"""Those that go by several names: the one that LightGBM goes by, and the others."""

_OTHERS = """
    alpha auc_mu_weights bagging_by_query boost_from_average cat_l2 cat_smooth cegb_penalty_feature_coupled
    cegb_penalty_feature_lazy cegb_penalty_split cegb_tradeoff convert_model_language data_sample_strategy
    deterministic drop_seed early_stopping_min_delta extra_seed fair_c feature_fraction_seed feature_pre_filter
    first_metric_only force_col_wise force_row_wise forcedbins_filename gpu_device_id gpu_device_id_list
    gpu_platform_id gpu_use_dp interaction_constraints label_gain lambdarank_norm
    lambdarank_position_bias_regularization lambdarank_truncation_level linear_lambda max_bin_by_feature
    max_cat_threshold max_cat_to_onehot max_depth max_drop min_data_in_bin min_data_per_group multi_error_top_k
    num_gpu num_grad_quant_bins num_iteration_predict objective_seed other_rate parser_config_file path_smooth
    poisson_max_delta_step precise_float_parser pred_early_stop pred_early_stop_freq pred_early_stop_margin
    predict_disable_shape_check quant_train_renew_leaf refit_decay_rate reg_sqrt saved_feature_importance_type
    scale_pos_weight sigmoid skip_drop start_iteration_predict stochastic_rounding time_out top_rate
    tweedie_variance_power uniform_drop use_missing use_quantized_grad xgboost_dart_mode zero_as_missing
"""

CANONICAL: Mapping[str, str] = {
    **{name: name for name in (*_ALIASES, *_OTHERS.split())},
    **{other: name for name, others in _ALIASES.items() for other in others.split()},
}
"""What LightGBM calls a parameter, by each of its names."""

PARAMETERS = frozenset(CANONICAL)
_CHANGEABLE = """
    bagging_fraction bagging_freq cat_l2 cat_smooth extra_trees feature_fraction feature_fraction_bynode lambda_l1
    lambda_l2 learning_rate max_cat_threshold max_delta_step max_depth min_data_in_leaf min_data_per_group
    min_gain_to_split min_sum_hessian_in_leaf num_leaves path_smooth
"""
CHANGEABLE = frozenset(_CHANGEABLE.split())
"""What each tree is grown by, and what may change while a fit goes on from a checkpoint. What the rows are prepared by,
what is learned from them and how trees are added up may not: the trees before would mean something else."""


def names(*parameters: str) -> tuple[str, ...]:
    """All names of parameters that are given by LightGBM's own."""
    return tuple(name for name, of in CANONICAL.items() if of in parameters)


_DECLARED = "it names a file, and a spec reads none that it does not declare"
_COLUMNS = "it names a column of a file that LightGBM would read by itself: dataset says what is learned from"
_READING = "it says how LightGBM would read a file by itself, which it never does here: leave it out"
_WRITES = "it has LightGBM write files of its own: the run keeps the model and what it was made of"
_MACHINES = "it follows from resources.workers, whose addresses only the run knows"
_LAYOUT = "the trainer fixes it, so that the same fit gives the same bytes: leave it out"
_REASONS: Mapping[str, str] = {
    "categorical_feature": "it follows from the dtypes of the columns, of which String ones are categories",
    "config": f"{_DECLARED}: write its parameters here",
    "convert_model": _WRITES,
    "data": f"{_DECLARED}: dataset says what is learned from",
    "deterministic": _LAYOUT,
    "early_stopping_round": "it is no parameter here: write trainer.lightgbm.earlyStopping",
    "force_col_wise": _LAYOUT,
    "force_row_wise": _LAYOUT,
    "forcedbins_filename": f"{_DECLARED}: leave it out",
    "forcedsplits_filename": f"{_DECLARED}: leave it out",
    "group_column": _COLUMNS,
    "header": _READING,
    "ignore_column": _COLUMNS,
    "input_model": f"{_DECLARED}: a fit begins anew, or at its own checkpoint",
    "label_column": _COLUMNS,
    "local_listen_port": _MACHINES,
    "machine_list_filename": f"it names a file, and {_MACHINES.removeprefix('it ')}",
    "machines": _MACHINES,
    "num_class": "it follows from the values of the label: leave it out",
    "num_iterations": "it follows from rounds: write trainer.lightgbm.rounds",
    "num_machines": _MACHINES,
    "num_threads": "it follows from resources.cpusPerWorker",
    "output_model": _WRITES,
    "output_result": _WRITES,
    "parser_config_file": f"{_DECLARED}: dataset says what is learned from",
    "pre_partition": _MACHINES,
    "precise_float_parser": _READING,
    "save_binary": _WRITES,
    "seed": "it follows from seed: write spec.seed",
    "snapshot_freq": f"{_WRITES}, as often as checkpoint says",
    "task": "a run trains, and does nothing else: leave it out",
    "time_out": _MACHINES,
    "tree_learner": _MACHINES,
    "two_round": _READING,
    "valid": f"{_DECLARED}: dataset.split says which rows choose",
    "weight_column": _COLUMNS,
}
DERIVED: Mapping[str, str] = {name: _REASONS[of] for name, of in CANONICAL.items() if of in _REASONS}
"""Why a parameter cannot be set, by each of its names."""

OBJECTIVES: Mapping[Task, tuple[str, ...]] = {
    Task.BINARY: ("binary", "cross_entropy", "xentropy"),
    Task.MULTICLASS: ("multiclass", "softmax", "multiclassova", "multiclass_ova", "ova", "ovr"),
    Task.REGRESSION: (
        "regression", "regression_l2", "l2", "mean_squared_error", "mse", "l2_root", "root_mean_squared_error", "rmse",
        "regression_l1", "l1", "mean_absolute_error", "mae", "huber", "fair", "poisson", "mape",
        "mean_absolute_percentage_error", "gamma", "tweedie",
    ),
    Task.QUANTILE: ("quantile",),
    Task.RANKING: ("lambdarank", "rank_xendcg", "xendcg", "xe_ndcg", "xe_ndcg_mart", "xendcg_mart"),
}  # fmt: skip
"""Those whose answers are what the task asks for; the first is taken where none is set."""

BY_COLUMN = frozenset({
    "cegb_penalty_feature_coupled", "cegb_penalty_feature_lazy", "feature_contri", "max_bin_by_feature",
    "monotone_constraints",
})  # fmt: skip
"""Those that have one number for each input of the model. LightGBM dies of some that it is given wrongly."""
