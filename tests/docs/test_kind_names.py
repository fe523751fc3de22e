"""What is to be known of a kind stands in its own folders: nobody else names one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.kinds import KINDS
from tests.docs.test_pure_rooms import ALL, name_of

NAMES = {name: re.sub(r"(?<=.)(?=[A-Z])", "_", name).lower() for name in KINDS if name != "Environment"}
"""The folder of each kind. The Environment is what the others run in: whoever opens a project reads its spec."""
HOMES = ("framework/kinds/", "controllers/kinds/")
MAY = {
    "controllers/host/wiring.py": "registers what observes each kind",
    "controllers/commands/rollouts.py": "mlopsctl rollout is about ModelDeployments alone",
    "controllers/commands/lineage.py": "gathers by kind",
    "framework/workloads/training/dataset.py": "names what it joins in messages of its own",
}


def named(tree: ast.AST) -> Iterator[str]:
    """Kinds that are named, as ``line: what``: by a text that is one or begins a Ref, or by a module of one."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if text.partition("/")[0] in NAMES:
                yield f"{node.lineno}: {text}"
            case ast.ImportFrom(module=str(module), names=imported):
                for item in imported:
                    if {"kinds"} < {"kinds", *NAMES.values()} & {*module.split("."), item.name}:
                        yield f"{node.lineno}: {module}.{item.name}"


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_nobody_names_a_kind_but_its_own_folders(path: Path) -> None:
    if not name_of(path).startswith(HOMES):
        assert bool(list(named(ast.parse(path.read_text())))) == (name_of(path) in MAY)


@pytest.mark.parametrize(
    "code",
    [
        'Ref("FeatureView", name)',
        'f"TrainingJob/{name}"',
        "from framework.kinds.model_deployment.observed import DeploymentState",
        "from controllers.kinds import model_monitor",
    ],
)
def test_a_kind_that_is_named_would_be_noticed(code: str) -> None:
    assert len(list(named(ast.parse(code)))) == 1


def test_what_only_speaks_of_one_is_left_alone() -> None:
    assert list(named(ast.parse('"""A FeatureView, or TrainingJob/a."""\nfrom framework.kinds import KINDS'))) == []
