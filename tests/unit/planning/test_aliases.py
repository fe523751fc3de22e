"""Which names the versions of a model have now."""

from __future__ import annotations

from datetime import timedelta

import pytest

from framework.api.aliases import circle, stands_for
from framework.api.errors import ConfigurationError
from framework.api.meta import Ref
from framework.planning.reports.aliases import ModelAlias, ModelUse, aliases_of
from framework.planning.reports.models import found_model
from framework.ports import ModelVersion
from tests.builders import NOW
from tests.unit.render.model_samples import version

ONE, TWO = Ref("ModelDeployment", "one"), Ref("ModelDeployment", "two")


def versions(*passed: bool) -> list[ModelVersion]:
    """``v0`` is the newest; each an hour older than the one before."""
    return [
        version(version=f"v{number}", deployable=ok, created=NOW - timedelta(hours=number))
        for number, ok in enumerate(passed)
    ]


def named(models: list[ModelVersion], uses: dict[str, list[ModelUse]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for alias in aliases_of(models, uses, ()):
        found.setdefault(alias.name, []).append(alias.version)
    return found


STABLE, CANDIDATE = ModelUse(ONE, "stable", 90), ModelUse(ONE, "candidate", 10)


@pytest.mark.parametrize(
    ("passed", "uses", "names"),
    [
        ([], {}, {}),
        ([False], {}, {}),
        ([True], {}, {"challenger": ["v0"]}),
        ([True], {"v0": [STABLE]}, {"champion": ["v0"]}),
        ([True, True], {"v1": [STABLE]}, {"champion": ["v1"], "challenger": ["v0"]}),
        ([False, True], {"v1": [STABLE]}, {"champion": ["v1"]}),
        ([True, True], {"v0": [STABLE]}, {"champion": ["v0"]}),
        ([True, True, True], {"v2": [STABLE], "v1": [CANDIDATE]}, {"champion": ["v2"], "challenger": ["v1"]}),
        ([True, True], {"v1": [STABLE], "v0": [ModelUse(TWO, "stable", 100)]}, {"champion": ["v1", "v0"]}),
    ],
)
def test_what_serves_is_the_champion_and_what_comes_next_the_challenger(
    passed: list[bool], uses: dict[str, list[ModelUse]], names: dict[str, list[str]]
) -> None:
    assert named(versions(*passed), uses) == names


def meant(name: str, *aliases: ModelAlias) -> str:
    known = versions(True, True)
    return found_model(name, ["delay-classifier"], lambda training: known, lambda training: aliases).version


def test_a_version_is_found_by_each_of_its_names() -> None:
    names = [ModelAlias("stable", "v1"), ModelAlias("champion", "v1", deployment=ONE), ModelAlias("v0", "v1")]
    assert [meant(f"delay-classifier@{name}", *names) for name in ("stable", "champion", "v1")] == ["v1", "v1", "v1"]
    assert meant("delay-classifier@latest") == "v0"
    both = [ModelAlias("champion", "v1", deployment=one) for one in (ONE, TWO)]
    assert meant("delay-classifier@champion", *both) == "v1", "two deployments that serve the same"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("champion", "more than one champion: v0 (ModelDeployment/one), v1 (ModelDeployment/two)"),
        ("challenger", "nothing of 'delay-classifier' is being rolled out, and nothing newer has passed its gates"),
        ("stabel", "no version 'stabel' of 'delay-classifier'; did you mean 'stable'?"),
        ("gone", "no version 'gone0' of 'delay-classifier', which gone stands for"),
    ],
)
def test_a_name_that_means_nothing_or_too_much_is_told(name: str, told: str) -> None:
    names = [
        ModelAlias("champion", "v0", deployment=ONE), ModelAlias("champion", "v1", deployment=TWO),
        ModelAlias("stable", "v1"), ModelAlias("gone", "gone0"),
    ]  # fmt: skip
    with pytest.raises(ConfigurationError) as refused:
        meant(f"delay-classifier@{name}", *names)
    assert told in str(refused.value)


def test_without_a_deployment_there_is_no_champion() -> None:
    with pytest.raises(ConfigurationError, match="no deployment serves a version of 'delay-classifier'"):
        meant("delay-classifier@champion")


def test_an_alias_is_followed_to_its_end() -> None:
    assert stands_for("a", {"a": "b", "b": "c", "c": "latest"}) == "latest"
    assert circle("a", {"a": "b", "b": "c", "c": "b"}) == ()
    assert circle("b", {"a": "b", "b": "c", "c": "b"}) == ("b", "c", "b")
    assert stands_for("a", {"a": "b", "b": "a"}) in ("a", "b")
