"""What is to be known of a kind stands in its own folders: nobody else names one."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from framework.kinds import KINDS
from tests.docs.test_pure_rooms import ALL, name_of, tree

NAMES = frozenset(KINDS) - {"Environment"}
"""The Environment is what the others run in: whoever opens a project reads its spec."""
HOMES = ("framework/kinds/", "controllers/kinds/")
SHARED = {"framework.kinds": {"KINDS", "environment"}, "controllers.kinds": {"observer", "trail"}}
"""What there is in these for everybody."""
MAY = {
    "controllers/host/wiring.py": "registers what observes each kind",
    "controllers/commands/features.py": "mlopsctl features is about FeatureViews alone",
    "controllers/commands/lineage.py": "is asked about models by the names that the registry has, too",
    "controllers/commands/models.py": "mlopsctl models is about what TrainingJobs leave behind",
    "controllers/commands/preview.py": "mlopsctl preview is about what TrainingJobs would make",
    "controllers/commands/rollouts.py": "mlopsctl rollout is about ModelDeployments alone",
    "controllers/commands/training.py": "mlopsctl train is about TrainingJobs and the FeatureViews that they read",
    "controllers/commands/reproduction.py": "mlopsctl reproduce is about versions of TrainingJobs and what they read",
    "framework/workloads/training/dataset.py": "names what it joins in messages of its own",
    "framework/workloads/online/lookup.py": "names what it looks up in messages of its own",
    "framework/workloads/serving/online.py": "names what it looks up in messages to callers",
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


def test_nobody_names_a_kind_but_its_own_folders() -> None:
    found = {name_of(path): list(named(tree(path))) for path in ALL if not name_of(path).startswith(HOMES)}
    assert {name: places for name, places in found.items() if places and name not in MAY} == {}
    assert [name for name in MAY if not found[name]] == [], "no longer need to"


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
