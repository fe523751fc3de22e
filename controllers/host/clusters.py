"""The Ray that a project uses: one that mlopsctl runs for it, or one that others run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from controllers.settings import Settings
from framework import installed
from framework.api.errors import ConfigurationError, MlopsError
from framework.backends.ray.daemon import EmbeddedRay
from framework.backends.ray.rest import Locate, RayAddress, RayRest
from framework.backends.ray.tenancy import OWNER_VARIABLE, PRIVATE
from framework.backends.state.owners import is_owner
from framework.kinds.environment.spec import RayCluster
from framework.ports import StateStore

PING_SECONDS = 2.0


@dataclass(frozen=True)
class EmbeddedCluster:
    """A Ray of this project alone, on this machine."""

    ray: EmbeddedRay
    keeper: int | None = None

    @classmethod
    def of(cls, settings: Settings, spec: RayCluster) -> EmbeddedCluster:
        ray = EmbeddedRay(settings.folder / "ray", spec.cpus, spec.gpus, spec.dashboardPort, spec.servePort)
        return cls(ray, settings.keeper)

    def locate(self) -> RayAddress | None:
        return self.ray.running()

    def start(self) -> None:
        """Raises ConfigurationError where packages are missing: what runs on it runs in this environment."""
        lacking = () if self.running() else installed.missing(installed.WHOLE)
        if lacking:
            raise ConfigurationError(installed.advice(lacking))
        self.ray.start(self.keeper)

    def stop(self) -> None:
        self.ray.stop()

    def running(self) -> bool:
        return self.ray.running() is not None

    def lost(self) -> str:
        return self.ray.lost()

    def trouble(self) -> str:
        return _trouble(self.locate)

    def owner(self, state: StateStore) -> str:
        return PRIVATE

    def alone(self) -> AbstractContextManager[None]:
        return self.ray.alone()

    def links(self) -> Mapping[str, str]:
        address = self.ray.running()
        if address is None:
            return {}
        return {
            "Ray dashboard": f"{address.dashboard_url} (token: {self.ray.folder / 'token'})",
            "Endpoints": f"http://{address.serve_host}:{address.serve_port}",
        }


def own_ray(settings: Settings) -> EmbeddedCluster:
    """The Ray that mlopsctl runs for this project, if any: known from its folder alone."""
    return EmbeddedCluster.of(settings, RayCluster())


@dataclass(frozen=True)
class RemoteCluster:
    """A Ray that others run, and may share. Its token, where it wants one, comes from ``MLOPS_RAY_TOKEN``; the owner of
    an environment that lost its state from ``MLOPS_RAY_OWNER``."""

    spec: RayCluster

    def locate(self) -> RayAddress:
        return RayAddress(self.spec.address.rstrip("/"), os.environ.get("MLOPS_RAY_TOKEN"))

    def start(self) -> None:
        """It runs already."""

    def stop(self) -> None:
        """It is not ours to stop."""

    def running(self) -> bool:
        return True

    def lost(self) -> str:
        """Whoever runs it sees to it that it does."""
        return ""

    def trouble(self) -> str:
        return _trouble(self.locate)

    def owner(self, state: StateStore) -> str:
        claim = os.environ.get(OWNER_VARIABLE) or None
        if claim is not None and not is_owner(claim):
            raise ConfigurationError(
                f"{OWNER_VARIABLE} is {claim!r}; an owner is ten hexadecimal digits, as 3f9a04bb17"
            )
        return state.owner(claim)

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()

    def links(self) -> Mapping[str, str]:
        return {"Ray dashboard": self.spec.address}


def _trouble(locate: Locate) -> str:
    rest = RayRest(locate)
    try:
        rest.ping(PING_SECONDS)
    except MlopsError as error:
        return str(error)
    finally:
        rest.close()
    return ""


def cluster_of(settings: Settings, spec: RayCluster) -> EmbeddedCluster | RemoteCluster:
    return EmbeddedCluster.of(settings, spec) if spec.address == "embedded" else RemoteCluster(spec)
