"""What every ServingBackend promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import pytest

from framework.api.errors import ConflictError
from framework.ports import LATENCY_BOUNDS, AppPhase, AppSpec, AppState, RouteSpec, RouteState, ServingBackend
from tests.contract.suites.polling import Patience


@dataclass(frozen=True)
class ServingWorld:
    """A backend with one deployment of its own.

    ``app`` gives the specification of a version by a short name, ``broken`` one under the same name that cannot start;
    and says ``complaint``; ``send`` sends so many requests through the route and returns how many failed.
    """

    backend: ServingBackend
    deployment: str
    route: str
    traffic: str
    patience: Patience
    app: Callable[[str], AppSpec]
    broken: Callable[[str], AppSpec]
    send: Callable[[int], int]
    complaint: str

    def running(self, name: str) -> AppSpec:
        app = self.app(name)
        self.backend.deploy(app, None)
        self.in_phase(app, AppPhase.RUNNING)
        return app

    def in_phase(self, app: AppSpec, phase: AppPhase) -> AppState:
        """The app's state once this specification of it is in ``phase``."""
        found = self.patience.until(
            lambda: self.backend.apps(self.deployment).get(app.name),
            lambda state: state is not None and state.phase is phase and state.digest == app.digest,
        )
        assert found is not None
        return found

    def gone(self, app: AppSpec) -> None:
        self.patience.until(lambda: app.name in self.backend.apps(self.deployment), lambda there: not there)

    def table(self, weights: Mapping[str, int], stable: str, generation: int) -> RouteSpec:
        return RouteSpec(self.deployment, self.route, dict(weights), stable, generation, traffic=self.traffic)

    def state(self) -> RouteState | None:
        return self.backend.route(self.deployment, self.traffic)

    def acknowledged(self, generation: int) -> RouteState:
        """The route's state once every router has let go of the tables before ``generation``."""

        def everywhere(state: RouteState | None) -> bool:
            if state is None or state.phase is not AppPhase.RUNNING or not state.replicas:
                return False
            return all(replica.generation >= generation for replica in state.replicas)

        found = self.patience.until(self.state, everywhere)
        assert found is not None
        return found

    def counted(self, requests: int) -> Mapping[str, int]:
        """Requests by app, once there are at least so many."""
        return self.patience.until(lambda: _requests(self.state()), lambda found: found.total() >= requests)


class ServingContract:
    """Subclass it and provide a fixture ``world``."""

    def test_nothing_is_there_at_first(self, world: ServingWorld) -> None:
        assert not world.backend.apps(world.deployment)
        assert world.state() is None

    def test_an_app_is_deployed_and_runs(self, world: ServingWorld) -> None:
        app = world.app("one")
        world.backend.deploy(app, None)
        state = world.in_phase(app, AppPhase.RUNNING)
        assert (state.name, state.digest, state.replicas) == (app.name, app.digest, 1)
        assert set(world.backend.apps(world.deployment)) == {app.name}
        assert app.name not in world.backend.apps(f"{world.deployment}-other")

    def test_deploying_again_keeps_what_runs(self, world: ServingWorld) -> None:
        app = world.running("one")
        world.backend.deploy(app, None)
        state = world.backend.apps(world.deployment)[app.name]
        assert (state.phase, state.digest) == (AppPhase.RUNNING, app.digest)

    def test_another_specification_under_the_same_name_is_taken(self, world: ServingWorld) -> None:
        app = world.running("one")
        changed = replace(app, max_queued_requests=app.max_queued_requests + 1)
        assert changed.digest != app.digest
        world.backend.deploy(changed, None)
        assert world.in_phase(changed, AppPhase.RUNNING).digest == changed.digest

    def test_an_app_that_is_deployed_in_place_goes_on_answering(self, world: ServingWorld) -> None:
        app = world.running("one")
        world.backend.set_route(world.table({app.name: 100}, app.name, 1))
        world.acknowledged(1)
        changed = replace(app, arguments=replace(app.arguments, version=f"{app.arguments.version}-changed"))
        world.backend.deploy(changed, None)
        assert world.send(20) == 0
        world.backend.set_route(world.table({app.name: 100}, app.name, 2))
        assert world.in_phase(changed, AppPhase.RUNNING).replicas >= 1
        assert world.send(20) == 0

    def test_an_app_that_cannot_start_says_why(self, world: ServingWorld) -> None:
        app = world.broken("bad")
        world.backend.deploy(app, None)
        state = world.in_phase(app, AppPhase.FAILED)
        assert state.message
        assert "\n" not in state.message, "it is read in a table; the whole of it is in the logs"
        logs = [log for log in world.backend.logs(world.deployment, 50) if log.source == app.name]
        assert any(world.complaint in log.text for log in logs)
        assert all(len(log.text.splitlines()) <= 2 for log in world.backend.logs(world.deployment, 2))
        assert list(world.backend.logs(f"{world.deployment}-other", 50)) == []
        assert state.replicas == 0

    def test_deleting_is_idempotent_and_spares_the_others(self, world: ServingWorld) -> None:
        one, two = world.running("one"), world.running("two")
        world.backend.delete(one.name)
        world.gone(one)
        world.backend.delete(one.name)
        world.backend.delete(f"{world.deployment}-never")
        assert world.in_phase(two, AppPhase.RUNNING).digest == two.digest
        assert set(world.backend.apps(world.deployment)) == {two.name}

    def test_a_route_is_set_acknowledged_and_counts(self, world: ServingWorld) -> None:
        app = world.running("one")
        table = world.table({app.name: 100}, app.name, 1)
        world.backend.set_route(table)
        state = world.acknowledged(1)
        assert state.spec == table
        assert state.url.endswith(world.route)
        assert world.send(20) == 0
        assert world.counted(20) == {app.name: 20}
        found = world.state()
        assert found is not None
        counters = [replica.versions[app.name] for replica in found.replicas if app.name in replica.versions]
        assert sum(item.errors + item.shielded for item in counters) == 0
        assert all(len(item.latency_buckets) == len(LATENCY_BOUNDS) + 1 for item in counters)
        assert sum(sum(item.latency_buckets) for item in counters) == 20

    def test_setting_the_same_table_again_changes_nothing(self, world: ServingWorld) -> None:
        app = world.running("one")
        table = world.table({app.name: 100}, app.name, 1)
        world.backend.set_route(table)
        before = world.acknowledged(1)
        assert world.send(5) == 0
        world.counted(5)
        world.backend.set_route(table)
        after = world.state()
        assert after is not None
        assert after.spec == table
        assert [replica.replica for replica in after.replicas] == [replica.replica for replica in before.replicas]
        assert [replica.generation for replica in after.replicas] == [1] * len(before.replicas)
        assert _requests(after) == {app.name: 5}

    def test_what_was_decided_on_before_the_live_table_is_refused(self, world: ServingWorld) -> None:
        one, two, other = world.running("one"), world.running("two"), world.running("other")
        live = world.table({one.name: 100, two.name: 0}, one.name, 5)
        world.backend.set_route(live)
        world.acknowledged(5)
        late = [
            world.table({two.name: 100}, two.name, 4),
            world.table({one.name: 100, two.name: 0}, one.name, 1),
            world.table({one.name: 100}, one.name, 5),
            replace(live, timeout_seconds=9.0),
        ]
        for table in late:
            with pytest.raises(ConflictError, match="generation 5"):
                world.backend.set_route(table)
        for app in (one, two):
            with pytest.raises(ConflictError, match=app.name):
                world.backend.delete(app.name)
        world.backend.delete(other.name)
        world.gone(other)
        world.backend.set_route(live)
        assert world.acknowledged(5).spec == live
        assert set(world.backend.apps(world.deployment)) == {one.name, two.name}
        world.backend.set_route(world.table({two.name: 100}, two.name, 6))
        world.acknowledged(6)
        world.backend.delete(one.name)
        world.gone(one)
        world.backend.delete_route(world.deployment)
        world.patience.until(world.state, lambda state: state is None)
        world.backend.delete(two.name)
        world.gone(two)

    def test_traffic_moves_to_another_version_without_a_failed_request(self, world: ServingWorld) -> None:
        old, new = world.running("old"), world.running("new")
        world.backend.set_route(world.table({old.name: 100}, old.name, 1))
        world.acknowledged(1)
        assert world.send(10) == 0
        assert world.counted(10) == {old.name: 10}
        world.backend.set_route(world.table({old.name: 50, new.name: 50}, old.name, 2))
        assert world.acknowledged(2).spec.weights == {old.name: 50, new.name: 50}
        assert world.send(60) == 0
        counted = world.counted(70)
        assert sum(counted.values()) == 70
        assert 5 <= counted[new.name] <= 55  # of 60 coins, outside with a probability below 1e-10
        world.backend.set_route(world.table({new.name: 100}, new.name, 3))
        world.acknowledged(3)
        world.backend.delete(old.name)
        assert world.send(10) == 0
        assert world.counted(80)[old.name] == counted[old.name]
        world.gone(old)
        assert world.send(10) == 0

    def test_a_path_gets_to_another_deployment_by_the_router_that_is_there(self, world: ServingWorld) -> None:
        app, heir = world.running("one"), replace(world, deployment=f"{world.deployment}-heir")
        world.backend.set_route(world.table({app.name: 100}, app.name, 1))
        before = {item.replica for item in world.acknowledged(1).replicas}
        assert world.backend.routed(f"{world.route}-nobody") is None
        world.backend.set_route(heir.table({app.name: 100}, app.name, 2))
        assert before <= {item.replica for item in heir.acknowledged(2).replicas}
        state = world.backend.routed(world.route)
        assert state is not None
        assert (state.spec.deployment, state.spec.route, world.state()) == (heir.deployment, world.route, None)
        world.backend.delete_route(world.deployment)
        assert world.backend.routed(world.route) is not None, "it is another's by now"
        world.backend.delete_route(heir.deployment)
        world.patience.until(lambda: world.backend.routed(world.route), lambda state: state is None)

    def test_a_route_is_deleted_and_the_apps_stay(self, world: ServingWorld) -> None:
        app = world.running("one")
        world.backend.set_route(world.table({app.name: 100}, app.name, 1))
        world.acknowledged(1)
        world.backend.delete_route(world.deployment)
        world.patience.until(world.state, lambda state: state is None)
        world.backend.delete_route(world.deployment)
        assert world.in_phase(app, AppPhase.RUNNING).digest == app.digest


def _requests(state: RouteState | None) -> Counter[str]:
    found: Counter[str] = Counter()
    for replica in state.replicas if state else ():
        for app, counters in replica.versions.items():
            found[app] += counters.requests
    return found
