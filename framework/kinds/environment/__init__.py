"""Environment: where the same specs run. Read at start; nothing is created for it."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from pydantic import BaseModel

from framework.api.meta import Ref, Stored
from framework.api.places import Place, Use
from framework.kinds.environment import policies, quotas, windows
from framework.kinds.environment.spec import CATEGORIES, Database, EnvironmentSpec, Quotas
from framework.planning.grammar.changes import Change, Desired, Status
from framework.planning.grammar.kind import CrossProblem, Kind
from framework.planning.grammar.reasons import READ
from framework.planning.plan.outcomes import Outcome, removed


def _plan(desired: Desired[EnvironmentSpec] | None, observed: Ref, status: Status | None, now: datetime) -> Change:
    if desired is None:
        return removed(observed)
    return Outcome(desired, status, CATEGORIES, now).converged(Stored(), desired.spec.ray.address, READ)


def _unsupported(spec: EnvironmentSpec) -> tuple[str, ...]:
    fields = {
        "spec.ray.kuberay": spec.ray.address == "kuberay" or spec.ray.kuberay is not None,
    }
    return tuple(path for path, used in fields.items() if used)


def _check(held: Mapping[str, Kind], spec: EnvironmentSpec, specs: Mapping[Ref, BaseModel]) -> tuple[CrossProblem, ...]:
    if not spec.policies and spec.quotas == Quotas():
        return ()  # and nothing has to be looked at for it
    name = next((ref.name for ref in specs if ref.kind == "Environment" and specs[ref] is spec), "")
    return (*policies.problems(name, spec, specs, held), *quotas.problems(name, spec, specs, held))


def _places(spec: EnvironmentSpec) -> tuple[Place, ...]:
    state, password = "spec.state", spec.database.passwordFrom
    inside = ".url" if isinstance(spec.state, Database) else ""
    found = [
        Place("spec.storage", spec.storage, Use.STORAGE),
        Place(f"{state}{inside}", spec.database.url, Use.DATABASE),
    ]
    if password is not None and password.file is not None:
        found.append(Place(f"{state}.passwordFrom.file", password.file, Use.SECRET))
    for name, connection in spec.connections.items():
        reference = connection.passwordFrom
        if reference is not None and reference.file is not None:
            found.append(Place(f'spec.connections["{name}"].passwordFrom.file', reference.file, Use.SECRET))
    for name, address in (("tracking", spec.tracking), ("onlineStore", spec.onlineStore)):
        if address is not None:
            found.append(Place(f"spec.{name}", address, Use.DATABASE))
    return tuple(found)


def _remarks(spec: EnvironmentSpec) -> tuple[CrossProblem, ...]:
    return tuple(windows.remarks(spec))


def kind(held: Mapping[str, Kind]) -> Kind:
    """With all other kinds, which it holds to its policies and quotas."""
    return Kind(
        name="Environment",
        spec=EnvironmentSpec,
        categories=CATEGORIES,
        plan=_plan,
        unsupported=_unsupported,
        check=partial(_check, held),
        remarks=_remarks,
        places=_places,
        secret_from={
            "spec.state": "write {url: …, passwordFrom: {env: NAME}}, or {file: PATH}",
            "spec.connections": "write {url: …, passwordFrom: {env: NAME}}, or {file: PATH}",
            "spec.storage": "credentials come from where the storage's library looks for them, "
            "such as AWS_ACCESS_KEY_ID",
            "spec.tracking": "MLflow has credentials from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
            "MLFLOW_TRACKING_TOKEN, where the controller runs",
            "spec.onlineStore": "the password of a Redis server comes from MLOPS_ONLINE_PASSWORD, where the controller "
            "and Ray run",
            "spec.ray": "the token comes from MLOPS_RAY_TOKEN, where the controller runs",
        },
        workload_version="1",
    )
