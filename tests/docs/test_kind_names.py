"""What is to be known of a kind stands in its own folders: nobody else names one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.kinds import KINDS
from tests.docs.test_pure_rooms import ALL, name_of

NAMES = frozenset(KINDS) - {"Environment"}
"""The Environment is what the others run in: whoever opens a project reads its spec."""
HOMES = ("framework/kinds/", "controllers/kinds/")
SHARED = {"framework.kinds": {"KINDS", "environment"}, "controllers.kinds": {"observer", "trail"}}
"""What there is in these for everybody."""
MAY = {
    "controllers/host/wiring.py": "registers what observes each kind",
    "controllers/commands/lineage.py": "is asked about models by the names that the registry has, too",
    "controllers/commands/rollouts.py": "mlopsctl rollout is about ModelDeployments alone",
    "framework/workloads/training/dataset.py": "names what it joins in messages of its own",
}


def named(tree: ast.AST) -> Iterator[str]:
    """Kinds that are named, as ``line: what``: by a text that is one or begins a Ref, or by an import."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if text.partition("/")[0] in NAMES:
                yield f"{node.lineno}: {text}"
            case ast.ImportFrom(module=str(module), names=imported):
                for item in imported:
                    room, _, inside = f"{module}.{item.name}".partition(".kinds.")
                    if inside and inside.partition(".")[0] not in SHARED.get(f"{room}.kinds", {inside}):
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
        "from controllers.kinds.models import job",
    ],
)
def test_a_kind_that_is_named_would_be_noticed(code: str) -> None:
    assert len(list(named(ast.parse(code)))) == 1


def test_what_only_speaks_of_one_is_left_alone() -> None:
    spoken = '"""A FeatureView, or TrainingJob/a."""\nfrom framework.kinds import KINDS\n'
    opened = "from framework.kinds.environment.spec import EnvironmentSpec\n"
    assert list(named(ast.parse(spoken + opened))) == []
