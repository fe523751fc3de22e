"""The Environment as a user writes it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from framework.api.categories import Category
from framework.api.fields import CronExpression, Fraction, exactly_one
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
    """Every object of the kind, or the one of that name, or those that carry all of the labels."""

    kind: str = Field(description="The kind of the objects to patch")
    name: Name | None = Field(None, description="Only the object of this name")
    labels: dict[str, str] = Field(default_factory=dict, description="Only objects that carry all of these labels")


class JsonPatchOperation(Strict):
    """One operation of RFC 6902. Paths are JSON pointers into the spec, e.g. ``/serving/replicas/max``."""

    op: Literal["add", "remove", "replace", "move", "copy", "test"]
    path: str = Field(pattern=r"^(/.*)?$", description="Where, as a JSON pointer into the spec")
    from_: str | None = Field(None, alias="from", pattern=r"^(/.*)?$", description="For move and copy: from where")
    value: Any = Field(None, description="For add, replace and test")


class Patch(Strict):
    """A change of other objects in this environment. Exactly one of ``patch`` and ``jsonPatch``."""

    target: PatchTarget
    patch: dict[str, Any] | None = Field(
        None,
        description="Merged into the spec of every target: mappings key by key, lists of named items item by item, "
        "other lists and scalars replaced, null removes; {$patch: replace} and {$patch: delete} as in Kubernetes",
    )
    jsonPatch: tuple[JsonPatchOperation, ...] | None = Field(None, description="Operations of RFC 6902, in order")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "patch", "jsonPatch")
        return self


class Limit(Strict):
    """A bound on a number in a spec. A field that is absent counts with its default."""

    path: str = Field(description="Dotted path in the spec, e.g. resources.gpusPerWorker")
    min: float | None = None
    max: float | None = None


class Policy(Strict):
    """A rule that this environment holds a kind to. What breaks it is refused with ``message``."""

    kind: str = Field(description="The kind it holds for; * for every kind")
    require: tuple[str, ...] = Field((), description="Dotted paths that every spec of the kind must set")
    forbid: tuple[str, ...] = Field((), description="Dotted paths that no spec of the kind may set")
    limits: tuple[Limit, ...] = Field((), description="Bounds on numbers")
    deny: tuple[Literal["Create", "Update", "Delete", "Redeploy", "Materialize", "Retrain", "Breaking"], ...] = Field(
        (), description="Changes that no commit may ask for here"
    )
    message: str = Field(description="What the author of a refused commit is told")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.require or self.forbid or self.limits or self.deny):
            raise ValueError("a policy needs at least one of require, forbid, limits, deny")
        return self


class DenyWindow(Strict):
    """While it is open, no new commit takes effect; what is in force goes on and is repaired."""

    deny: CronExpression = Field(description="Every minute that matches is closed to new commits: * 22-23 * * *")
    timezone: str = Field("UTC", description="An IANA name, e.g. Europe/Vienna")


class Quotas(Strict):
    """The most that all resources of this environment may take together. What would exceed it waits or is refused."""

    gpus: float | None = Field(None, ge=0, description="GPUs of replicas and runs together")
    cpus: float | None = Field(None, gt=0, description="CPUs of replicas and runs together")
    runs: int | None = Field(None, ge=1, description="Runs at a time")


class Deletion(Strict):
    """What may happen to what git no longer asks for."""

    prune: bool = Field(True, description="Remove it; false leaves it running and says so")
    data: Literal["asDeclared", "keep"] = Field(
        "asDeclared", description="keep: no data is deleted here, whatever deletion a spec declares"
    )
    maxShare: Fraction = Field(0.5, description="A commit that removes a larger share of the environment is refused")


class EnvironmentSpec(Strict):
    ray: RayCluster = RayCluster()
    storage: str = ".mlops/store"
    state: str = "sqlite:///.mlops/state.db"
    tracking: str | None = None
    onlineStore: str | None = None
    quotas: Quotas = Quotas()
    policies: tuple[Policy, ...] = ()
    patches: tuple[Patch, ...] = ()
    suspend: bool = Field(False, description="Look, plan and report, but change nothing that runs")
    windows: tuple[DenyWindow, ...] = ()
    deletion: Deletion = Deletion()


CATEGORIES = {"": Category.METADATA}
