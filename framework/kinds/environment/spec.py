"""The Environment as a user writes it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from framework.api import closures
from framework.api.addresses import mistake, mistake_of_base, mistake_of_link, unknown_scheme
from framework.api.categories import Category
from framework.api.errors import FieldError
from framework.api.fields import Cpus, CronExpression, Fraction, Gpus, SecretRef, Timezone, exactly_one
from framework.api.meta import Name, Strict
from framework.api.nearest import nearest
from framework.api.places import OWN_FOLDER
from framework.api.written import Text

_POINTER = re.compile(r"(/([^~/]|~[01])*)*")


def _address(value: str) -> str:
    words = ("embedded", "kuberay")
    if value in words:
        return value
    if re.match(r"https?://", value):
        why = mistake_of_base(value)
        if why is not None:
            raise FieldError(f"is no address of a dashboard, such as http://head:8265: {why}")
        return value
    message = f"{value!r} is neither embedded, nor kuberay, nor an http(s) URL such as http://head:8265"
    raise FieldError(message, nearest(value, words))


_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRES = ("postgresql", *(f"postgresql+{driver}" for driver in ("psycopg", "psycopg2", "pg8000")))
_ABOUT_DATABASES = f"sqlite:///{OWN_FOLDER}/state.db or postgresql://…"


def _database(value: str) -> str:
    scheme, separator, _ = value.partition("://")
    if not separator:
        raise FieldError(f"{value!r} is not the URL of a database, such as {_ABOUT_DATABASES}")
    if scheme not in (*_SQLITE, *_POSTGRES):
        base = scheme.casefold().partition("+")[0]
        near = nearest(base, ("sqlite", "postgresql"))
        known = f"a database is sqlite or postgresql, such as {_ABOUT_DATABASES}"
        raise FieldError(f"{scheme}:// is not supported; {known}", f"{near}://" if near else None)
    if scheme in _SQLITE:
        if re.fullmatch(r"[^:]+:///[^?#\s]+", value) is None or value.endswith(":memory:"):
            raise FieldError("a SQLite database is a file: sqlite:///PATH, without options and not in memory")
        return value
    # A socket's folder may stand in the query, so a host is not needed.
    why = mistake(value, host=False) or ("it names no database" if len(value) == len(scheme) + 3 else None)
    if why is not None:
        raise FieldError(f"is no address of a PostgreSQL database, such as postgresql://host:5432/mlops: {why}")
    return value


def _anywhere(value: str) -> str:
    why = mistake_of_link(value)
    if why is not None:
        raise FieldError(f"is no address: {why}")
    return value


def _sqlite_or(
    value: str, schemes: tuple[str, ...], wrong: Callable[[str], str | None], server: str, example: str, known: str
) -> str:
    """A SQLite database, or the address of a ``server`` under one of ``schemes``, of which ``wrong`` says what is."""
    scheme, separator, _ = value.partition("://")
    if separator and scheme == "sqlite":
        return _database(value)
    if separator and scheme in schemes:
        why = wrong(value)
        if why is not None:
            raise FieldError(f"is no address of {server}, such as {example}: {why}")
        return value
    if not separator:
        raise FieldError(f"{value!r} is no address; {known}")
    near = nearest(scheme.casefold().partition("+")[0], (*schemes, "sqlite"))
    raise FieldError(f"{scheme}:// is not supported; {known}", f"{near}://" if near else None)


_REDIS = "redis://host:6379/0"
_ABOUT_ONLINE = f"sqlite:///{OWN_FOLDER}/online.db or {_REDIS}"


def _online(value: str) -> str:
    known = f"an online store is a SQLite database or a Redis server, such as {_ABOUT_ONLINE}"
    return _sqlite_or(value, ("redis", "rediss"), mistake, "a Redis server", _REDIS, known)


_MLFLOW = "http://mlflow:5000"
_ABOUT_TRACKING = f"{_MLFLOW} or sqlite:///{OWN_FOLDER}/mlflow.db"


def _tracking(value: str) -> str:
    known = f"MLflow is a server or a SQLite database, such as {_ABOUT_TRACKING}"
    return _sqlite_or(value, ("http", "https"), mistake_of_base, "an MLflow server", _MLFLOW, known)


def _storage(value: str) -> str:
    unknown = unknown_scheme(_anywhere(value))
    if unknown is not None:
        raise FieldError(*unknown)
    return value


DatabaseUrl = Annotated[
    str, Field(max_length=1024), AfterValidator(_database), Field(examples=[f"sqlite:///{OWN_FOLDER}/state.db"])
]


class Database(Strict):
    """A database whose password is read from elsewhere."""

    url: DatabaseUrl = Field(description="Where it is, without a password")
    passwordFrom: SecretRef | None = Field(None, description="Where its password is read from")


def _pointer(value: str) -> str:
    if _POINTER.fullmatch(value):
        return value
    if not value.startswith("/"):
        raise FieldError(f"{value!r} is not a JSON pointer, which starts with '/'", f"/{value.replace('.', '/')}")
    raise FieldError(f"{value!r} is not a JSON pointer: '~' is written '~0', and '/' inside a key '~1'")


Pointer = Annotated[
    str, AfterValidator(_pointer), WithJsonSchema({"type": "string", "pattern": f"^{_POINTER.pattern}$"})
]
"""A JSON pointer (RFC 6901) into a spec: ``/serving/replicas/max``; ``""`` is all of it."""


class KubeRay(Strict):
    """A cluster that KubeRay makes in Kubernetes."""

    namespace: Text = Field(description="The Kubernetes namespace that the cluster lives in")
    image: Text = Field(description="The container image of head and workers")
    version: Text | None = Field(None, description="The Ray version inside the image; default: that of mlopsctl")


class RayCluster(Strict):
    """The Ray that runs everything."""

    address: Annotated[str, AfterValidator(_address)] = Field(
        "embedded",
        description="`embedded` (a daemon on this machine), an http(s) URL of a head's dashboard, or `kuberay`",
    )
    kuberay: KubeRay | None = Field(None, description="For address: kuberay")
    cpus: int | None = Field(None, ge=1, le=100_000, description="For embedded: logical CPUs; default the machine's")
    gpus: int | None = Field(None, ge=0, le=100_000, description="For embedded: logical GPUs")
    dashboardPort: int = Field(8265, ge=0, le=65535, description="For embedded; 0 picks a free one")
    servePort: int = Field(8000, ge=0, le=65535, description="For embedded; 0 picks a free one")


class PatchTarget(Strict):
    """Every object of the kind, or the one of that name, or those that carry all of the labels."""

    kind: str = Field(description="The kind of the objects to patch; an Environment is not patched")
    name: Name | None = Field(None, description="Only the object of this name")
    labels: dict[str, str] = Field(default_factory=dict, description="Only objects that carry all of these labels")


class JsonPatchOperation(Strict):
    """One operation of RFC 6902. Paths are JSON pointers into the spec, e.g. ``/serving/replicas/max``."""

    op: Literal["add", "remove", "replace", "move", "copy", "test"] = Field(
        description="add (into a list: insert), remove, replace, move, copy, or test: fail unless the value is this one"
    )
    path: Pointer = Field(description="Where, as a JSON pointer into the spec; `-` is the end of a list")
    from_: Pointer | None = Field(None, alias="from", description="For move and copy: from where")
    value: Any = Field(None, description="For add, replace and test; may be null")

    @model_validator(mode="after")
    def _says_what_it_needs(self) -> Self:
        for name, given, users in (
            ("value", "value" in self.model_fields_set, {"add", "replace", "test"}),
            ("from", self.from_ is not None, {"move", "copy"}),
        ):
            if given != (self.op in users):
                raise ValueError(f"{self.op} {'needs a' if self.op in users else 'takes no'} {name}")
        return self


class Patch(Strict):
    """A change of other objects in this environment. Exactly one of ``patch`` and ``jsonPatch``."""

    target: PatchTarget = Field(description="Which objects")
    patch: dict[str, Any] | None = Field(
        None,
        description="Merged into the spec of every target: mappings key by key, lists of named items item by item, "
        "other lists and scalars replaced, null removes; `$patch: replace` and `$patch: delete` as in Kubernetes",
    )
    jsonPatch: tuple[JsonPatchOperation, ...] | None = Field(None, description="Operations of RFC 6902, in order")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "patch", "jsonPatch")
        return self


class Limit(Strict):
    """A bound on a number in a spec. A field that is absent counts with its default."""

    path: str = Field(description="Dotted path of a number in the spec, e.g. resources.gpusPerWorker")
    min: float | None = Field(None, description="The least that is allowed")
    max: float | None = Field(None, description="The most that is allowed")

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a limit needs min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("min must not exceed max")
        return self


class Policy(Strict):
    """A rule that this environment holds a kind to. What breaks it is refused with ``message``.

    In a path, ``[]`` is every item of a list and ``*`` every key of a map: ``columns[].name``, ``sources.*.path``.
    """

    kind: str = Field(description="The kind it holds for; `*` for every kind")
    require: tuple[str, ...] = Field(
        (), description="Dotted paths that every spec of the kind must set; a default, null or an empty list does not"
    )
    forbid: tuple[str, ...] = Field((), description="Dotted paths that no spec of the kind may set")
    limits: tuple[Limit, ...] = Field((), description="Bounds on numbers")
    deny: tuple[Literal["Create", "Update", "Delete", "Redeploy", "Materialize", "Retrain", "Breaking"], ...] = Field(
        (), description="Changes that no commit may ask for here, by what is done or by what it costs"
    )
    message: str = Field(min_length=1, description="What the author of a refused commit is told")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.require or self.forbid or self.limits or self.deny):
            raise ValueError("a policy needs at least one of require, forbid, limits, deny")
        return self


class DenyWindow(Strict):
    """While it is open, no new commit takes effect; what is in force goes on and is repaired."""

    deny: CronExpression = Field(description="Every minute that matches is closed to new commits, e.g. `* 22-23 * * *`")
    timezone: Timezone = Field("UTC", description="An IANA name, e.g. Europe/Vienna")


class Quotas(Strict):
    """The most that all resources of this environment may take together. What would exceed it waits or is refused."""

    gpus: Gpus | None = Field(None, description="GPUs of replicas and runs together")
    cpus: Cpus | None = Field(None, description="CPUs of replicas and runs together")
    runs: int | None = Field(None, ge=1, description="Runs at a time")


class Deletion(Strict):
    """What may happen to what git no longer asks for."""

    prune: bool = Field(True, description="Remove it; false leaves it running and says so")
    data: Literal["asDeclared", "keep"] = Field(
        "asDeclared", description="keep: no data is deleted here, whatever deletion a spec declares"
    )
    maxShare: Fraction = Field(0.5, description="A commit that removes a larger share of the environment is refused")


class EnvironmentSpec(Strict):
    ray: RayCluster = Field(RayCluster(), description="The Ray that runs everything")
    storage: Annotated[str, AfterValidator(_storage)] = Field(
        ".mlops/store",
        min_length=1,
        max_length=1024,
        description="Where files lie: a folder of the project, or any fsspec URL",
    )
    state: DatabaseUrl | Database = Field(
        "sqlite:///.mlops/state.db", description="Where records and history lie: sqlite or postgresql"
    )
    tracking: Annotated[Text, AfterValidator(_tracking)] | None = Field(
        None, description="An MLflow server, or a SQLite database of MLflow, that models are mirrored to"
    )
    onlineStore: Annotated[Text, AfterValidator(_online)] = Field(
        f"sqlite:///{OWN_FOLDER}/online.db",
        description="Where rows for serving lie: a SQLite database, for one machine, or a Redis server",
    )
    connections: dict[Name, Database] = Field(
        default_factory=dict,
        max_length=100,
        description="Databases that views read by SQL, by the name that sources give them: sqlite or postgresql",
    )
    quotas: Quotas = Field(Quotas(), description="The most that everything here may take together")
    policies: tuple[Policy, ...] = Field((), description="Rules that specs and changes are held to here")
    patches: tuple[Patch, ...] = Field((), description="What differs here from the specs as written; applied in order")
    suspend: bool = Field(False, description="Look, plan and report, but change nothing that runs")
    windows: tuple[DenyWindow, ...] = Field((), max_length=50, description="When no new commit takes effect")
    deletion: Deletion = Field(Deletion(), description="What may happen to what git no longer asks for")

    @property
    def database(self) -> Database:
        """Where ``state`` is, in its long form."""
        return self.state if isinstance(self.state, Database) else Database(url=self.state)

    @field_validator("windows")
    @classmethod
    def _opens_at_all(cls, windows: tuple[DenyWindow, ...]) -> tuple[DenyWindow, ...]:
        if closures.never_opens((window.deny, window.timezone) for window in windows):
            raise ValueError("windows leave no minute of the year open: no commit would ever take effect")
        return windows


CATEGORIES = {"": Category.METADATA}
