"""LightGBM's own text form; and several of them, one for each quantile."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from framework.answers import Matrix, ModelOutput
from framework.workloads.formats.form import Score


def load(data: bytes, output: ModelOutput) -> Score:
    import lightgbm

    booster = lightgbm.Booster(model_str=data.decode())

    def score(matrix: Matrix) -> Matrix:
        # One thread: a request has few rows, and replicas share the machine's cores.
        return np.asarray(booster.predict(matrix, num_threads=1), dtype=np.float64)

    return score


def contributions(data: bytes, output: ModelOutput) -> Score:
    """Exact ones, by TreeSHAP; the last column of each number of an answer is the mean one."""
    import lightgbm

    booster = lightgbm.Booster(model_str=data.decode())

    def explain(matrix: Matrix) -> Matrix:
        found = np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=1), dtype=np.float64)
        shares: Matrix = np.abs(found.reshape(len(matrix), -1, matrix.shape[1] + 1)[:, :, :-1]).sum(axis=1)
        return shares

    return explain


def contributions_of_several(data: bytes, output: ModelOutput) -> Score:
    each = [contributions(text.encode(), output) for text in json.loads(data)]
    return lambda matrix: np.sum([explain(matrix) for explain in each], axis=0)


def load_several(data: bytes, output: ModelOutput) -> Score:
    """In the order of the quantiles. Where two cross they change places (Chernozhukov, Fernandez-Val and Galichon,
    Econometrica 78, 2010)."""
    scores = [load(text.encode(), output) for text in json.loads(data)]
    return lambda matrix: rising([score(matrix) for score in scores])


def dump_several(texts: Sequence[str]) -> bytes:
    return json.dumps(list(texts)).encode()


def rising(answers: Sequence[Matrix]) -> Matrix:
    """(rows, quantiles), each row in order."""
    return np.sort(np.stack(answers, axis=1), axis=1)
