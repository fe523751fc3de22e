"""What a TrainingJob may say of the loop that fits its network, with PyTorch installed or not."""

from __future__ import annotations

import pytest

from framework import installed
from tests.unit.specs.conftest import Project
from tests.unit.specs.rules import JOB, Rule, told

_LIGHTGBM = "lightgbm: {params: {max_depth: 3}, rounds: 20}"
_OWN = 'entrypoint: "demo.networks:build"'
_SEARCH = "torch: {{{}}}\n  tune: {{search: {{{}}}}}"


def network(form: str, path: str, says: str, meant: str | None = None) -> Rule:
    return Rule(JOB, _LIGHTGBM, f"torch: {{{_OWN}, {form}}}", f"spec.trainer.torch.{path}", says, meant)


def search(form: str, path: str, says: str, meant: str | None = None) -> Rule:
    return Rule(JOB, _LIGHTGBM, _SEARCH.format(_OWN, form), f"spec.tune.search.{path}", says, meant)


RULES = [
    network("params: {learningRate: 0.1}", "params.learningRate", "no matter of the function's: write trainer.torch.l"),
    network("params: {epochs: 3}", "params.epochs", "no matter of the function's: write trainer.torch.epochs"),
    network("epochs: 0", "epochs", "must be at least 1"),
    network("learningRate: 0", "learningRate", "must be more than 0"),
    network("learningRate: .inf", "learningRate", "must be a finite number"),
    network("optimizer: Adam", "optimizer", "'Adam' is not allowed here", "adam"),
    network("precision: bfloat", "precision", "'bfloat' is not allowed here", "bfloat16"),
    network("batchsize: 3", "batchsize", "unknown key", "batchSize"),
    Rule(
        JOB,
        _LIGHTGBM,
        f"torch: {{{_OWN}, batchSize: 3}}\n  resources: {{workers: 4}}",
        "spec.trainer.torch.batchSize",
        "a step of 3 rows cannot be shared by 4 workers",
    ),
    search("epochs: {randint: [2, 9]}", "epochs", "write trainer.torch.epochs, which no search varies"),
    search("optimizer: {uniform: [0, 1]}", "optimizer", "optimizer is one of adam, adamw, sgd: say choice"),
    search("optimizer: {choice: [adam, agd]}", "optimizer.choice[1]", "'agd' is no optimizer", "sgd"),
    search("batchSize: {uniform: [1, 9]}", "batchSize", "batchSize is a whole number: say randint, or choice"),
    search("batchSize: {qloguniform: [8, 64, 8]}", "batchSize", "whole number: say qlograndint, or choice"),
    search("batchSize: {qrandint: [0, 64, 8]}", "batchSize", "batchSize is a whole number from 1 on, found 0"),
    search("optimizer: {search: {kind: {choice: [sgd]}}}", "optimizer", "optimizer is no mapping"),
    search("batchSize: {randint: [0, 9]}", "batchSize", "batchSize is a whole number from 1 on, found 0"),
    search("learningRate: {uniform: [-1, 1]}", "learningRate", "learningRate is a number above 0, found -1"),
    search("learningRate: {choice: [0.1, fast]}", "learningRate", "a number above 0, found 'fast'"),
    Rule(
        JOB,
        f"{_LIGHTGBM}\n",
        f"torch: {{{_OWN}}}\n  export: {{onnx: auto}}\n",
        "spec.export.onnx",
        "a network is stored as a graph of ONNX already",
    ),
    Rule(
        JOB,
        f"label: late\n    window: {{from: 2013-01-01, to: 2013-04-01}}\n    split: "
        f"{{by: time, fractions: {{train: 0.7, validation: 0.15, test: 0.15}}}}\n  trainer:\n    {_LIGHTGBM}",
        f"label: late\n    task: quantile\n    quantiles: [0.5]\n    window: {{last: 3d}}\n    split: "
        f"{{by: time, fractions: {{train: 0.7, validation: 0.15, test: 0.15}}}}\n  trainer:\n    torch: {{{_OWN}}}",
        "spec.trainer.torch",
        "torch cannot learn task quantile (it learns binary, multiclass, regression)",
    ),
]


@pytest.fixture
def networks(project: Project) -> Project:
    project.write("../demo/networks.py", "def build(data, params): ...\n")
    return project


@pytest.mark.parametrize("rule", RULES, ids=[f"{rule.path}-{number}" for number, rule in enumerate(RULES)])
def test_what_a_loop_cannot_do_is_told_where_it_is_written(networks: Project, rule: Rule) -> None:
    told(networks, rule)


def test_a_network_is_valid_without_pytorch(networks: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "is_there", lambda package: False)
    space = "learningRate: {loguniform: [0.0001, 0.1]}, batchSize: {choice: [64, 256]}, hidden: {randint: [4, 9]}"
    networks.edit(JOB, (_LIGHTGBM, _SEARCH.format(f"{_OWN}, params: {{depth: 2}}", space)))
    assert networks.problems() == []


def test_the_function_of_a_network_must_be_there(networks: Project) -> None:
    networks.edit(JOB, (_LIGHTGBM, 'torch: {entrypoint: "demo.networks:built"}'))
    (problem,) = networks.check().errors
    assert problem.path == "spec.trainer.torch.entrypoint"
    assert "built" in problem.message
