"""The Environment as a user writes it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from framework.api.categories import Category
from framework.api.meta import Name, Strict


class KubeRay(Strict):
    namespace: str
    image: str
    version: str | None = None


class RayCluster(Strict):
    """``address``: ``embedded`` (a daemon on this machine), an http(s) URL of a head's dashboard, or ``kuberay``."""

    address: str = "embedded"
    kuberay: KubeRay | None = None
    cpus: int | None = Field(None, ge=1, description="For embedded: logical CPUs; default the machine's")
    gpus: int | None = Field(None, ge=0, description="For embedded: logical GPUs")
    dashboardPort: int = Field(8265, ge=0, le=65535, description="For embedded; 0 picks a free one")
    servePort: int = Field(8000, ge=0, le=65535, description="For embedded; 0 picks a free one")


class PatchTarget(Strict):
    kind: str
    name: Name | None = None


class Patch(Strict):
    """``patch`` is merged into the spec of every target: maps key by key, lists and scalars replaced, null removes."""

    target: PatchTarget
    patch: dict[str, Any]


class Policy(Strict):
    kind: str
    require: tuple[str, ...]
    message: str


class DenyWindow(Strict):
    deny: str


class EnvironmentSpec(Strict):
    ray: RayCluster = RayCluster()
    storage: str = ".mlops/store"
    state: str = "sqlite:///.mlops/state.db"
    tracking: str | None = None
    onlineStore: str | None = None
    quotas: dict[str, float] = Field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    patches: tuple[Patch, ...] = ()
    suspend: bool = False
    windows: tuple[DenyWindow, ...] = ()


CATEGORIES = {"": Category.METADATA}
