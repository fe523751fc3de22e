"""What every ModelRegistry promises."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest

from framework.api.errors import ConflictError
from framework.ports import ModelRegistry, ModelVersion, StateStore

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class RegistryWorld:
    """An empty registry and the state store whose lease fences it."""

    registry: ModelRegistry
    state: StateStore

    def token(self, holder: str = "a") -> int:
        lease = self.state.acquire(holder, 30.0, NOW, over=self.state.lease())
        assert lease is not None
        return lease.token


def version(name: str, training: str = "delay", created: datetime = NOW, auc: float = 0.7) -> ModelVersion:
    return ModelVersion(
        training=training,
        version=name,
        commit="c" * 40,
        created=created,
        artifact=f"/store/models/{training}/{name}/model.txt",
        sha256="0" * 64,
        format="lightgbm-text",
        signature={"inputs": [{"name": "hour", "dtype": "Float64"}]},
        profile=f"/store/models/{training}/{name}/profile",
        metrics={"auc": auc},
        parameters={"rounds": 50, "nested": {"rate": 0.1}},
        lineage={"views": {"departures": 3}},
        gates=({"metric": "auc", "passed": True},),
        deployable=True,
    )


class ModelRegistryContract:
    """Subclass it and provide a fixture ``world``."""

    def test_what_was_registered_is_found(self, world: RegistryWorld) -> None:
        assert world.registry.get("delay", "v1") is None
        assert list(world.registry.versions("delay")) == []
        world.registry.register(version("v1"), world.token())
        assert world.registry.get("delay", "v1") == version("v1")
        assert world.registry.get("delay", "v2") is None
        assert world.registry.get("other", "v1") is None

    def test_versions_are_found_by_the_names_that_stand_in_them(self, world: RegistryWorld) -> None:
        token = world.token()
        for name, training in (("v2", "delay"), ("v1", "delay"), ("v1", "arrivals")):
            world.registry.register(version(name, training), token)
        assert list(world.registry.naming(["departures"])) == [("arrivals", "v1"), ("delay", "v1"), ("delay", "v2")]
        assert list(world.registry.naming(["arrivals", "v2"])) == [("arrivals", "v1"), ("delay", "v2")]
        many = [*(f"other-{number}" for number in range(5_000)), "departures"]
        assert ("delay", "v1") in world.registry.naming(many), "however many are asked for"
        assert list(world.registry.naming(["departure"])) == list(world.registry.naming([])) == []

    def test_a_version_that_exists_is_left_as_it_is(self, world: RegistryWorld) -> None:
        token = world.token()
        world.registry.register(version("v1", auc=0.7), token)
        world.registry.register(version("v1", auc=0.9), token)
        assert list(world.registry.versions("delay")) == [version("v1", auc=0.7)]

    def test_versions_of_one_training_come_newest_first(self, world: RegistryWorld) -> None:
        token = world.token()
        middle = (NOW + timedelta(minutes=1)).astimezone(timezone(timedelta(hours=-9)))
        created = {"late": NOW + timedelta(minutes=2), "early": NOW, "middle": middle}
        for name, when in created.items():
            world.registry.register(version(name, created=when), token)
        world.registry.register(version("foreign", training="other", created=NOW + timedelta(days=1)), token)
        assert [item.version for item in world.registry.versions("delay")] == ["late", "middle", "early"]
        assert [item.version for item in world.registry.versions("other")] == ["foreign"]

    def test_at_the_same_instant_the_one_registered_later_is_newer(self, world: RegistryWorld) -> None:
        token = world.token()
        for name in ("b", "c", "a"):
            world.registry.register(version(name), token)
        world.registry.register(version("b"), token)
        assert [item.version for item in world.registry.versions("delay")] == ["a", "c", "b"]

    def test_builds_are_found_by_what_they_were_registered_for(self, world: RegistryWorld) -> None:
        token = world.token()
        assert list(world.registry.builds("delay", "i1")) == []
        first = version("b1").model_copy(update={"identity": "i1"})
        world.registry.register(first, token)
        world.registry.register(version("b2").model_copy(update={"identity": "i1"}), token)
        assert [item.version for item in world.registry.builds("delay", "i1")] == ["b2", "b1"]
        world.registry.register(first.model_copy(update={"identity": "i2"}), token)
        world.registry.register(first.model_copy(update={"identity": "i2"}), token)
        assert list(world.registry.builds("delay", "i2")) == [first], "as it is, for another identity, too"
        assert [item.version for item in world.registry.builds("delay", "i1")] == ["b2", "b1"]
        assert list(world.registry.builds("other", "i1")) == list(world.registry.builds("delay", "i3")) == []
        assert [item.version for item in world.registry.versions("delay")] == ["b2", "b1"]
        world.registry.forget("delay", token)
        assert list(world.registry.builds("delay", "i1")) == []

    def test_a_version_without_an_identity_is_the_build_of_its_name(self, world: RegistryWorld) -> None:
        world.registry.adopt(version("v1"))
        assert list(world.registry.builds("delay", "v1")) == [version("v1")]
        world.registry.register(version("v1").model_copy(update={"identity": "i2"}), world.token())
        assert list(world.registry.builds("delay", "i2")) == [version("v1")]
        assert list(world.registry.builds("delay", "v1")) == [version("v1")]

    def test_the_old_leader_cannot_register(self, world: RegistryWorld) -> None:
        with pytest.raises(ConflictError):
            world.registry.register(version("v0"), 1)
        old = world.token("a")
        world.token("b")
        with pytest.raises(ConflictError):
            world.registry.register(version("v1"), old)
        assert list(world.registry.versions("delay")) == []

    def test_all_versions_of_one_training_are_forgotten(self, world: RegistryWorld) -> None:
        token = world.token()
        for name, training in (("v1", "delay"), ("v2", "delay"), ("v1", "other")):
            world.registry.register(version(name, training=training), token)
        world.registry.forget("delay", token)
        world.registry.forget("delay", token)
        world.registry.forget("never-trained", token)
        assert list(world.registry.versions("delay")) == []
        assert world.registry.get("delay", "v1") is None
        assert list(world.registry.versions("other")) == [version("v1", training="other")]
        world.registry.register(version("v1", auc=0.9), token)
        assert world.registry.get("delay", "v1") == version("v1", auc=0.9)

    def test_what_was_registered_after_forgetting_is_newer(self, world: RegistryWorld) -> None:
        token = world.token()
        world.registry.register(version("a", training="other"), token)
        world.registry.register(version("b"), token)
        world.registry.forget("delay", token)
        world.registry.register(version("c"), token)
        world.registry.register(version("d"), token)
        assert [item.version for item in world.registry.versions("delay")] == ["d", "c"]

    def test_the_old_leader_cannot_forget(self, world: RegistryWorld) -> None:
        old = world.token("a")
        world.registry.register(version("v1"), old)
        world.token("b")
        with pytest.raises(ConflictError):
            world.registry.forget("delay", old)
        assert world.registry.get("delay", "v1") == version("v1")

    def test_a_version_of_another_environment_is_adopted_whoever_leads(self, world: RegistryWorld) -> None:
        world.registry.adopt(version("v1"))
        assert world.registry.get("delay", "v1") == version("v1")
        token = world.token()
        world.registry.adopt(version("v1", auc=0.9))
        assert world.registry.get("delay", "v1") == version("v1")
        world.registry.adopt(version("v2"))
        world.registry.register(version("v3"), token)
        assert [item.version for item in world.registry.versions("delay")] == ["v3", "v2", "v1"]
